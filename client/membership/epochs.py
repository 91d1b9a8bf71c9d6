"""Epochs of the roster at a site: those that wait for its operator, and pinning one.

| file | holds |
|---|---|
| `epochs/N.json` | an epoch that came and is not pinned, with the approvals known so far |
| `approvals.json` | this site's own approvals that the coordinator does not have yet |
| `word.json` | the epoch that the operator has accepted, to be pinned when no run is open |
"""

import json
from pathlib import Path

from recommons.client.keys import next_public_key
from recommons.client.membership.peers import carry_over
from recommons.client.records.acceptance import note_acceptance
from recommons.client.site import Site
from recommons.common.durably import write_durably
from recommons.common.epochs import Epoch, accept_epoch, approve
from recommons.common.federation import Federation
from recommons.common.hashing import canonical_json

__all__ = [
    "has_word",
    "is_busy",
    "keep_waiting",
    "latest_epoch",
    "note_approval",
    "note_word",
    "own_approvals",
    "pin_epoch",
    "take_approvals",
    "waiting_epochs",
]

_FOLDER = "epochs"
_APPROVALS = "approvals.json"
_WORD = "word.json"
_MOST_KEPT = 16
_FRESH_SECONDS = 86_400


def waiting_epochs(folder: Path) -> list[Epoch]:
    """Epochs that came and are later than the pinned one, ascending."""
    place = folder / _FOLDER
    if not place.is_dir():
        return []
    paths = sorted(place.glob("*.json"), key=lambda path: path.stem.zfill(20))
    return [Epoch.from_bytes(path.read_bytes()) for path in paths]


def latest_epoch(site: Site) -> int:
    """Number of the latest epoch that the folder knows of, pinned or waiting.

    Those that wait are taken by their files' names: one that cannot be read was issued as well.
    """
    names = [path.stem for path in (site.folder / _FOLDER).glob("*.json")]
    waiting = [int(name) for name in names if name.isdecimal()]
    return max([site.federation.roster.epoch, *waiting])


def keep_waiting(folder: Path, epoch: Epoch) -> bool:
    """Keep an epoch for the operator; whether it is new or has more approvals."""
    place = folder / _FOLDER
    place.mkdir(mode=0o700, exist_ok=True)
    path, data = place / f"{epoch.roster.epoch}.json", epoch.to_bytes()
    if path.exists() and path.read_bytes() == data:
        return False
    write_durably(path, data)
    for old in waiting_epochs(folder)[:-_MOST_KEPT]:
        (place / f"{old.roster.epoch}.json").unlink(missing_ok=True)
    return True


def own_approvals(folder: Path) -> dict[int, bytes]:
    """This site's approvals that the coordinator does not have yet, by epoch."""
    path = folder / _APPROVALS
    if not path.exists():
        return {}
    fields: dict[str, str] = json.loads(path.read_bytes())
    return {int(number): bytes.fromhex(given) for number, given in fields.items()}


def note_approval(site: Site, epoch: Epoch) -> None:
    """Sign an epoch; the agent takes the signature to the coordinator."""
    given = approve(epoch, site.id, site.identity).approvals[site.id]
    kept = {**own_approvals(site.folder), epoch.roster.epoch: given}
    _write_approvals(site.folder, kept)


def take_approvals(folder: Path, delivered: dict[int, bytes]) -> None:
    """The coordinator has these now."""
    kept = {n: given for n, given in own_approvals(folder).items() if delivered.get(n) != given}
    _write_approvals(folder, kept)


def _write_approvals(folder: Path, kept: dict[int, bytes]) -> None:
    data = canonical_json({str(number): given.hex() for number, given in kept.items()})
    write_durably(folder / _APPROVALS, data)


def is_busy(site: Site) -> bool:
    """Whether a run is under way at the site: open, and heard of within a day."""
    with site.store.transaction() as transaction:
        now = site.store.budgets.now_unused(transaction, site.clock())
        charges = site.store.budgets.charges(transaction)
    return any(charge.open and now - charge.active < _FRESH_SECONDS for charge in charges)


def note_word(site: Site, epoch: Epoch) -> None:
    """The operator accepts this very epoch; the agent pins it when no run is open.

    Raises:
        Refusal: As `accept_epoch`: a word on what may not be pinned is none.
    """
    _accepted(site, epoch, by_hand=True)
    keep_waiting(site.folder, epoch)
    note_approval(site, epoch)
    write_durably(site.folder / _WORD, canonical_json({"epoch": epoch.hash.hex()}))


def has_word(folder: Path, epoch: Epoch) -> bool:
    """Whether the operator has accepted this very epoch."""
    path = folder / _WORD
    return path.exists() and path.read_bytes() == canonical_json({"epoch": epoch.hash.hex()})


def pin_epoch(site: Site, epoch: Epoch, *, by_hand: bool) -> None:
    """Let an epoch take effect, or say why not.

    Args:
        site: The site; open it again afterwards.
        epoch: The epoch.
        by_hand: The operator has looked at it and gives the word, which is also this site's
            approval, for sites that count them.

    Raises:
        Refusal: As `accept_epoch`.
    """
    federation = _accepted(site, epoch, by_hand=by_hand)
    if by_hand:
        note_approval(site, epoch)
    note_acceptance(site.store, site.federation, federation, epoch, by_hand=by_hand)
    # First the policy: it must name the fingerprint that the roster is about to have, and a policy
    # that is ahead of the roster refuses, and takes no part, until this is done again.
    carry_over(site, epoch)
    write_durably(site.folder / "federation.json", federation.to_bytes())
    for waiting in waiting_epochs(site.folder):
        if waiting.roster.epoch <= epoch.roster.epoch:
            (site.folder / _FOLDER / f"{waiting.roster.epoch}.json").unlink(missing_ok=True)
    (site.folder / _WORD).unlink(missing_ok=True)


def _accepted(site: Site, epoch: Epoch, *, by_hand: bool) -> Federation:
    return accept_epoch(
        site.federation,
        epoch,
        site.policy,
        site.id,
        by_hand=by_hand,
        next_key=next_public_key(site.folder),
    )
