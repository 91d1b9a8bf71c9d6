"""A plan, carried out: join, a secure sum a round, free post-processing, one release."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from recommons.common.errors import ProtocolAbort, RecommonsError
from recommons.common.hashing import digest
from recommons.common.heads import SignedHead
from recommons.common.models.interface import ModelRelease
from recommons.common.models.registry import model_from_settings
from recommons.common.models.state import arrays_to_bytes
from recommons.common.privacy.events import GaussianSumRelease
from recommons.common.secagg.coordinator import CoordinatorRound
from recommons.common.secagg.outcome import RoundResult
from recommons.common.wire import Outcome
from recommons.server.operating.refusals import note_refusals
from recommons.server.operating.stopping import StopRequest
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.records.journal import AttemptJournal, RunJournal
from recommons.server.rounds.cohort import Cohort, dismiss_everybody, join_cohort
from recommons.server.rounds.progress import RoundProgress
from recommons.server.rounds.secure_sum import AttemptRequest, secure_sum
from recommons.server.rounds.tally import Tally
from recommons.server.rounds.traffic import Traffic
from recommons.server.transport.line import LAST_WORDS_SECONDS, Line

__all__ = ["Listener", "TrainingResult", "Watch", "train"]

Listener = Callable[[RoundProgress], None]


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a finished run leaves.

    Attributes:
        release: The model.
        events: What was spent, as events, one list an attempt: sums that were opened, and attempts
            that came to nothing after masked vectors had been asked for.
        aborts: (round, attempt, code) of attempts that came to nothing.
        attempts: Attempts made, the successful ones included.
        dropped: Number of attempts in which a site was not among the survivors, by site.
        traffic: Bytes and seconds, of every process that carried the run out.
    """

    release: ModelRelease
    events: tuple[tuple[GaussianSumRelease, ...], ...]
    aborts: tuple[tuple[int, int, str], ...]
    attempts: int
    dropped: Mapping[str, int]
    traffic: Traffic


@dataclass(frozen=True, kw_only=True, eq=False)
class Watch:
    """Who follows a run.

    Attributes:
        listen: Told of every step.
        keep: Given the result before the run ends at the sites; again when an ended run is taken
            up again.
        stop: What the operator asks for between two attempts.
    """

    listen: Listener = lambda _progress: None
    keep: Callable[[TrainingResult], None] = lambda _result: None
    stop: Callable[[], StopRequest | None] = lambda: None


def train(
    line: Line,
    folder: CoordinatorFolder,
    watch: Watch,
    *,
    deadline_seconds: float = 600.0,
) -> TrainingResult:
    """Carry out the folder's plan, or go on with it where an earlier process stopped.

    Args:
        line: The line to the sites of the cohort.
        folder: The coordinator's folder with the plan.
        watch: Who follows it.
        deadline_seconds: How long each exchange waits for the last site.

    Raises:
        RecommonsError: ``run/sites``, ``run/refused``, ``run/attempts`` or ``run/stopped``; the
            ledger holds why.
    """
    return _Run(line, folder, watch, deadline_seconds).carry_out()


