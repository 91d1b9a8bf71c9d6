"""What ledgers tell of runs and attempts, in a form that can be compared."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import Any

from recommons.common.audit.plans import PlanFacts
from recommons.common.audit.records import Record
from recommons.common.heads import Place as Receipted
from recommons.common.policy import Policy
from recommons.common.secagg.roster import Roster

__all__ = [
    "Coordinator",
    "CoordinatorAttempt",
    "CoordinatorHistory",
    "CoordinatorRun",
    "Place",
    "SiteAttempt",
    "SiteHistory",
    "SiteRun",
    "seconds_of",
]

Place = tuple[int, int]
"""(round, attempt)."""


def seconds_of(time: str) -> float:
    """A ledger's time in seconds since 1970; of an impossible date, 0."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:  # e.g. the 31st of February, which the schema lets pass
        return 0.0


@dataclass(kw_only=True)
class SiteAttempt:
    """One attempt as a site tells it; lines are numbered from 1, None where there is none."""

    context: str
    reserved: int | None = None
    committed: int | None = None
    committed_at: float = 0.0
    released: int | None = None
    aborted: int | None = None
    masked: str | None = None
    certificate: str | None = None
    survivors: tuple[str, ...] = ()
    policy: Policy | None = None
    """In force when the vector was masked, by whose rule on peers the site then reveals."""


@dataclass(kw_only=True)
class SiteRun:
    """A run that a site has joined.

    Attributes:
        run: The run id, hex.
        line: Where the plan was accepted.
        facts: The plan, None where its document cannot be read.
        joined: When, in seconds.
        active: When something of it last left the site.
        policy: In force when it was joined.
        roster: Pinned when it was joined.
        ended: The line on which it ended.
        ended_at: When.
        attempts: By place.
        exhausted: The line that says that users were left out.
    """

    run: str
    line: int
    facts: PlanFacts | None
    joined: float
    active: float
    policy: Policy | None
    roster: Roster | None
    ended: int | None = None
    ended_at: float = inf
    attempts: dict[Place, SiteAttempt] = field(default_factory=dict)
    exhausted: int | None = None


@dataclass(kw_only=True)
class SiteHistory:
    """What one site's ledger tells.

    Attributes:
        record: The ledger.
        runs: By run id, in the order in which they were joined.
        policies: (line, policy) in the order in which they came into force.
        lost: Heads that the site says others hold and it lacks: (seq, hash), with the line.
        whole: Whether what it does not hold did not happen: not so for a broken ledger, or one
            whose writer says that lines of it were lost.
    """

    record: Record
    whole: bool = True
    runs: dict[str, SiteRun] = field(default_factory=dict)
    policies: list[tuple[int, Policy]] = field(default_factory=list)
    lost: dict[tuple[int, str], int] = field(default_factory=dict)

    @property
    def site(self) -> str:
        """The site."""
        return self.record.writer

    @property
    def revealed(self) -> dict[Receipted, int]:
        """The attempts at which it says it revealed its shares, for a receipt each; with lines."""
        return {
            Receipted(run=run.run, round=number, attempt=attempt): told.released
            for run in self.runs.values()
            for (number, attempt), told in run.attempts.items()
            if told.released is not None
        }


@dataclass(kw_only=True)
class CoordinatorAttempt:
    """One attempt as the coordinator tells it; lines are numbered from 1."""

    context: str
    opened: int | None = None
    advertised: int | None = None
    advertisers: tuple[str, ...] = ()
    heads: int | None = None
    heads_of: tuple[str, ...] = ()
    certified: int | None = None
    certificate: str | None = None
    shared: tuple[str, ...] = ()
    survivors: tuple[str, ...] = ()
    masked: Mapping[str, str] = field(default_factory=dict)
    summed: int | None = None
    summed_at: float = 0.0
    aborted: int | None = None
    charged: bool = False

    @property
    def counts(self) -> bool:
        """Whether vectors were asked for, or may have been."""
        over = self.aborted is not None or self.summed is not None
        return self.summed is not None or self.charged or not over


@dataclass(kw_only=True)
class CoordinatorRun:
    """A run as the coordinator tells it, in one of its ledgers."""

    run: str
    record: Record
    line: int
    facts: PlanFacts | None
    attempts: dict[Place, CoordinatorAttempt] = field(default_factory=dict)
    released: int | None = None
    claim: Mapping[str, Any] = field(default_factory=dict)
    ended: int | None = None


@dataclass(kw_only=True)
class CoordinatorHistory:
    """What one ledger of the coordinator tells: its runs by run id, in order."""

    record: Record
    runs: dict[str, CoordinatorRun] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Coordinator:
    """All that the coordinator tells: a new key begins a new ledger, and the old one still counts.

    Attributes:
        histories: Of each ledger.
        runs: Of all, by run id.
        broken: Whether a fault ended one of the ledgers early.
    """

    histories: tuple[CoordinatorHistory, ...]
    runs: Mapping[str, CoordinatorRun]
    broken: bool

    @classmethod
    def of(cls, histories: Iterable[CoordinatorHistory]) -> "Coordinator | None":
        """What these tell together; None without any."""
        listed = tuple(histories)
        if not listed:
            return None
        runs = {run.run: run for history in reversed(listed) for run in history.runs.values()}
        broken = any(history.record.broken for history in listed)
        return cls(histories=listed, runs=runs, broken=broken)

    @property
    def keys(self) -> frozenset[bytes]:
        """The keys of its ledgers."""
        return frozenset(history.record.key for history in self.histories)
