"""A ledger read again from its first line, each entry judged by what stood before it."""

from collections.abc import Callable, Mapping
from typing import Any

from recommons.common.audit.findings import Findings
from recommons.common.audit.plans import PlanFacts, PlanReader, epsilon_text, exceeds
from recommons.common.audit.records import Record
from recommons.common.audit.trust import Trust
from recommons.common.privacy.ledger import Entry
from recommons.common.secagg.roster import Roster

__all__ = ["Body", "Handlers", "Replay"]

Body = Mapping[str, Any]
"""What an entry says."""

Handlers = Mapping[str, Callable[[Body], None]]
"""By kind of entry."""


class Replay:
    """What the rules for sites and for the coordinator share.

    Attributes:
        record: The ledger.
        trust: Whose keys count.
        plans: Reads plans.
        findings: Taken up.
        roster: In force, None before the first.
        contexts: The line on which each context was used.
        line: The present line's number, from 1.
    """

    def __init__(self, record: Record, trust: Trust, plans: PlanReader, findings: Findings) -> None:
        self.record, self.trust, self.plans, self.findings = record, trust, plans, findings
        self.roster: Roster | None = None
        self.contexts: dict[str, int] = {}
        self.line = 0

    def judge(self, entry: Entry, handlers: Handlers) -> None:
        """Hand the entry to the rule for its kind."""
        handler = handlers.get(entry.kind)
        if handler is not None:
            handler(entry.body)
        else:
            whose = "coordinator" if self.record.is_coordinator else "site"
            self.find("audit/misplaced", f"a {whose}'s ledger holds no entry of kind {entry.kind}")

    def find(self, code: str, message: str) -> None:
        """A finding at the present line."""
        self.findings.add(code, message, ledger=self.record.name, line=self.line)

    def signed_roster(self, body: Body) -> Roster | None:
        """The roster that an entry puts into force, None where nobody may; epochs rise."""
        roster = self.trust.rosters.get(body["roster"])
        if roster is None:
            self.find("audit/roster", "the roster is none that the federation's key signed")
            return None
        if roster.epoch != body["epoch"]:
            self.find("audit/roster-epoch", "the entry gives another epoch than its roster")
        if self.roster is not None and roster.epoch <= self.roster.epoch:
            self.find(
                "audit/roster-epoch",
                f"epoch {roster.epoch} came into force after epoch {self.roster.epoch}",
            )
        return roster

    def check_plan_roster(self, facts: PlanFacts) -> bool:
        """Whether a plan is for the roster in force."""
        plan, roster = facts.plan, self.roster
        if roster is None:
            self.find("audit/no-roster", "the plan came before any roster")
        elif plan.federation != roster.federation:
            self.find("audit/plan-roster", "the plan is of another federation than the roster")
        elif plan.roster_hash != roster.hash.hex():
            self.find("audit/plan-roster", "the plan is for another roster than the one in force")
        else:
            return True
        return False

    def check_claim(self, facts: PlanFacts) -> None:
        """Whether a plan's releases come to no more than the ε it claims."""
        claimed = facts.plan.privacy.target
        if exceeds(facts.reserved_epsilon, claimed, sampled=facts.is_sampled):
            self.find(
                "audit/plan-claim",
                f"the plan claims epsilon {epsilon_text(claimed)}; its releases and spare attempts "
                f"come to {epsilon_text(facts.reserved_epsilon)} at delta {facts.delta:g}",
            )
