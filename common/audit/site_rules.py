"""A site's ledger, read again from its first line: did the site keep to its own rules?

Every entry is judged by what the ledger held before it: the roster pinned, the policy in force, the
plans joined, the contexts used.
"""

from recommons.common.audit.approvals import acceptance_faults
from recommons.common.audit.budgets import exceeds_now
from recommons.common.audit.findings import Findings
from recommons.common.audit.histories import SiteAttempt, SiteHistory, SiteRun, seconds_of
from recommons.common.audit.plans import PlanFacts, PlanReader
from recommons.common.audit.policies import peers_fault, policy_fault
from recommons.common.audit.records import Record
from recommons.common.audit.replay import Body, Handlers, Replay
from recommons.common.audit.trust import Trust
from recommons.common.errors import InvalidInput
from recommons.common.hashing import canonical_json
from recommons.common.policy import Policy
from recommons.common.privacy.ledger import Entry

__all__ = ["site_history"]

_LEAVING = ("reserved", "committed", "released")
"""Entries with which something of a run leaves the site; others do not prolong a window."""


def site_history(
    record: Record, trust: Trust, plans: PlanReader, findings: Findings
) -> SiteHistory:
    """What the ledger tells; a finding for each entry that breaks a rule."""
    replay = _Replay(record, trust, plans, findings)
    for entry in record.entries:
        replay.take(entry)
    return replay.history


