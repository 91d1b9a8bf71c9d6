"""What is told of a coordinator: its sites, processes, runs and releases; see `status_reading`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

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
            operator stopped it, it can go on; ``failed``: it ended without a model; ``finished``.
        code: Why it failed or waits, a named code.
        round: The round in hand, from 1; 0 before the first.
        rounds: Rounds of the plan.
        attempt: The attempt at it, from 1; 0 before the first.
        step: The step in hand.
        cohort: Sites of the plan.
        dropped: Sites lost in the attempt in hand.
        bytes_up: Bytes from all sites, since the run was taken up.
        bytes_down: Bytes to all sites.
        epsilon_spent: ε of everything released; None where no privacy is claimed.
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
    plan: str
    model: str
    state: str
    code: str | None
    round: int
    rounds: int
    attempt: int
    step: str
    cohort: tuple[str, ...]
    dropped: tuple[str, ...]
    bytes_up: int
    bytes_down: int
    epsilon_spent: float | None
    epsilon_target: float | None
    epsilon_reserved: float | None
    delta: float
    min_survivors: int
    colluding: int
    started: str | None
    updated: str | None
    release: str | None
    aborts: tuple[Mapping[str, Any], ...]
    refusals: tuple[Mapping[str, str], ...]
    resumes: int


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
    """

    federation: str
    epoch: int | None
    roster_hash: str | None
    sites: tuple[SiteStatus, ...]
    processes: tuple[Mapping[str, Any], ...]
    runs: tuple[RunStatus, ...]
    releases: tuple[ReleaseStatus, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object of plain values."""
        return asdict(self)  # tuples become JSON arrays
