"""The coordinator's ledger, read again from its first line."""

from recommons.common.audit.certificates import certificate_faults
from recommons.common.audit.findings import Findings
from recommons.common.audit.histories import (
    CoordinatorAttempt,
    CoordinatorHistory,
    CoordinatorRun,
    seconds_of,
)
from recommons.common.audit.pending import Pending
from recommons.common.audit.plans import PlanFacts, PlanReader
from recommons.common.audit.records import Record
from recommons.common.audit.replay import Body, Handlers, Replay
from recommons.common.audit.trust import Trust
from recommons.common.hashing import digest
from recommons.common.privacy.ledger import Entry

__all__ = ["coordinator_history"]

_COMMITMENT = "recommons/canaries/1/commitment"


def coordinator_history(
    record: Record, trust: Trust, plans: PlanReader, pending: Pending, findings: Findings
) -> CoordinatorHistory:
    """What the ledger tells; a finding for each entry that breaks a rule.

    Args:
        record: The coordinator's ledger.
        trust: Whose keys count.
        plans: Reads plans.
        pending: Takes the signatures in certificates, to be checked later.
        findings: Taken up.
    """
    replay = _Replay(record, trust, plans, pending, findings)
    for entry in record.entries:
        replay.take(entry)
    return replay.history


class _Replay(Replay):
    def __init__(
        self,
        record: Record,
        trust: Trust,
        plans: PlanReader,
        pending: Pending,
        findings: Findings,
    ) -> None:
        super().__init__(record, trust, plans, findings)
        self.pending = pending
        self.history = CoordinatorHistory(record=record)
        self.commitments: dict[str, str] = {}
        self.shown: set[str] = set()
        self.time = ""
        self.handlers: Handlers = {
            "roster": self._roster,
            "plan": self._plan,
            "round-opened": self._opened,
            "advertisements": self._advertised,
            "heads": self._heads,
            "certificate": self._certified,
            "sum": self._summed,
            "round-aborted": self._aborted,
            "model-released": self._released,
            "run-ended": self._ended,
            "canaries-committed": self._canaries_committed,
            "canaries-revealed": self._canaries_revealed,
        }

    def take(self, entry: Entry) -> None:
        """Judge the next entry."""
        self.line, self.time = entry.seq + 1, entry.time
        self.judge(entry, self.handlers)

    def _roster(self, body: Body) -> None:
        self.roster = self.signed_roster(body) or self.roster

    def _plan(self, body: Body) -> None:
        if body["run"] in self.history.runs:
            self.find("audit/run-repeated", f"run {body['run']} had begun before")
            return
        read = self.plans.read(body["plan"], body["document"])
        facts = read if isinstance(read, PlanFacts) else None
        self.history.runs[body["run"]] = CoordinatorRun(
            run=body["run"], record=self.record, line=self.line, facts=facts
        )
        if not isinstance(read, PlanFacts):
            self.find("audit/plan", f"the plan cannot be carried out: {read}")
            return
        in_force = self.check_plan_roster(read)
        if in_force and self.roster and not set(read.plan.cohort) <= set(self.roster.keys):
            self.find("audit/plan-cohort", "the plan's cohort names sites that are not listed")
        self.check_claim(read)

    def _run(self, body: Body) -> CoordinatorRun | None:
        run = self.history.runs.get(body["run"])
        if run is None:
            self.find("audit/not-joined", f"run {body['run']} has no plan")
        return run

    def _opened(self, body: Body) -> None:
        run = self._run(body)
        if run is None:
            return
        place = (body["round"], body["attempt"])
        if place in run.attempts or body["context"] in self.contexts:
            self.find("audit/context-used", "the attempt was begun before")
            return
        self.contexts[body["context"]] = self.line
        run.attempts[place] = CoordinatorAttempt(context=body["context"], opened=self.line)
        if run.ended is not None:
            self.find("audit/after-end", "an attempt began after the run had ended")
        if run.run in self.shown:
            self.find("audit/canaries", "an attempt began after the canaries' seed was shown")
        if run.facts is None:
            return
        spare = run.facts.plan.privacy.spare_attempts
        repeats = len(run.attempts) - len({number for number, _ in run.attempts})
        if body["round"] >= run.facts.rounds:
            self.find("audit/events", f"the plan has {run.facts.rounds} rounds")
        elif body["context"] != run.facts.context(run.run, *place):
            self.find("audit/context", "the context is not that of this attempt of this plan")
        if repeats > spare:
            self.find("audit/attempts", f"attempt beyond the plan's {spare} spare ones")

    def _attempt(self, body: Body) -> tuple[CoordinatorRun, CoordinatorAttempt] | None:
        run = self._run(body)
        if run is None:
            return None
        attempt = run.attempts.get((body["round"], body["attempt"]))
        if attempt is None or attempt.context != body["context"]:
            self.find("audit/not-reserved", "this attempt was never opened")
            return None
        if attempt.summed is not None or attempt.aborted is not None:
            self.find("audit/after-end", "the attempt was over")
        return run, attempt

    def _advertised(self, body: Body) -> None:
        found = self._attempt(body)
        if found is None:
            return
        run, attempt = found
        attempt.advertised, attempt.advertisers = self.line, tuple(body["sites"])
        self._check_sites(run, attempt.advertisers)

    def _heads(self, body: Body) -> None:
        found = self._attempt(body)
        if found is None:
            return
        run, attempt = found
        attempt.heads = self.line
        attempt.heads_of = tuple(item["site"] for item in body["heads"])
        self._check_sites(run, attempt.heads_of)

    def _check_sites(self, run: CoordinatorRun, sites: tuple[str, ...]) -> None:
        if run.facts is None:
            return
        plan = run.facts.plan
        if not set(sites) <= set(plan.cohort):
            self.find("audit/survivors", "sites that are not of the cohort took part")
        elif len(sites) < plan.privacy.min_survivors:
            self.find("audit/survivors", f"fewer than {plan.privacy.min_survivors} sites")

    def _certified(self, body: Body) -> None:
        found = self._attempt(body)
        if found is None:
            return
        run, attempt = found
        if attempt.certified is not None:
            self.find("audit/survivors", "a second certificate for one attempt")
        attempt.certified, attempt.certificate = self.line, body["certificate"]
        attempt.shared, attempt.survivors = tuple(body["shared"]), tuple(body["survivors"])
        if not set(attempt.shared) <= set(attempt.advertisers):
            self.find("audit/survivors", "sites shared keys to which nobody's keys were sent")
        attempt.masked = {item["site"]: item["masked"] for item in body["masked"]}
        if attempt.heads is None or attempt.heads_of != attempt.survivors:
            self.find("audit/survivors", "the survivors are not those whose heads were taken")
        if set(attempt.masked) != set(attempt.survivors):
            self.find("audit/survivors", "the vectors are not the survivors'")
        if run.facts is not None:
            roster = self.trust.rosters.get(run.facts.plan.roster_hash)
            for code, message in certificate_faults(
                body, run.facts, roster, self.pending.at(self.record.name, self.line)
            ):
                self.find(code, message)

    def _summed(self, body: Body) -> None:
        found = self._attempt(body)
        if found is None:
            return
        run, attempt = found
        if attempt.certified is None:
            self.find("audit/survivors", "a sum was opened without a certificate")
        attempt.summed, attempt.summed_at = self.line, seconds_of(self.time)
        self._check_events(run, body, may_be_empty=False)

    def _aborted(self, body: Body) -> None:
        found = self._attempt(body)
        if found is None:
            return
        run, attempt = found
        attempt.aborted, attempt.charged = self.line, bool(body["events"])
        self._check_events(run, body, may_be_empty=True)
        if (attempt.certified or attempt.heads) and not attempt.charged:
            self.find("audit/uncounted-attempt", "vectors were sent, but nothing is charged")

    def _check_events(self, run: CoordinatorRun, body: Body, *, may_be_empty: bool) -> None:
        if run.facts is None or (may_be_empty and not body["events"]):
            return
        number = body["round"]
        if number >= run.facts.rounds or body["events"] != run.facts.events(
            number, body["attempt"]
        ):
            self.find("audit/events", "the releases are not those of the plan")

    def _released(self, body: Body) -> None:
        run = self._run(body)
        if run is None:
            return
        if run.released is not None:
            self.find("audit/run-repeated", "the run's model had been released before")
        run.released, run.claim = self.line, body
        if run.facts is None:
            return
        done = {number for (number, _), a in run.attempts.items() if a.summed is not None}
        if done != set(range(run.facts.rounds)):
            self.find("audit/events", "a model was released before all rounds were summed")
        if body["plan"] != run.facts.hash:
            self.find("audit/plan-differs", "the release names another plan than the run's")

    def _ended(self, body: Body) -> None:
        run = self._run(body)
        # Without heads the run could not go on for the time being; it may still.
        if run is not None and body.get("heads"):
            if run.ended is not None:
                self.find("audit/after-end", "the run had ended before")
            run.ended = self.line

    # The seed of an empirical audit's coins: committed before the run, shown after it.

    def _canaries_committed(self, body: Body) -> None:
        run = self.history.runs.get(body["run"])
        if body["run"] in self.commitments:
            self.find("audit/canaries", "a seed was committed to before for this run")
        elif run is not None and run.attempts:
            self.find("audit/canaries", "the seed was committed to after the first round began")
        self.commitments.setdefault(body["run"], body["commitment"])

    def _canaries_revealed(self, body: Body) -> None:
        run, committed = self.history.runs.get(body["run"]), self.commitments.get(body["run"])
        seed = digest(_COMMITMENT, bytes.fromhex(body["run"]), bytes.fromhex(body["seed"]))
        if committed is None:
            self.find("audit/canaries", "a seed was shown to which nobody had committed")
        elif seed.hex() != committed:
            self.find("audit/canaries", "the seed shown is not the one committed to")
        if run is None:
            self.find("audit/not-joined", f"run {body['run']} has no plan")
        elif any(a.summed is None and a.aborted is None for a in run.attempts.values()):
            self.find("audit/canaries", "the seed was shown before the last attempt was over")
        self.shown.add(body["run"])
