"""What was spent, recomputed from the raw events of the ledgers, against what was claimed.

An attempt is spent once vectors may have left: where a site says it masked one, where the
coordinator opened a sum, charged an attempt that came to nothing, or does not say how it ended.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any

from recommons.common.audit.accountant import (
    Balance,
    Charge,
    Unaccountable,
    charges_of_attempt,
    epsilon_of,
)
from recommons.common.audit.findings import Findings
from recommons.common.audit.histories import (
    Coordinator,
    CoordinatorRun,
    Place,
    SiteHistory,
    seconds_of,
)
from recommons.common.audit.plans import PlanFacts, epsilon_text, exceeds
from recommons.common.audit.records import Record

__all__ = ["Curve", "RunSpending", "SiteSpending", "Spending", "spending_of"]

_POINTS = 80


@dataclass(kw_only=True)
class _Attempt:
    """One spent attempt."""

    charges: tuple[Charge, ...] | None
    time: float
    events: Sequence[Any]


Curve = tuple[tuple[float, float], ...]
"""(seconds since 1970, ε so far), ascending."""


@dataclass(frozen=True, kw_only=True)
class RunSpending:
    """One run.

    Attributes:
        run: The run id.
        epsilon: ε of what was spent, None where an event cannot be accounted for.
        reserved: ε of the plan's every round and spare attempt.
        target: ε the plan claims; infinite where it claims none.
        claimed: ε of the model's release as the coordinator tells it, None where there is none.
        delta: δ of all of them.
        attempts: Attempts spent.
    """

    run: str
    epsilon: float | None
    reserved: float
    target: float
    claimed: float | None
    delta: float
    attempts: int


@dataclass(frozen=True, kw_only=True)
class SiteSpending:
    """One site: everything it says it released.

    Attributes:
        site: The site.
        epsilon: ε at `delta` of all its releases ever, None where one cannot be accounted for.
        delta: The policy's δ, or the plans' least where no policy can be read.
        attempts: Vectors it masked.
    """

    site: str
    epsilon: float | None
    delta: float
    attempts: int


@dataclass(frozen=True, kw_only=True)
class Spending:
    """Everything.

    Attributes:
        epsilon: ε at `delta` of all releases of all runs, None where one cannot be accounted for.
        delta: The least δ of the plans.
        attempts: Attempts spent.
        runs: In the order in which they began.
        sites: By site, ascending.
        steps: What the federation had been charged at moments of its time, for `curve`.
        released: By run, the raw events of each spent attempt.
    """

    epsilon: float | None
    delta: float
    attempts: int
    runs: tuple[RunSpending, ...]
    sites: tuple[SiteSpending, ...]
    steps: tuple[tuple[float, Balance], ...]
    released: Mapping[str, tuple[Sequence[Any], ...]]

    @property
    def curve(self) -> Curve:
        """ε of the federation over time; some milliseconds a point, so only for the page."""
        return tuple((time, epsilon_of(balance, self.delta)) for time, balance in self.steps)


def spending_of(
    coordinator: Coordinator | None, sites: Sequence[SiteHistory], findings: Findings
) -> Spending:
    """Recompute what was spent, and compare it with every claim.

    Args:
        coordinator: What the coordinator tells, if a ledger of it was given.
        sites: Sites' ledgers.
        findings: Taken up.
    """
    counter = _Counter(findings)
    if coordinator is not None:
        counter.take_coordinator(coordinator)
    own: defaultdict[str, list[_Attempt]] = defaultdict(list)
    for site in sites:
        own[site.site] += counter.take_site(site)
    runs = [
        _run_spending(run_id, told, coordinator, findings) for run_id, told in counter.runs.items()
    ]
    deltas = [run.delta for run in runs]
    delta = min(deltas, default=1e-6)
    everything = [attempt for told in counter.runs.values() for attempt in told.attempts.values()]
    return Spending(
        epsilon=_epsilon(everything, delta),
        delta=delta,
        attempts=len(everything),
        runs=tuple(runs),
        sites=tuple(
            _site_spending(site, own[site.site], delta)
            for _, site in sorted({history.site: history for history in reversed(sites)}.items())
        ),
        steps=_steps(everything),
        released={
            run: tuple(attempt.events for attempt in told.attempts.values())
            for run, told in counter.runs.items()
        },
    )


@dataclass(kw_only=True)
class _ToldRun:
    """A run with the attempts that any party says were spent."""

    facts: PlanFacts
    ledger: str
    line: int
    attempts: dict[Place, _Attempt] = field(default_factory=dict)


class _Counter:
    """Collects spent attempts, each once, whoever tells of it."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.runs: dict[str, _ToldRun] = {}

    def take_coordinator(self, history: Coordinator) -> None:
        for run in history.runs.values():
            if run.facts is None:
                continue
            record = run.record
            told = self._told(run.run, run.facts, record, run.line)
            for place, attempt in run.attempts.items():
                if not attempt.counts or place[0] >= run.facts.rounds:
                    continue
                line = attempt.summed or attempt.aborted
                events = self._events(record, line) or run.facts.events(*place)
                opened = record.entries[(attempt.opened or 1) - 1]
                time = attempt.summed_at or seconds_of(opened.time)
                self._add(told, place, events, time, record, line or attempt.opened)

    def take_site(self, history: SiteHistory) -> list[_Attempt]:
        """Adds what the coordinator does not tell; returns everything the site spent."""
        own = []
        for run in history.runs.values():
            if run.facts is None:
                continue
            told = self._told(run.run, run.facts, history.record, run.line)
            for place, attempt in run.attempts.items():
                if attempt.committed is None:
                    continue
                events = self._events(history.record, attempt.committed)
                time = attempt.committed_at
                own.append(self._add(told, place, events, time, history.record, attempt.committed))
        return own

    def _told(self, run: str, facts: PlanFacts, record: Record, line: int) -> _ToldRun:
        return self.runs.setdefault(run, _ToldRun(facts=facts, ledger=record.name, line=line))

    def _events(self, record: Record, line: int | None) -> Sequence[Any]:
        events: Sequence[Any] = [] if line is None else record.entries[line - 1].body["events"]
        return events

    def _add(
        self,
        told: _ToldRun,
        place: Place,
        events: Sequence[Any],
        time: float,
        record: Record,
        line: int | None,
    ) -> _Attempt:
        known = told.attempts.get(place)
        if known is not None and known.events == events:
            return known
        number = place[0]
        planned = number < told.facts.rounds and events == told.facts.events(*place)
        try:
            charges = told.facts.charges(number) if planned else charges_of_attempt(events)
        except Unaccountable as error:
            self.findings.add("audit/unknown-event", str(error), ledger=record.name, line=line)
            charges = None
        attempt = _Attempt(charges=charges, time=time, events=events)
        # Where two tell of other releases (found elsewhere), both are counted.
        told.attempts[place if known is None else (number, -len(told.attempts))] = attempt
        return attempt


