"""What the site took part in and what it refused, as its own ledger tells it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from recommons.common.console.costs import epsilon_at, spending_of_entries
from recommons.common.console.refusals import Refused
from recommons.common.hashing import canonical_json
from recommons.common.plan import Plan
from recommons.common.privacy.ledger import Entry
from recommons.common.privacy.spending import Spending

__all__ = ["Attempt", "History", "Run", "history_of"]


@dataclass(kw_only=True)
class Attempt:
    """One attempt at one round.

    Attributes:
        round: From 1.
        attempt: From 1.
        begun: When its cost was reserved.
        changed: When its last entry was written.
        state: ``reserved``; ``sent`` once the masked vector may have left; ``released`` once a
            quorum had certified the survivors; ``aborted``.
        code: Why it was aborted.
        survivors: The sites in the sum, None before the certificate.
        masked: SHA-256 of the masked vector, hex; None before the certificate.
        epsilon: ε of everything of the run that has left, up to this attempt.
        spent: Whether its vector may have left.
    """

    round: int
    attempt: int
    begun: str
    changed: str
    state: str = "reserved"
    code: str | None = None
    survivors: tuple[str, ...] | None = None
    masked: str | None = None
    epsilon: float | None = None
    spent: bool = False


@dataclass(kw_only=True)
class Run:
    """One run that the site joined.

    Attributes:
        id: Its id, hex.
        plan: Its plan.
        plan_hash: Hex.
        begun: When it was joined.
        ended: When it ended here; empty while it goes on.
        outcome: As the ledger has it; empty while it goes on.
        attempts: In order.
        reserved: ε of the whole plan at its δ; None where no guarantee is claimed.
        released: ε of what has left.
        exhausted: Users were left out whose budget did not hold the plan.
    """

    id: str
    plan: Plan
    plan_hash: str
    begun: str
    ended: str = ""
    outcome: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    reserved: float | None = None
    released: float | None = None
    exhausted: bool = False

    @property
    def current(self) -> Attempt | None:
        """The attempt that goes on, None for none."""
        last = self.attempts[-1] if self.attempts else None
        goes_on = last is not None and last.state in {"reserved", "sent"} and not self.ended
        return last if goes_on else None


@dataclass(kw_only=True)
class History:
    """All of it.

    Attributes:
        runs: In the order in which they were joined.
        refused: In order.
    """

    runs: list[Run] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def history_of(entries: Iterable[Entry]) -> History:
    """Read a site's ledger.

    Args:
        entries: Verified entries from the first.
    """
    reading = _Reading()
    for entry in entries:
        reading.take(entry)
    return reading.history


class _Reading:
    def __init__(self) -> None:
        self.history = History()
        self.runs: dict[str, Run] = {}
        self.spent: dict[str, Spending] = {}

    def take(self, entry: Entry) -> None:
        body, kind = entry.body, entry.kind
        if kind == "plan-accepted":
            self._join(entry)
        elif kind == "plan-refused":
            self._refuse(entry, body["code"], _sentence(body["reason"], "The plan was refused"))
        elif kind == "round-refused":
            self._refuse(entry, body["code"], _sentence(body["reason"], "The round was refused"))
        elif kind == "old-backup":
            self._refuse(entry, "site/old-backup", "The site's folder lacks lines of its ledger.")
        elif body.get("run") in self.runs:
            self._advance(self.runs[body["run"]], entry)

    def _join(self, entry: Entry) -> None:
        plan = Plan.from_bytes(canonical_json(entry.body["document"]))
        private = plan.privacy.epsilon is not None
        run = Run(
            id=entry.body["run"],
            plan=plan,
            plan_hash=entry.body["plan"],
            begun=entry.time,
            reserved=epsilon_at(plan.reserved(), plan.privacy.delta) if private else None,
            released=0.0 if private else None,
        )
        self.runs[run.id] = run
        self.history.runs.append(run)

    def _refuse(self, entry: Entry, code: str, said: str) -> None:
        self.history.refused.append(
            Refused(time=entry.time, place=_place(entry), code=code, said=said)
        )

    def _advance(self, run: Run, entry: Entry) -> None:
        body = entry.body
        if entry.kind == "reserved":
            run.attempts.append(
                Attempt(
                    round=body["round"] + 1,
                    attempt=body["attempt"] + 1,
                    begun=entry.time,
                    changed=entry.time,
                )
            )
        elif entry.kind == "budget-exhausted":
            run.exhausted = True
        elif entry.kind == "run-ended":
            run.ended, run.outcome = entry.time, body["outcome"]
            if "code" in body:
                self._refuse(entry, body["code"], "The run failed.")
        else:
            self._change(run, entry)

    def _change(self, run: Run, entry: Entry) -> None:
        body = entry.body
        place = (body.get("round", -1) + 1, body.get("attempt", -1) + 1)
        attempt = next((a for a in run.attempts if (a.round, a.attempt) == place), None)
        if attempt is None:
            return
        attempt.changed = entry.time
        if entry.kind == "committed":
            attempt.state, attempt.spent = "sent", True
            if run.released is not None:
                before = self.spent.get(run.id, Spending())
                total = Spending.total([before, spending_of_entries(body["events"])])
                self.spent[run.id] = total
                attempt.epsilon = run.released = epsilon_at(total, run.plan.privacy.delta)
        elif entry.kind == "released":
            attempt.state, attempt.masked = "released", body["masked"]
            attempt.survivors = tuple(body["survivors"])
        elif entry.kind == "aborted":
            attempt.state, attempt.code = "aborted", body["code"]
            said = _sentence(body.get("reason", ""), "The attempt was given up")
            self._refuse(entry, body["code"], said)


def _place(entry: Entry) -> str:
    body = entry.body
    words = [f"run {body['run'][:8]}"] if "run" in body else []
    if "round" in body:
        words.append(f"round {body['round'] + 1}, attempt {body['attempt'] + 1}")
    return ", ".join(words)


def _sentence(reason: str, otherwise: str) -> str:
    text = (reason or otherwise).strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
