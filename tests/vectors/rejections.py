"""Messages that must be refused: how each is made, and under which code its receiver refuses it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from recommons.common.errors import ProtocolAbort
from recommons.common.secagg.coordinator import CoordinatorRound
from recommons.common.secagg.parameters import VerifiedPeers
from recommons.common.secagg.sets import SiteSet
from recommons.common.secagg.site import SiteRound
from tests.vectors.play import Play

__all__ = ["Case", "Maker", "rejection", "rejections"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One refusal.

    Attributes:
        name: What was done to the message.
        play: The attempt in which it is done.
        kind: The step as whose message the receiver takes it.
        message: The bytes.
        code: Under which the receiver must refuse it.
        site: The receiving site; None where the coordinator receives.
        after: The receiving site's last own step; by default the one before `kind`.
        sender: Who sends to the coordinator.
        already: Whose messages of this step the coordinator has.
        verified: The receiving site's rule: names of verified peers, and how many are needed.
        pinned: The public state's hash that the site expects.
        ends: Whether the attempt ends for the site, or the sender is excluded.
    """

    name: str
    play: Play
    kind: int
    message: bytes
    code: str
    site: str | None = None
    after: int | None = None
    sender: str | None = None
    already: tuple[str, ...] = ()
    verified: tuple[tuple[str, ...], int] | None = None
    pinned: bytes | None = None
    ends: bool = True


Maker = Callable[[dict[str, Play]], list[Case]]


def rejection(case: Case) -> dict[str, Any]:
    """As `models.Rejection` wants it, after the main implementation has refused it."""
    found, ended = _refused_by_site(case) if case.site else _refused_by_coordinator(case)
    if (found, ended) != (f"secagg/{case.code}", case.ends):
        raise AssertionError(f"{case.name}: {found}, ended: {ended}; expected: {case.code}")
    row: dict[str, Any] = {
        "name": case.name,
        "transcript": case.play.scenario.name,
        "receiver": case.site or "coordinator",
        "kind": case.kind,
    }
    if case.site:
        row["after"] = _after(case)
    if case.sender:
        row |= {"sender": case.sender, "already": list(case.already)}
    if case.verified:
        row["verified"] = {"peers": list(case.verified[0]), "least": case.verified[1]}
    if case.pinned:
        row["pinned_state_hash"] = case.pinned.hex()
    return row | {"message": case.message.hex(), "code": found, "ends": ended}


def _after(case: Case) -> int:
    return case.kind - 1 if case.after is None else case.after


def _refused_by_site(case: Case) -> tuple[str, bool]:
    verified = None
    names = case.play.scenario.names
    if case.verified:
        places = [names.index(name) for name in case.verified[0]]
        peers = SiteSet.of(len(names), places)
        verified = VerifiedPeers(peers=peers, least=case.verified[1])
    site: SiteRound = case.play.site_after(case.site or "", _after(case), verified)
    try:
        case.play.take(site, case.kind, case.message, case.pinned)
    except ProtocolAbort as abort:
        return abort.code, site.phase == "aborted"
    return "nothing", False


def _refused_by_coordinator(case: Case) -> tuple[str, bool]:
    coordinator: CoordinatorRound = case.play.coordinator_at(case.kind, case.already)
    sender = case.sender or ""
    return str(coordinator.receive(sender, case.message)), sender in coordinator.excluded


def rejections(makers: list[Maker], plays: dict[str, Play]) -> dict[str, Any]:
    """The file `rejected.json`."""
    cases = [rejection(case) for make in makers for case in make(plays)]
    return {"file": "rejected", "cases": cases}
