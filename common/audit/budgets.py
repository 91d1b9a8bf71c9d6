"""Budgets per user and window, recomputed for users a ledger does not name.

A ledger holds plans, not users. So the audit follows users who might be there: for each run, one
who is a user of the site from that run on, and who takes part in every later run that still fits
the caps. The rule (`docs/policy.md`): a run charges each participant for the whole plan, and counts
while it is open, and afterwards for the window and the life of an attempt. A ledger does not show
all that a site answered, so that a charge may count longer than it seems here, never shorter.
"""

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from math import inf

from recommons.common.audit.accountant import Balance, Charge, epsilon_of
from recommons.common.audit.findings import Findings
from recommons.common.audit.histories import SiteHistory, SiteRun
from recommons.common.audit.plans import CLAIM_SLACK, epsilon_text
from recommons.common.policy import ATTEMPT_LIFE_SECONDS, BudgetPolicy, Policy

__all__ = ["WindowSpending", "check_budgets", "exceeds_now"]

_DAY = 86_400.0
_MOST_STARTS = 500


@dataclass(frozen=True, kw_only=True)
class WindowSpending:
    """The most that any one user of a site can have been charged for in any window.

    Attributes:
        epsilon: ε of it at `delta`; infinite where there is no guarantee.
        delta: The policy's δ, at which its cap is read.
        cap: The cap on ε; infinite where it is unlimited.
        window_days: The window; 0 for all time.
    """

    epsilon: float
    delta: float
    cap: float
    window_days: int


def check_budgets(histories: Sequence[SiteHistory], findings: Findings) -> WindowSpending | None:
    """Recompute the budgets of a site's users run by run.

    Args:
        histories: What the site's ledgers tell; one that was enrolled anew has several.
        findings: Taken up.

    Returns:
        What a user can have been charged for at most, under the last policy; None where no run was
        joined under a policy that can be read.
    """
    for history in histories:
        own = _joined(history.runs.values())
        for place, run in enumerate(own):
            if run.policy is not None:
                _check_run(
                    run, _Window(own[: place + 1], run.joined, run.policy.budget), history, findings
                )
    joined = _joined(run for history in histories for run in history.runs.values())
    joined.sort(key=lambda run: run.joined)
    if not joined or joined[-1].policy is None:
        return None
    rules = joined[-1].policy.budget
    return WindowSpending(
        epsilon=_most(joined, rules),
        delta=rules.delta,
        cap=_cap(rules),
        window_days=rules.window_days,
    )


def _joined(runs: Iterable[SiteRun]) -> list[SiteRun]:
    return [run for run in runs if run.facts is not None and run.policy is not None]


def exceeds_now(runs: Iterable[SiteRun], now: float, policy: Policy) -> str | None:
    """Whether a site that refuses what is beyond its caps must not go on with a run.

    Args:
        runs: Joined so far.
        now: In seconds.
        policy: In force.

    Returns:
        Why, or None.
    """
    rules, joined = policy.budget, _joined(runs)
    if rules.when_exhausted != "refuse" or not joined:
        return None
    window = _Window(joined, now, rules)
    return window.fault() if window.exceeds(window.counted) else None


def _most(joined: Sequence[SiteRun], rules: BudgetPolicy) -> float:
    """The most that a user is charged for in a window of the last policy.

    Followed are users present from one of the runs on; each run is decided by the rules of its own
    time, and what was charged then counts in today's window.
    """
    then = [
        _Window(joined[: place + 1], run.joined, run.policy.budget if run.policy else rules)
        for place, run in enumerate(joined)
    ]
    now = [_Window(joined[: place + 1], run.joined, rules) for place, run in enumerate(joined)]
    counting = [{run.run for run in window.counted} for window in now]
    for_all = [window.takes_everybody() for window in then]
    most, known = 0.0, set[tuple[int, ...]]()
    for start in range(max(0, len(joined) - _MOST_STARTS), len(joined)):
        taken: list[int] = []
        for place in range(start, len(joined)):
            if for_all[place] or then[place].takes({joined[one].run for one in taken}):
                taken.append(place)
        for end in range(len(joined) - 1, start - 1, -1):
            before = [one for one in taken if one <= end]
            spent = tuple(one for one in before if joined[one].run in counting[end])
            if spent not in known:
                known.add(spent)
                most = max(most, now[end].epsilon(joined[one] for one in spent))
            if len(spent) == len(before):
                break  # what earlier windows hold is part of this
    return most


