"""Peers whose keys the operator has verified out of band: written into `policy.toml`.

The file is the operator's: one line of it is changed or added, and everything else, comments too,
stays as it is. What comes out is read again, and must be the policy that was meant; otherwise the
file is left alone and the operator is asked to write the line.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from recommons.client.site import Site
from recommons.common.durably import write_durably
from recommons.common.epochs import Epoch
from recommons.common.errors import InvalidInput, Refusal
from recommons.common.peers import carried_over, fingerprint, readable
from recommons.common.policy import Policy, plain_fingerprint
from recommons.common.policy_file import policy_from_toml
from recommons.common.secagg.roster import Roster

__all__ = ["carry_over", "set_verified", "verify_peer"]

_POLICY = "policy.toml"
_TABLE = "[peers.verified]"


def verify_peer(folder: Path, roster: Roster, own: str, site: str, told: str) -> str:
    """Write down that a peer's operator has read this fingerprint to ours.

    Args:
        folder: The site's folder.
        roster: The pinned roster.
        own: This site.
        site: The peer.
        told: The fingerprint as it was read; blanks, colons and hyphens are passed over.

    Returns:
        The fingerprint in its plain form.

    Raises:
        InvalidInput: ``federation/not-a-member``: no such peer on the pinned roster;
            ``policy/invalid``: the file has a shape that is not edited.
        Refusal: ``policy/peer-fingerprint``: the roster's key is another; nothing was written.
    """
    if site == own or site not in roster.keys:
        raise InvalidInput("federation/not-a-member", f"{site!r} is no peer on the pinned roster")
    seen = plain_fingerprint(told)
    if fingerprint(roster.keys[site]) != seen:
        raise Refusal(
            "policy/peer-fingerprint",
            f"the roster's key of {site} has the fingerprint "
            f"{readable(fingerprint(roster.keys[site]))}, which is not what was read to you",
        )
    set_verified(folder, {site: seen})
    return seen


def set_verified(folder: Path, seen: Mapping[str, str | None]) -> None:
    """Write fingerprints of peers into the policy, or take them out.

    Args:
        folder: The site's folder.
        seen: Fingerprint by peer; None takes the peer out.

    Raises:
        InvalidInput: ``policy/invalid``.
    """
    path = folder / _POLICY
    text = path.read_text("utf-8")
    present = policy_from_toml(text.encode())
    wanted = {**present.peers.verified, **seen}
    meant = present.model_copy(
        update={
            "peers": present.peers.model_copy(
                update={"verified": {s: print_ for s, print_ in wanted.items() if print_}}
            )
        }
    )
    for site, print_ in seen.items():
        text = _edited(text, site, print_)
    if _read(text) != meant:
        raise InvalidInput(
            "policy/invalid",
            f"{_POLICY} has a shape that is not edited here; write under {_TABLE}: "
            + "; ".join(f'{s} = "{readable(print_)}"' for s, print_ in seen.items() if print_),
        )
    write_durably(path, text.encode())


def carry_over(site: Site, epoch: Epoch) -> dict[str, str]:
    """Verified peers whose key the verified one has replaced stay verified; their fingerprints."""
    found = carried_over(site.policy.peers, epoch.roster, epoch.successions)
    if found:
        set_verified(site.folder, found)
    return found


def _read(text: str) -> Policy | None:
    try:
        return policy_from_toml(text.encode())
    except InvalidInput:
        return None


def _edited(text: str, site: str, print_: str | None) -> str:
    """The text with this peer's line changed, added to or taken out of its table."""
    lines = text.splitlines(keepends=True)
    starts = [k for k, line in enumerate(lines) if line.strip() == _TABLE]
    if not starts:
        lines += ["" if text.endswith("\n") or not text else "\n", f"\n{_TABLE}\n"]
        starts = [len(lines) - 1]
    begin = starts[0] + 1
    end = next((k for k in range(begin, len(lines)) if lines[k].startswith("[")), len(lines))
    names = "|".join(re.escape(name) for name in (site, json.dumps(site), f"'{site}'"))
    own_line = re.compile(rf"\s*(?:{names})\s*=")
    kept = [line for line in lines[begin:end] if not own_line.match(line)]
    if print_ is not None:
        place = len(kept)
        while place and not kept[place - 1].strip():
            place -= 1
        if place and not kept[place - 1].endswith("\n"):
            kept[place - 1] += "\n"
        kept.insert(place, f'{json.dumps(site)} = "{readable(print_)}"\n')
    return "".join([*lines[:begin], *kept, *lines[end:]])
