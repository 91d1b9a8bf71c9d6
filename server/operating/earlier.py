"""What earlier runs leave for a new plan, as far as the coordinator can tell: by plans alone.

What a site's users have left is the site's own business. But every run charges its participants
for its whole plan, and the cap that the federation proposes is public: where a plan and those
before it are beyond that cap together, whoever took part in them is left out, and a run of nobody
releases noise alone.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from recommons.common.errors import InvalidInput, RecommonsError
from recommons.common.plan import Plan
from recommons.common.policy import ATTEMPT_LIFE_SECONDS, BudgetPolicy
from recommons.common.policy_file import policy_from_toml
from recommons.common.privacy.accounting import epsilon_of
from recommons.common.privacy.spending import Spending
from recommons.common.units import epsilon_text
from recommons.server.operating.attendance import last_progress
from recommons.server.records.runs import Runs, flower_runs

__all__ = ["Overspent", "overspent"]

_DAY = 86_400
_POLICY = "policy.toml"


@dataclass(frozen=True, kw_only=True)
class Overspent:
    """A plan that does not fit beside the runs before it.

    Attributes:
        runs: Those that still count.
        epsilon: ε of them and the plan together, at the policy's δ.
        allowed: The proposed cap.
        delta: The policy's δ.
        window_days: The days for which a run counts; 0 for ever.
    """

    runs: tuple[str, ...]
    epsilon: float
    allowed: float
    delta: float
    window_days: int

    def __str__(self) -> str:
        """In words, for the operator."""
        window = f"in {self.window_days} days" if self.window_days else "ever"
        return (
            f"Together with run {', '.join(self.runs)} the plan reserves "
            f"ε {epsilon_text(self.epsilon)} about a user; the federation proposes at most "
            f"ε {epsilon_text(self.allowed)} {window} (δ {self.delta:g}). By that policy sites "
            "leave out whoever took part before: where nobody is new, the release is noise alone."
        )


def overspent(home: Path, plan: Plan, now: datetime) -> Overspent | None:
    """Whether a plan leaves out those who took part in earlier runs; None where it does not.

    Args:
        home: The coordinator's home; without a proposed policy in it nothing is known.
        plan: The plan.
        now: The time, UTC.
    """
    try:
        rules = policy_from_toml((home / _POLICY).read_bytes()).budget
    except (OSError, RecommonsError):
        return None
    if rules.epsilon == "unlimited" or plan.privacy.epsilon is None:
        return None
    runs = Runs(home)
    earlier = {name: _reserved(runs.path(name), rules, now) for name in runs.names()}
    counting = {name: spending for name, spending in earlier.items() if spending is not None}
    try:
        total = epsilon_of(Spending.total([*counting.values(), plan.reserved()]), rules.delta)
    except RecommonsError:  # e.g. a δ of the policy's for which nothing can be said
        return None
    if not counting or total <= rules.epsilon:
        return None
    return Overspent(
        runs=tuple(counting),
        epsilon=total,
        allowed=rules.epsilon,
        delta=rules.delta,
        window_days=rules.window_days,
    )


def _reserved(run: Path, rules: BudgetPolicy, now: datetime) -> Spending | None:
    """What a run charged its participants; None where it counts no more or never began."""
    if not flower_runs(run):
        return None
    place = run / "plan.json"
    try:
        plan = Plan.from_bytes(place.read_bytes())
        last = datetime.fromtimestamp(place.stat().st_mtime, UTC)
        if (told := last_progress(run).time) is not None:
            last = datetime.fromisoformat(told)
    except (OSError, InvalidInput, ValueError):
        return None
    window = rules.window_days * _DAY + ATTEMPT_LIFE_SECONDS
    over = rules.window_days and (now - last).total_seconds() > window
    return None if over or plan.privacy.epsilon is None else plan.reserved()