def _run_spending(
    run: str, told: _ToldRun, coordinator: Coordinator | None, findings: Findings
) -> RunSpending:
    facts = told.facts
    found = _epsilon(told.attempts.values(), facts.delta)
    target = facts.plan.privacy.target
    if target == inf:
        findings.add(
            "audit/no-guarantee",
            "the plan adds no noise: nothing bounds what its sums reveal about a user",
            ledger=told.ledger,
            line=told.line,
        )
    elif found is not None and exceeds(found, target, sampled=facts.is_sampled):
        findings.add(
            "audit/spent-over-plan",
            f"the run spent epsilon {epsilon_text(found)} at delta {facts.delta:g}; its plan "
            f"promises {epsilon_text(target)}",
            ledger=told.ledger,
            line=told.line,
        )
    known = None if coordinator is None else coordinator.runs.get(run)
    claimed = None
    if known is not None and known.released is not None:
        claimed = _check_claim(known, told, known.record, findings)
    return RunSpending(
        run=run,
        epsilon=found,
        reserved=facts.reserved_epsilon,
        target=target,
        claimed=claimed,
        delta=facts.delta,
        attempts=len(told.attempts),
    )


def _check_claim(run: CoordinatorRun, told: _ToldRun, record: Record, findings: Findings) -> float:
    """The ε of the model's release, compared with what the run spent."""
    claim = run.claim
    claimed = inf if claim["epsilon"] is None else float(claim["epsilon"])
    delta = claim["delta"]

    def find(message: str) -> None:
        findings.add("audit/release-claim", message, ledger=record.name, line=run.released)

    if delta is None or not 0 < delta < 1:
        find("the release is claimed without a delta between 0 and 1")
        return claimed
    found = _epsilon(told.attempts.values(), float(delta))
    if found is not None and exceeds(found, claimed, sampled=told.facts.is_sampled):
        find(
            f"the model was released with epsilon {epsilon_text(claimed)}; the run's releases come "
            f"to {epsilon_text(found)} at delta {delta:g}"
        )
    if delta > told.facts.delta:
        find(f"the release is claimed at delta {delta:g}; its plan promises {told.facts.delta:g}")
    return claimed


def _site_spending(
    history: SiteHistory, attempts: Sequence[_Attempt], delta: float
) -> SiteSpending:
    if history.policies:
        delta = history.policies[-1][1].budget.delta
    return SiteSpending(
        site=history.site,
        epsilon=_epsilon(attempts, delta),
        delta=delta,
        attempts=len(attempts),
    )


def _epsilon(attempts: Iterable[_Attempt], delta: float) -> float | None:
    charges: Counter[Charge] = Counter()
    for alike, count in Counter(attempt.charges for attempt in attempts).items():
        if alike is None:
            return None
        for charge in alike:
            charges[charge] += count
    return epsilon_of(Balance.of(charges), delta)


def _steps(attempts: Iterable[_Attempt]) -> tuple[tuple[float, Balance], ...]:
    """What was charged after each attempt; of very many, after some."""
    listed = sorted((a for a in attempts if a.charges is not None), key=lambda a: a.time)
    every = max(1, -(-len(listed) // _POINTS))
    charges: Counter[Charge] = Counter()
    steps: list[tuple[float, Balance]] = []
    for place, attempt in enumerate(listed, start=1):
        charges.update(attempt.charges or ())
        if place % every == 0 or place == len(listed):
            steps.append((attempt.time, Balance.of(charges)))
    return tuple(steps)