def _check_run(run: SiteRun, window: "_Window", history: SiteHistory, findings: Findings) -> None:
    rules = window.rules

    def find(code: str, message: str) -> None:
        findings.add(code, message, ledger=history.record.name, line=run.line)

    if window.exceeds([run]):
        find(
            "audit/budget",
            f"the plan alone reserves epsilon {epsilon_text(window.epsilon([run]))} at delta "
            f"{rules.delta:g} for a user; the policy allows {window.cap:g}",
        )
    elif rules.when_exhausted == "refuse" and window.exceeds(window.counted):
        find("audit/budget", window.fault())
    elif rules.when_exhausted == "leave-users-out":
        if run.exhausted is None and window.leaves_out():
            find(
                "audit/budget-unnoticed",
                "users who were there for the window's earlier plans cannot take part within the "
                "caps, and the ledger does not say that they were left out",
            )
        elif run.exhausted is not None and not window.leaves_out(sign=-1):
            find("audit/budget-overcautious", "users were left out whose budget held the plan")


def _cap(rules: BudgetPolicy) -> float:
    return inf if rules.epsilon == "unlimited" else rules.epsilon


class _Window:
    """The runs that count when a run is joined.

    Args:
        joined: Runs joined so far, that one last.
        now: When it was joined, in seconds.
        rules: The policy then.
    """

    def __init__(self, joined: Sequence[SiteRun], now: float, rules: BudgetPolicy) -> None:
        self.rules = rules
        self.cap = _cap(rules)
        self.counted = [run for run in joined if _counts(run, now, rules)]

    def epsilon(self, runs: Iterable[SiteRun]) -> float:
        """ε at the policy's δ of these runs' whole plans."""
        charges: Counter[Charge] = Counter()
        for run in runs:
            if run.facts is not None:
                charges.update(run.facts.reserved)
        return epsilon_of(Balance.of(charges), self.rules.delta)

    def exceeds(self, runs: Sequence[SiteRun], sign: int = 1) -> bool:
        """Whether they exceed the cap by more than two accountants may differ, times `sign`."""
        if self.cap == inf:
            return False
        sampled = any(run.facts is not None and run.facts.is_sampled for run in runs)
        return self.epsilon(runs) > self.cap * (1 + sign * CLAIM_SLACK[sampled])

    def leaves_out(self, *, sign: int = 1) -> bool:
        """Whether a user present since one of the counted runs cannot take the last one."""
        if not self.exceeds(self.counted, sign):
            return False
        last = self.counted[-1]
        return any(
            self.exceeds([*taken, last], sign) for taken in self._takers(self.counted[:-1], sign)
        )

    def takes_everybody(self) -> bool:
        """Whether nobody is left out of the last run: it is joined for all, or not at all."""
        return self.rules.when_exhausted == "refuse" or not self.exceeds(self.counted)

    def takes(self, charged: Set[str]) -> bool:
        """Whether a user charged for these runs can take the last one."""
        last = self.counted[-1]
        return not self.exceeds([*(run for run in self.counted if run.run in charged), last])

    def fault(self) -> str:
        """What exceeds the cap of a site that refuses such plans."""
        return (
            "the plans of the window reserve epsilon "
            f"{epsilon_text(self.epsilon(self.counted))} at delta {self.rules.delta:g}; the policy "
            f"allows {self.cap:g} and refuses what is beyond"
        )

    def _takers(self, runs: Sequence[SiteRun], sign: int) -> Iterable[list[SiteRun]]:
        """What users take who are present from one of the runs on."""
        for start in range(max(0, len(runs) - _MOST_STARTS), len(runs)):
            taken: list[SiteRun] = []
            for run in runs[start:]:
                if not self.exceeds([*taken, run], sign):
                    taken.append(run)
            yield taken


def _counts(run: SiteRun, now: float, rules: BudgetPolicy) -> bool:
    """Whether a run's charge counts at a moment: open then, or last active not too long before."""
    if run.ended_at > now or not rules.window_days:
        return True
    return now - run.active <= rules.window_days * _DAY + ATTEMPT_LIFE_SECONDS