class _Replay(Replay):
    def __init__(self, record: Record, trust: Trust, plans: PlanReader, findings: Findings) -> None:
        super().__init__(record, trust, plans, findings)
        self.history = SiteHistory(record=record)
        self.policy: Policy | None = None
        self.faults: dict[tuple[bytes, str, bytes | None], str | None] = {}
        self.halted: int | None = None
        self.halt_epoch = 0
        self.now = 0.0
        self.before: Entry | None = None
        self.handlers: Handlers = {
            "roster-accepted": self._roster_accepted,
            "policy-changed": self._policy_changed,
            "plan-accepted": self._plan_accepted,
            "round-refused": self._round_refused,
            "reserved": self._reserved,
            "committed": self._committed,
            "released": self._released,
            "aborted": self._aborted,
            "budget-exhausted": self._budget_exhausted,
            "old-backup": self._old_backup,
            "halt-cleared": self._halt_cleared,
            "earlier-ledger": self._earlier_ledger,
            "head-forgotten": self._head_forgotten,
            "run-ended": self._run_ended,
            "plan-refused": lambda _body: None,
            "user-forgotten": lambda _body: None,
        }

    def take(self, entry: Entry) -> None:
        """Judge the next entry."""
        self.line = entry.seq + 1
        self._tick(entry)
        self.judge(entry, self.handlers)
        run = self.history.runs.get(entry.body.get("run", ""))
        if run is not None and entry.kind in _LEAVING:
            run.active = self.now
        self.before = entry

    def _tick(self, entry: Entry) -> None:
        if self.before is not None and entry.time == self.before.time:
            return
        time = seconds_of(entry.time)
        if time < self.now:
            self.find("audit/clock", "the writer's clock went backwards")
        self.now = max(self.now, time)

    # What is in force.

    def _roster_accepted(self, body: Body) -> None:
        roster = self.signed_roster(body)
        if roster is None:
            return
        own = roster.keys.get(self.record.writer)
        if own is None or self.trust.ledger_key(self.record.writer, own) != self.record.key:
            self.find("audit/roster", "the site is not on this roster with the key it signs with")
        if body["accepted"] == "joined" and self.roster is not None:
            self.find("audit/roster-approval", "the site had joined under another roster before")
        before = self.roster or self.trust.roster_before(roster)
        for code, message in acceptance_faults(body, roster, before, self.policy):
            self.find(code, message)
        self.roster = roster

    def _policy_changed(self, body: Body) -> None:
        try:
            policy = Policy.from_json(canonical_json(body["document"]))
        except InvalidInput as error:
            self.find("audit/policy-document", error.message)
            self.policy = None
            return
        if policy.hash.hex() != body["policy"]:
            self.find("audit/policy-document", "the document leaves out what the policy decides")
        self.policy = policy
        self.history.policies.append((self.line, policy))

    # Runs.

    def _plan_accepted(self, body: Body) -> None:
        run_id = body["run"]
        if run_id in self.history.runs:
            self.find("audit/run-repeated", f"run {run_id} was joined before")
            return
        self._check_not_halted()
        read = self.plans.read(body["plan"], body["document"])
        facts = read if isinstance(read, PlanFacts) else None
        if not isinstance(read, PlanFacts):
            self.find("audit/plan", f"the plan cannot be what was agreed to: {read}")
        if self.policy is not None and self.policy.hash.hex() != body["policy"]:
            self.find("audit/policy", "the plan was accepted under another policy than in force")
        self.history.runs[run_id] = SiteRun(
            run=run_id,
            line=self.line,
            facts=facts,
            joined=self.now,
            active=self.now,
            policy=self.policy,
            roster=self.roster,
        )
        if facts is not None:
            self._check_accepted(facts)

    def _check_accepted(self, facts: PlanFacts) -> None:
        self.check_plan_roster(facts)
        if self.record.writer not in facts.plan.cohort:
            self.find("audit/plan-cohort", "the plan's cohort does not name this site")
        self.check_claim(facts)
        self._check_policy(facts)

    def _check_policy(self, facts: PlanFacts) -> None:
        if self.policy is None:
            self.find("audit/no-policy", "no policy that can be read was in force")
        elif self.record.writer in facts.plan.cohort:
            fault = self._policy_fault(self.policy, facts)
            if fault is not None:
                self.find("audit/policy", f"the policy in force does not allow it: {fault}")

    def _policy_fault(self, policy: Policy, facts: PlanFacts) -> str | None:
        """Worked out once: many runs have one plan, and every round is judged anew."""
        key = (policy.hash, facts.hash, None if self.roster is None else self.roster.hash)
        if key not in self.faults:
            self.faults[key] = policy_fault(policy, facts, self.roster, self.record.writer)
        return self.faults[key]

    def _run_ended(self, body: Body) -> None:
        run = self._joined(body)
        if run is not None and run.ended is None:
            run.ended, run.ended_at = self.line, self.now
        elif run is not None:
            self.find("audit/after-end", "the run had ended before")

    def _round_refused(self, body: Body) -> None:
        self._joined(body)

    def _budget_exhausted(self, body: Body) -> None:
        run = self._joined(body)
        if run is None:
            return
        run.exhausted = self.line
        rules = None if run.policy is None else run.policy.budget
        told = (body["window_days"], body["epsilon"], body["delta"])
        if rules is not None and told != (rules.window_days, rules.epsilon, rules.delta):
            self.find("audit/policy", "the entry gives other caps than the policy in force")

    def _joined(self, body: Body) -> SiteRun | None:
        run = self.history.runs.get(body["run"])
        if run is None:
            self.find("audit/not-joined", f"run {body['run']} was never joined")
        return run

    # Attempts.

    def _reserved(self, body: Body) -> None:
        run = self._joined(body)
        if run is None:
            return
        self._check_not_halted()
        place = (body["round"], body["attempt"])
        if place in run.attempts or body["context"] in self.contexts:
            before = self.contexts.get(body["context"], 0)
            self.find("audit/context-used", f"the attempt was begun before, on line {before}")
            return
        self.contexts[body["context"]] = self.line
        run.attempts[place] = SiteAttempt(context=body["context"], reserved=self.line)
        if run.ended is not None:
            self.find("audit/after-end", "an attempt began after the run had ended")
        if run.facts is None or not self._fits_plan(run, run.facts, body):
            return
        if body["plan"] != run.facts.hash:
            self.find("audit/plan-differs", "the attempt is of another plan than was accepted")
        repeats = len(run.attempts) - len({number for number, _ in run.attempts})
        spare = run.facts.plan.privacy.spare_attempts
        if repeats > spare:
            self.find("audit/attempts", f"attempt beyond the plan's {spare} spare ones")
        self._check_round_policy(run, run.facts)

    def _fits_plan(self, run: SiteRun, facts: PlanFacts, body: Body) -> bool:
        """Whether round, context and releases are those of the plan."""
        number, attempt = body["round"], body["attempt"]
        if number >= facts.rounds:
            self.find("audit/events", f"the plan has {facts.rounds} rounds; this is {number}")
            return False
        if attempt > facts.plan.privacy.spare_attempts:
            self.find("audit/attempts", f"attempt {attempt} is beyond the plan's spare ones")
            return False
        if body["context"] != facts.context(run.run, number, attempt):
            self.find("audit/context", "the context is not that of this attempt of this plan")
        if body["events"] != facts.events(number, attempt):
            self.find("audit/events", "the releases are not those of the plan")
        return True

    def _check_round_policy(self, run: SiteRun, facts: PlanFacts) -> None:
        if self.roster is not run.roster:
            self.find("audit/plan-roster", "another roster was pinned since the run was joined")
        if self.policy is None or self.policy is run.policy:
            return
        self._check_policy(facts)
        fault = exceeds_now(self.history.runs.values(), self.now, self.policy)
        if fault is not None:
            self.find("audit/budget", fault)

    def _attempt(self, body: Body) -> tuple[SiteRun, SiteAttempt] | None:
        """The run and attempt of an entry that must follow on a reservation."""
        run = self._joined(body)
        if run is None:
            return None
        attempt = run.attempts.get((body["round"], body["attempt"]))
        if attempt is None or attempt.context != body["context"]:
            self.find("audit/not-reserved", "nothing was reserved for this attempt")
            return None
        return run, attempt

    def _open_attempt(self, body: Body) -> tuple[SiteRun, SiteAttempt] | None:
        """The same, of an entry with which something leaves the site."""
        found = self._attempt(body)
        self._check_not_halted()
        if found is None:
            return None
        run, attempt = found
        if attempt.aborted is not None or attempt.released is not None or run.ended is not None:
            self.find("audit/after-end", "the attempt or its run was over")
        if run.facts is not None:
            self._fits_plan(run, run.facts, body)
        return found

    def _committed(self, body: Body) -> None:
        found = self._open_attempt(body)
        if found is None:
            return
        run, attempt = found
        if attempt.committed is not None:
            self.find("audit/context-used", "a second vector was masked in one attempt")
        attempt.committed, attempt.committed_at = self.line, self.now
        attempt.policy = self.policy
        if run.facts is not None:
            self._check_round_policy(run, run.facts)

    def _released(self, body: Body) -> None:
        found = self._open_attempt(body)
        if found is None:
            return
        run, attempt = found
        if attempt.committed is None:
            self.find("audit/not-reserved", "shares were revealed without a vector before")
        attempt.released = self.line
        attempt.masked, attempt.certificate = body["masked"], body["certificate"]
        attempt.survivors = tuple(body["survivors"])
        if run.facts is None:
            return
        plan = run.facts.plan
        unfit = set(attempt.survivors) - set(plan.cohort)
        if unfit or self.record.writer not in attempt.survivors:
            self.find("audit/survivors", "the survivors are not of the cohort, or lack this site")
        elif len(attempt.survivors) < plan.privacy.min_survivors:
            self.find("audit/survivors", f"fewer than {plan.privacy.min_survivors} survivors")
        policy = attempt.policy or self.policy
        if policy is not None and self.roster is not None:
            fault = peers_fault(
                policy, run.facts, self.roster, self.record.writer, attempt.survivors
            )
            if fault is not None:
                self.find("audit/verified-peers", fault)

    def _aborted(self, body: Body) -> None:
        found = self._attempt(body)
        if found is not None:
            found[1].aborted = self.line

    # Halts.

    def _old_backup(self, body: Body) -> None:
        self.halted = self.line
        self.halt_epoch = 0 if self.roster is None else self.roster.epoch
        self.history.lost[body["seq"], body["head"]] = self.line
        self.find(
            "audit/old-backup",
            f"the site lost lines: others hold its line {body['seq'] + 1}, which it lacks",
        )

    def _halt_cleared(self, body: Body) -> None:
        epoch = 0 if self.roster is None else self.roster.epoch
        if self.halted is None or (body["seq"], body["head"]) not in self.history.lost:
            self.find("audit/halted", "a halt was cleared that the ledger does not hold")
        elif epoch <= self.halt_epoch:
            self.find("audit/halted", "the halt was cleared under the roster of the halt")
        self.halted = None

    def _earlier_ledger(self, body: Body) -> None:
        self.find(
            "audit/earlier-ledger",
            f"a site of this name had another ledger, up to line {body['seq'] + 1} or beyond; the "
            "operator has said that every user counts as spent (not checked here)",
        )

    def _head_forgotten(self, body: Body) -> None:
        self.find(
            "audit/head-forgotten",
            f"the operator had the site forget line {body['seq'] + 1} of {body['writer']}'s ledger",
        )

    def _check_not_halted(self) -> None:
        if self.halted is not None:
            self.find("audit/halted", f"the site was halted since line {self.halted}")