@dataclass
class _Run:
    line: Line
    folder: CoordinatorFolder
    watch: Watch
    deadline_seconds: float
    traffic: Traffic = field(default_factory=Traffic)
    earlier: Traffic = field(default_factory=Traffic)
    cohort: Cohort = field(default_factory=lambda: Cohort(nodes={}))
    announced: bool = False
    vectors_asked: bool = False
    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        plan = self.folder.plan
        self.plan = plan
        self.journal = RunJournal(self.folder)
        self.tally = Tally(self.folder, self.journal)
        self.model = model_from_settings(
            plan.model.name, plan.model.settings, self.folder.catalogue
        )

    def carry_out(self) -> TrainingResult:
        self.journal.open_run()
        self.earlier = Traffic.read(self.folder.folder)
        self.tally.recall()
        ended = self.journal.ended
        if ended is None:
            self._train()
        else:
            self._anchor_again(Outcome(code=ended.body.get("code")))
        start = time.perf_counter()
        release = self.model.release(tuple(self.tally.done))
        self.traffic.clock("release", start)
        result = TrainingResult(
            release=release,
            events=tuple(self.tally.events),
            aborts=tuple(self.tally.aborts),
            attempts=len(self.tally.opened()),
            dropped=self.tally.dropped,
            traffic=self.earlier.plus(self.traffic),
        )
        # In the ledger before it is published, so that what sites may serve is never called failed;
        # published before the run ends anywhere, so that a site that is told so finds it.
        if ended is None:
            model = digest("recommons/model/1", arrays_to_bytes(release.arrays))
            self.journal.release(model, self.tally.guarantee())
        self.watch.keep(result)
        if ended is None:
            self._end(Outcome())
        return result

    def _train(self) -> None:
        rounds = range(len(self.tally.done), len(self.tally.specs))
        if not self.journal.entries("model-released"):  # it is finished, only nobody knows
            self._heed_end(rounds.start)  # before anybody is asked to join what is over
        if rounds:  # otherwise to join would be to be charged for nothing
            self._join()
        for number in rounds:
            with ThreadPoolExecutor(1, "state") as aside:
                # Sites draw and send their keys meanwhile: those are bound to the plan alone.
                state = aside.submit(self._state)
                self._round(number, state.result)

    def _state(self) -> bytes:
        return arrays_to_bytes(self.model.public_state(tuple(self.tally.done)))

    def _join(self) -> None:
        shown = self.journal.shown
        try:
            self.cohort = join_cohort(self.line, self.folder, self.deadline_seconds, shown=shown)
            self.announced = True
        except RecommonsError as error:
            # Nothing has begun: the sites that did join keep their reservation, and the run goes
            # on when the others are there.
            self.journal.end(Outcome(code=error.code), ())
            raise

    def _anchor_again(self, outcome: Outcome) -> None:
        """The run ended before; its last receipt may not have reached the sites.

        Raises:
            RecommonsError: The run had failed, under its code.
        """
        self._dismiss_everybody(outcome)
        self.cohort.anchor(self.line, self.journal, self.deadline_seconds)
        if outcome.code is not None:
            raise RecommonsError(outcome.code, "the run has ended and cannot go on")

    def _round(self, number: int, state: Callable[[], bytes]) -> None:
        """Attempt a round until it gives a sum or the plan's attempts are used up."""
        while True:
            self._heed_end(number)
            attempt = self.tally.opened().count(number)
            try:
                self._attempt(number, attempt, state)
            except ProtocolAbort as abort:
                self.tally.abort(number, attempt, abort.code, asked=self.vectors_asked)
                self._tell(number, attempt, "sum", message=f"aborted: {abort.code}")
            else:
                return

    def _heed_end(self, number: int) -> None:
        """Leave, between two attempts, where the operator asks for it or no attempt is left.

        Raises:
            RecommonsError: ``run/stopped`` or ``run/attempts``.
        """
        asked = self.watch.stop()
        if asked is not None:
            if asked.for_good:
                self._end(Outcome(code="run/stopped"))
            raise RecommonsError("run/stopped", "the operator stopped the run")
        if self.tally.used_up(number):
            self._end(Outcome(code="run/attempts"))
            raise RecommonsError(
                "run/attempts",
                f"round {number} gave no sum in {self.tally.opened().count(number)} attempts and "
                f"the plan's {self.plan.privacy.spare_attempts} spare attempts are used up",
            )

    def _attempt(self, number: int, attempt: int, state: Callable[[], bytes]) -> None:
        self.vectors_asked = False
        context = self.tally.context(number, attempt)
        # Durable before the first message: a context that may have been used is never used again.
        journal = self.journal.open_attempt(number, attempt, context.hash)

        def step(name: str, protocol: CoordinatorRound) -> None:
            self.vectors_asked |= name == "masked"
            absent = set(self.plan.cohort) - set(protocol.expected)
            self._tell(number, attempt, name, dropped=tuple(sorted(absent)))

        result = secure_sum(
            self.line,
            AttemptRequest(
                context=context,
                parameters=self.plan.parameters(),
                spec=self.tally.specs[number],
                public_state=state,
                roster=self.folder.federation.roster,
                nodes=self.cohort.nodes,
                deadline_seconds=self.deadline_seconds,
            ),
            journal,
            self.traffic,
            step,
        )
        self._keep(number, attempt, journal, result)

    def _keep(
        self, number: int, attempt: int, journal: AttemptJournal, result: RoundResult
    ) -> None:
        dropped = tuple(site for site in self.plan.cohort if site not in result.survivors)
        self.tally.lose(dropped)
        found = self.folder.save_sum(number, result.values, len(result.survivors))
        self.tally.take(number, attempt, result.values, len(result.survivors))
        journal.summed(found, self.tally.events[-1])
        self._tell(number, attempt, "release", dropped=dropped)

    def _end(self, outcome: Outcome) -> None:
        """End the run at the sites and here, and leave the last heads with everyone."""
        if self.announced:
            heads = self.cohort.dismiss(self.line, self.journal, outcome, self.deadline_seconds)
        else:
            heads = self._dismiss_everybody(outcome)
        self.journal.end(outcome, heads)
        self.cohort.anchor(self.line, self.journal, self.deadline_seconds)

    def _dismiss_everybody(self, outcome: Outcome) -> list[SignedHead]:
        """Nobody was asked to join, as only the end is left to tell; returns the last heads."""
        # Nobody is known to be at work on an answer: one that is silent holds up other runs.
        self.deadline_seconds = min(self.deadline_seconds, LAST_WORDS_SECONDS)
        told = dismiss_everybody(self.line, self.journal, outcome, self.deadline_seconds)
        self.cohort = told.cohort
        if not told.heads:
            note_refusals(self.folder.folder, told.refused)
        return told.heads

    def _tell(
        self,
        number: int,
        attempt: int,
        step: str,
        dropped: tuple[str, ...] = (),
        message: str = "",
    ) -> None:
        # The total, for whoever takes the run up, and for the report.
        self.earlier.plus(self.traffic).write(self.folder.folder)
        self.watch.listen(
            RoundProgress(
                round=number + 1,
                rounds=len(self.tally.specs),
                attempt=attempt + 1,
                step=step,
                sites_in=len(self.plan.cohort) - len(dropped),
                sites_total=len(self.plan.cohort),
                dropped=dropped,
                bytes_up=self.traffic.bytes_up.total(),
                bytes_down=self.traffic.bytes_down.total(),
                epsilon_spent=self.tally.epsilon(),
                epsilon_target=self.plan.privacy.epsilon,
                by_site=self.traffic.by_site(),
                elapsed=time.perf_counter() - self.began,
                refusals=tuple(self.traffic.refusals),
                message=message,
            )
        )
