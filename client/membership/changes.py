"""What an epoch of the roster changes, for the operator who is asked for a word on it."""

from collections.abc import Collection, Iterator

from recommons.client.records.books import held_heads
from recommons.client.site import Site
from recommons.common.epochs import Epoch
from recommons.common.heads import COORDINATOR
from recommons.common.peers import fingerprint, readable
from recommons.common.succession import heir

__all__ = ["changes"]

_BEGINS_ANEW = (
    "; a site of this name had a ledger before: if the new one begins anew, no sum with it is "
    "revealed here until `recommons site forget-head`"
)
_ITS_BEGINS_ANEW = (
    "; this site holds a line of its ledger: if it begins anew, no sum is revealed here until "
    f"`recommons site forget-head` of {COORDINATOR}"
)


def changes(site: Site, epoch: Epoch) -> list[str]:
    """A line for each.

    Args:
        site: The site, whose pinned roster is compared.
        epoch: An epoch that waits.
    """
    with site.store.transaction() as connection:
        held = held_heads(connection).keys()
    return [f"{name}: {what}" for name, what in _changes(site, epoch, held)]


def _changes(site: Site, epoch: Epoch, held: Collection[str]) -> Iterator[tuple[str, str]]:
    pinned, old, new = site.federation, site.federation.roster.keys, epoch.roster.keys
    for name in old:
        if name not in new:
            yield name, "leaves"
    for name, key in new.items():
        before = _BEGINS_ANEW if name in held else ""
        if name not in old:
            yield name, f"joins, {_print(key)}{before}"
        elif old[name] != key:
            own_word = _is_own_word(epoch, name, old[name], key)
            seen = ", verified" if name in site.policy.peers.verified and own_word else ""
            anew = "" if own_word else before
            yield name, f"has another key, {_SAID[own_word]}{seen}, {_print(key)}{anew}"
    present = epoch.coordinator_key
    if present != pinned.coordinator_key:
        own_word = _is_own_word(epoch, COORDINATOR, pinned.coordinator_key, present)
        anew = _ITS_BEGINS_ANEW if COORDINATOR in held and not own_word else ""
        said = f"signs plans with another key, {_SAID[own_word]}, {_print(present)}"
        yield COORDINATOR, f"{said}{anew}"


_SAID = {True: "signed by its earlier key", False: "NOT signed by its earlier key"}


def _is_own_word(epoch: Epoch, writer: str, old: bytes, new: bytes) -> bool:
    return heir(writer, old, epoch.successions, epoch.roster.federation) == new


def _print(key: bytes) -> str:
    return f"fingerprint {readable(fingerprint(key))}"
