"""Runs and attempts as the coordinator's ledger tells them. Pure: entries in, values out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from recommons.common.console.costs import epsilon_at, spending_of_entries
from recommons.common.hashing import canonical_json
from recommons.common.plan import Plan
from recommons.common.privacy.ledger import Entry
from recommons.common.privacy.spending import Spending

__all__ = ["Attempt", "Run", "runs_of"]


@dataclass(kw_only=True)
class Attempt:
    """One attempt at one round.

    Attributes:
        round: From 1.
        attempt: From 1.
        begun: When its first message was due.
        ended: When it gave a sum or was given up; empty while it goes on.
        outcome: ``open``, ``summed`` or ``aborted``.
        code: Why it was aborted.
        answered: The sites whose keys went out (U1), None before.
        survivors: The sites in the sum, None where there is no certificate.
        missing: Sites of the cohort that are not in it: among the survivors, or else in U1.
        epsilon: ε of everything released in the run up to this attempt.
    """

    round: int
    attempt: int
    begun: str
    ended: str = ""
    outcome: str = "open"
    code: str | None = None
    answered: tuple[str, ...] | None = None
    survivors: tuple[str, ...] | None = None
    missing: tuple[str, ...] = ()
    epsilon: float | None = None


@dataclass(kw_only=True)
class Run:
    """One run.

    Attributes:
        id: Our own run id, hex.
        plan: Its plan.
        plan_hash: The plan's hash, hex.
        begun: When its plan was announced.
        ended: When it ended for good; empty while it may go on.
        last_code: The code under which it ended or was last interrupted, None for none.
        attempts: In order.
        reserved: ε of the whole plan with all its spare attempts; None where none is claimed.
        released: ε of everything released; None where no guarantee is claimed.
        model: The body of its `model-released` entry, None before.
        model_time: When the model was released.
    """

    id: str
    plan: Plan
    plan_hash: str
    begun: str
    ended: str = ""
    last_code: str | None = None
    attempts: list[Attempt] = field(default_factory=list)
    reserved: float | None = None
    released: float | None = None
    model: dict[str, Any] | None = None
    model_time: str = ""

    @property
    def state(self) -> str:
        """``running``, ``waiting``, ``failed`` or ``finished``, as far as the ledger tells."""
        if self.ended:
            return "failed" if self.last_code else "finished"
        return "waiting" if self.last_code else "running"

    @property
    def current(self) -> Attempt | None:
        """The attempt that goes on, None for none."""
        last = self.attempts[-1] if self.attempts else None
        return last if last is not None and last.outcome == "open" else None


def runs_of(entries: Iterable[Entry]) -> list[Run]:
    """The runs in a coordinator's ledger, in the order in which they began.

    Args:
        entries: Verified entries from the first.
    """
    found: dict[str, _Reading] = {}
    for entry in entries:
        run = entry.body.get("run")
        if entry.kind == "plan":
            found[entry.body["run"]] = _Reading(entry)
        elif run in found:
            found[run].take(entry)
    return [reading.run for reading in found.values()]


class _Reading:
    """One run while its entries are read."""

    def __init__(self, entry: Entry) -> None:
        plan = Plan.from_bytes(canonical_json(entry.body["document"]))
        self.private = plan.privacy.epsilon is not None
        self.delta = plan.privacy.delta
        self.spent = Spending()
        self.run = Run(
            id=entry.body["run"],
            plan=plan,
            plan_hash=entry.body["plan"],
            begun=entry.time,
            reserved=epsilon_at(plan.reserved(), self.delta) if self.private else None,
            released=0.0 if self.private else None,
        )

    def take(self, entry: Entry) -> None:
        body, run = entry.body, self.run
        if entry.kind == "round-opened":
            run.last_code = None
            run.attempts.append(
                Attempt(round=body["round"] + 1, attempt=body["attempt"] + 1, begun=entry.time)
            )
        elif entry.kind == "model-released":
            run.model, run.model_time = dict(body), entry.time
        elif entry.kind == "run-ended":
            run.last_code = body.get("code")
            # Without heads it could not begin or go on for now, and is taken up again later.
            run.ended = entry.time if body.get("heads") else ""
        elif run.attempts:
            self._advance(run.attempts[-1], entry)

    def _advance(self, attempt: Attempt, entry: Entry) -> None:
        body = entry.body
        if entry.kind == "advertisements":
            attempt.answered = tuple(body["sites"])
        elif entry.kind == "certificate":
            attempt.survivors = tuple(body["survivors"])
        elif entry.kind in {"sum", "round-aborted"}:
            attempt.ended = entry.time
            attempt.outcome = "summed" if entry.kind == "sum" else "aborted"
            attempt.code = body.get("code")
            if self.private:
                self.spent = Spending.total([self.spent, spending_of_entries(body["events"])])
                attempt.epsilon = self.run.released = epsilon_at(self.spent, self.delta)
        there = attempt.survivors if attempt.survivors is not None else attempt.answered
        if there is not None:
            attempt.missing = tuple(s for s in self.run.plan.cohort if s not in there)
