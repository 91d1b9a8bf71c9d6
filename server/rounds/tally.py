"""What a run has come to so far: its sums, what they cost, and the attempts that gave none.

All of it is in the ledger and the stored sums, so that a process that takes the run up recalls it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from recommons.common.models.interface import NoisySum
from recommons.common.privacy.accounting import account, epsilon
from recommons.common.privacy.events import GaussianSumRelease, events_of_round
from recommons.common.privacy.mechanism import RoundSpec
from recommons.common.secagg.context import Context
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.records.journal import RunJournal

__all__ = ["Sums", "Tally", "noisy_sums"]

Sums = Mapping[str, NoisySum]


@dataclass
class Tally:
    """The books of one run.

    Attributes:
        folder: The coordinator's folder with the plan.
        journal: The run's part of the ledger.
        done: The sum of every round that gave one, in order.
        events: What was spent, one list an attempt.
        aborts: (round, attempt, code) of attempts that came to nothing.
        dropped: Number of attempts in which a site was not among the survivors, by site.
    """

    folder: CoordinatorFolder
    journal: RunJournal
    done: list[Sums] = field(default_factory=list)
    events: list[tuple[GaussianSumRelease, ...]] = field(default_factory=list)
    aborts: list[tuple[int, int, str]] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.plan = self.folder.plan
        self.specs = self.plan.specs()
        self.dropped = dict.fromkeys(self.plan.cohort, 0)

    def recall(self) -> None:
        """Take up what an earlier process did: its sums, its aborts, and what it was doing."""
        sums = {_place(e.body): e.body for e in self.journal.entries("sum")}
        aborts = {_place(e.body): e.body for e in self.journal.entries("round-aborted")}
        for entry in self.journal.entries("round-opened"):
            number, attempt = place = _place(entry.body)
            if place in sums:
                total, survivors = self.folder.load_sum(number, sums[place]["sum"])
                self.take(number, attempt, total, survivors)
            elif place in aborts:
                body = aborts[place]
                self._count_abort(number, attempt, body["code"], asked=bool(body.get("events")))
            else:
                # It may have asked for vectors, so it counts as if it had.
                self.abort(number, attempt, "run/interrupted", asked=True)

    def take(self, number: int, attempt: int, total: npt.NDArray[np.int64], survivors: int) -> None:
        """A round gave a sum, over so many survivors."""
        self.done.append(noisy_sums(self.specs[number], total, survivors))
        self.events.append(self._events(number, attempt))

    def abort(self, number: int, attempt: int, code: str, *, asked: bool) -> None:
        """An attempt came to nothing, `asked` whether vectors had been asked for; in the ledger."""
        events = self._events(number, attempt) if asked else ()
        context = self.context(number, attempt).hash
        self.journal.attempt(number, attempt, context).aborted(code, events)
        self._count_abort(number, attempt, code, asked=asked)

    def lose(self, sites: Iterable[str]) -> None:
        """Sites were not among an attempt's survivors."""
        for site in sites:
            self.dropped[site] += 1

    def opened(self) -> list[int]:
        """The round of every attempt that was ever opened in this run."""
        return [entry.body["round"] for entry in self.journal.entries("round-opened")]

    def used_up(self, number: int) -> bool:
        """Whether a round was attempted and the plan has no attempt left for it."""
        opened = self.opened()
        repeats = len(opened) - len(set(opened))
        return number in opened and repeats >= self.plan.privacy.spare_attempts

    def context(self, number: int, attempt: int) -> Context:
        """What an attempt is bound to."""
        return Context(
            federation=self.plan.federation,
            run=self.folder.run_id,
            round_index=number,
            attempt=attempt,
            cohort=self.plan.cohort,
            roster_hash=self.folder.federation.roster.hash,
            plan_hash=self.plan.hash(),
        )

    def epsilon(self) -> float | None:
        """ε of what has been spent so far; None without noise."""
        if self.plan.privacy.epsilon is None:
            return None
        released = self._released()
        return epsilon(released, self.plan.privacy.delta) if released else 0.0

    def guarantee(self) -> dict[str, object]:
        """What the release costs by the headline accountant; null where nothing is noised."""
        delta = self.plan.privacy.delta
        if self.plan.privacy.epsilon is None:
            return {"epsilon": None, "delta": delta, "accountant": "none"}
        found = account(self._released(), delta)
        return {"epsilon": found.epsilon, "delta": delta, "accountant": found.accountant}

    def _released(self) -> list[GaussianSumRelease]:
        return [event for events in self.events for event in events]

    def _count_abort(self, number: int, attempt: int, code: str, *, asked: bool) -> None:
        """An attempt that came to nothing is spent once vectors have left their sites."""
        self.aborts.append((number, attempt, code))
        if asked:
            self.events.append(self._events(number, attempt))

    def _events(self, number: int, attempt: int) -> tuple[GaussianSumRelease, ...]:
        cohort = self.plan.noise_cohort()
        return events_of_round(self.specs[number], cohort, round_index=number, attempt=attempt)


def _place(body: Mapping[str, Any]) -> tuple[int, int]:
    return body["round"], body["attempt"]


def noisy_sums(spec: RoundSpec, total: npt.NDArray[np.int64], survivors: int) -> Sums:
    """The blocks of a sum in the model's own units, with the noise that is in them."""
    return {
        block.name: NoisySum(
            values=np.multiply(total[place], block.grid, dtype=np.float64),
            stddev=block.noise_stddev * block.grid * float(np.sqrt(survivors)),
        )
        for block, place in spec.slices()
    }
