"""What is told of a coordinator: its sites, processes, runs and releases; see `status_reading`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from recommons.common.codes import REMEDIES

__all__ = ["ReleaseStatus", "RunStatus", "SiteStatus", "Status"]


@dataclass(frozen=True, kw_only=True)
class SiteStatus:
    """One site of the roster.

    Attributes:
        site: Its id.
        member: Whether the gateway lets it in now.
        connected: Whether it is connected; None where nobody was asked.
        last_head_seq: Line of its ledger of which the coordinator holds the head; None before.
    """

    site: str
    member: bool
    connected: bool | None
    last_head_seq: int | None


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """One run.

    Attributes:
        run: Its folder's name.
        id: Our run id, hex.
        plan: The plan's hash, hex.
        model: The model.
        state: ``running``; ``waiting``: no process carries it out, it can go on; ``stopped``: the
            operator stopped it, it can go on; ``failed``: it ended without a model; ``finished``;
            ``damaged``: its folder or the ledger cannot be read, so that it cannot go on. What is
            not known then has its default.
        code: Why it failed, waits or is damaged, a named code.
        round: The round in hand, from 1; 0 before the first.
        rounds: Rounds of the plan.
        attempt: The attempt at it, from 1; 0 before the first.
        step: The step in hand.
        cohort: Sites of the plan.
        dropped: Sites lost in the attempt in hand.
        bytes_up: Bytes from all sites, since the run was taken up.
        bytes_down: Bytes to all sites.
        epsilon_spent: ε of everything released; None where no privacy is claimed, and where a
            damaged ledger may hold more than can be read.
        epsilon_target: ε the plan may spend.
        epsilon_reserved: ε that sites set aside for it.
        delta: δ.
        min_survivors: M.
        colluding: c.
        started: When its plan was written down, UTC; None before.
        updated: When it was last heard of, UTC.
        release: Name of its release, None before.
        aborts: Attempts that came to nothing: round and attempt from 1, and code.
        refusals: Sites that declined, as ``{"site", "code"}``, since the run was taken up.
        resumes: How often it was taken up again.
    """

    run: str
    id: str
    plan: str = ""
    model: str = ""
    state: str
    code: str | None
    round: int = 0
    rounds: int = 0
    attempt: int = 0
    step: str = ""
    cohort: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    bytes_up: int = 0
    bytes_down: int = 0
    epsilon_spent: float | None = None
    epsilon_target: float | None = None
    epsilon_reserved: float | None = None
    delta: float = 0.0
    min_survivors: int = 0
    colluding: int = 0
    started: str | None = None
    updated: str | None = None
    release: str | None = None
    aborts: tuple[Mapping[str, Any], ...] = ()
    refusals: tuple[Mapping[str, str], ...] = ()
    resumes: int = 0


@dataclass(frozen=True, kw_only=True)
class ReleaseStatus:
    """One release.

    Attributes:
        release: Its folder's name.
        run: Its run's folder name; empty where that is gone.
        model: The model.
        bytes: Of all its files.
        epsilon: What its run cost; None without noise.
        delta: δ.
        sha256: Of the arrays.
    """

    release: str
    run: str
    model: str
    bytes: int
    epsilon: float | None
    delta: float
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Status:
    """A coordinator.

    Attributes:
        federation: The federation's id.
        epoch: Of the roster in force; None before the first.
        roster_hash: Of it, hex.
        sites: Of the roster.
        processes: Name, pid, whether it is up, since when and how often it was started.
        runs: Ascending.
        releases: Ascending.
        fault: (code, message) where a line of the ledger cannot be read.
    """

    federation: str
    epoch: int | None
    roster_hash: str | None
    sites: tuple[SiteStatus, ...]
    processes: tuple[Mapping[str, Any], ...]
    runs: tuple[RunStatus, ...]
    releases: tuple[ReleaseStatus, ...]
    fault: tuple[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object of plain values; the fault as every command tells one."""
        fault = None
        if self.fault is not None:
            code, message = self.fault
            fault = {"code": code, "message": message, "remedy": REMEDIES[code]}
        return {**asdict(self), "fault": fault}  # tuples become JSON arrays
