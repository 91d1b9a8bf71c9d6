"""Whole attempts at a secure sum, from the first key to the opened sum, at the cost they have.

The coordinator's state machine runs in this process; the sites' run in other processes, and each
step of a site starts from its durable bytes and ends with them, as at a site. Messages cross
process boundaries as bytes. A tenth of the sites drop out, some before each of their messages.
"""

import resource
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

import numpy as np

from recommons.common.errors import RecommonsError
from recommons.common.secagg.coordinator import CoordinatorRound
from recommons.common.secagg.messages import MessageKind
from recommons.common.secagg.outcome import RoundResult
from recommons.server.rounds.expansion import on_all_cores
from recommons.simulations.benchmarks.secagg_cohort import SPEC, STATE, Cohort, StepTaken, take_step
from recommons.simulations.benchmarks.timings import cpu_with_children

__all__ = ["AttemptCost", "play_attempt"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_BUSY = 2
"""Steps that wait for each process: an inbox of a thousand sites has most of a megabyte."""


@dataclass(frozen=True, kw_only=True)
class AttemptCost:
    """What one attempt took.

    Attributes:
        sites: N.
        coordinates: Of every vector, 32 bits each.
        dropped: Sites that dropped out, at whatever step.
        unmasked: Those of them that dealt shares and sent no vector: their masks are recovered.
        survivors: Sites in the sum.
        wall_seconds: From the first key to the sum.
        site_cpu_seconds: Of a site that stays to the end, on average.
        site_cpu_seconds_most: Of the site that took most.
        site_cpu_by_step: Of a site, on average, by the message it sends.
        coordinator_cpu_seconds: All of it.
        coordinator_cpu_by_step: By the message of the sites that it takes; ``finish`` is recovery.
        recovery_cpu_seconds: Of `coordinator_cpu_seconds`: secrets recovered, masks removed.
        recovery_wall_seconds: The same by the clock, on all cores.
        bytes_sent_most: By one site.
        bytes_received_most: By one site.
        overhead_per_member: Bytes sent and received by a site, its vector, the spec and the public
            state not counted, for each site of the cohort.
        memory_bytes: Of all processes at most.
    """

    sites: int
    coordinates: int
    dropped: int
    unmasked: int
    survivors: int
    wall_seconds: float
    site_cpu_seconds: float
    site_cpu_seconds_most: float
    site_cpu_by_step: dict[str, float]
    coordinator_cpu_seconds: float
    coordinator_cpu_by_step: dict[str, float]
    recovery_cpu_seconds: float
    recovery_wall_seconds: float
    bytes_sent_most: int
    bytes_received_most: int
    overhead_per_member: float
    memory_bytes: int


def play_attempt(cohort: Cohort, *, processes: int, listen: Callable[[str], None]) -> AttemptCost:
    """Play one attempt and check its sum.

    Args:
        cohort: Who takes part, and in what.
        processes: In which the sites run; the coordinator has as many threads for its masks.
        listen: Told what comes next.

    Raises:
        RecommonsError: ``bench/wrong``: the sum is not that of the survivors' vectors.
    """
    start = time.perf_counter()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        play = _Play(cohort, pool, processes, listen)
        result = play.run()
    wall = time.perf_counter() - start
    if not np.array_equal(result.values, cohort.plain_sum(result.survivors)):
        raise RecommonsError("bench/wrong", "the sum is not that of the survivors' vectors")
    return play.cost(result, wall)


@dataclass
class _Play:
    cohort: Cohort
    pool: ProcessPoolExecutor
    processes: int
    listen: Callable[[str], None]
    states: dict[int, bytes] = field(default_factory=dict)
    site_cpu: dict[tuple[int, str], float] = field(default_factory=dict)
    coordinator_cpu: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    sent: Counter[int] = field(default_factory=Counter)
    received: Counter[int] = field(default_factory=Counter)
    recovery_wall: float = 0.0

    def __post_init__(self) -> None:
        self.coordinator = CoordinatorRound(
            context=self.cohort.context,
            parameters=self.cohort.parameters,
            shape=self.cohort.shape,
            roster=self.cohort.roster,
            spec=SPEC,
            expander=on_all_cores,
        )

    def run(self) -> RoundResult:
        """All nine steps."""
        coordinator = self.coordinator
        self._exchange(MessageKind.ADVERTISE)
        closings: dict[MessageKind, Callable[[], object]] = {
            MessageKind.SHARES: partial(coordinator.close_advertise, STATE),
            MessageKind.MASKED: coordinator.close_shares,
            MessageKind.SIGNATURE: coordinator.close_masked,
            MessageKind.REVEAL: coordinator.close_signatures,
        }
        for kind, close in closings.items():
            self._timed(kind.name.lower(), close)
            self._exchange(kind)
        self.listen(f"{self.cohort.sites} sites: recovery")
        # All threads, and processes that ended: nothing else of this program runs by now.
        wall, cpu = time.perf_counter(), cpu_with_children()
        result = coordinator.finish()
        self.coordinator_cpu["finish"] += cpu_with_children() - cpu
        self.recovery_wall = time.perf_counter() - wall
        return result

    def _exchange(self, kind: MessageKind) -> None:
        """The sites take the coordinator's message, and the coordinator their answers."""
        step = kind.name.lower()
        self.listen(f"{self.cohort.sites} sites: {step}")
        places = [
            place
            for place in map(self.cohort.place, self.coordinator.expected)
            if self.cohort.dropouts.get(place) is not kind
        ]
        for place, taken in self._windowed(self._asked(kind, place) for place in places):
            self.states[place] = taken.state
            self.site_cpu[place, step] = taken.cpu_seconds
            self.sent[place] += len(taken.reply)
            site = self.cohort.names[place]
            code = self._timed(step, self.coordinator.receive, site, taken.reply)
            if code is not None:
                raise RecommonsError("bench/wrong", f"the {step} message of {site} is {code}")

    def _asked(self, kind: MessageKind, place: int) -> tuple[int, Future[StepTaken]]:
        message = b""
        if kind is not MessageKind.ADVERTISE:
            site = self.cohort.names[place]
            message = self._timed(kind.name.lower(), self.coordinator.message_for, site)
        self.received[place] += len(message)
        state = self.states.get(place, b"")
        return place, self.pool.submit(take_step, self.cohort, place, kind, state, message)

    def _windowed(
        self, asked: Iterable[tuple[int, Future[StepTaken]]]
    ) -> Iterator[tuple[int, StepTaken]]:
        """Answers in order; only so many sites are asked at a time."""
        waiting: deque[tuple[int, Future[StepTaken]]] = deque()
        for one in asked:
            waiting.append(one)
            if len(waiting) > _BUSY * self.processes:
                place, future = waiting.popleft()
                yield place, future.result()
        for place, future in waiting:
            yield place, future.result()

    def _timed(self, step: str, work: Callable[_P, _T], *args: _P.args, **named: _P.kwargs) -> _T:
        """CPU of this thread: others of the process carry messages to and fro."""
        start = time.thread_time()
        done = work(*args, **named)
        self.coordinator_cpu[step] += time.thread_time() - start
        return done

    def cost(self, result: RoundResult, wall: float) -> AttemptCost:
        """The figures."""
        cohort = self.cohort
        stayed = [i for i in range(cohort.sites) if i not in cohort.dropouts]
        steps = dict.fromkeys(step for _, step in self.site_cpu)
        each = {place: sum(self.site_cpu[place, step] for step in steps) for place in stayed}
        vector = cohort.shape.wire_bytes + len(SPEC) + len(STATE)
        overhead = max(self.sent[i] + self.received[i] - vector for i in stayed)
        own, children = (
            resource.getrusage(who).ru_maxrss * 1024
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        return AttemptCost(
            sites=cohort.sites,
            coordinates=cohort.coordinates,
            dropped=len(cohort.dropouts),
            unmasked=list(cohort.dropouts.values()).count(MessageKind.MASKED),
            survivors=len(result.survivors),
            wall_seconds=wall,
            site_cpu_seconds=sum(each.values()) / len(each),
            site_cpu_seconds_most=max(each.values()),
            site_cpu_by_step={
                step: sum(self.site_cpu[place, step] for place in stayed) / len(stayed)
                for step in steps
            },
            coordinator_cpu_seconds=sum(self.coordinator_cpu.values()),
            coordinator_cpu_by_step=dict(self.coordinator_cpu),
            recovery_cpu_seconds=self.coordinator_cpu["finish"],
            recovery_wall_seconds=self.recovery_wall,
            bytes_sent_most=max(self.sent.values()),
            bytes_received_most=max(self.received.values()),
            overhead_per_member=overhead / cohort.sites,
            memory_bytes=own + self.processes * children,
        )
