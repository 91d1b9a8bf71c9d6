"""What may still be spent about a user: the rules, without any storage.

A run charges each of its participants for the whole plan, every round and every spare attempt, at
the moment the site joins it. Nothing is refunded. A charge counts while its run is open, and for
the policy's window and the life of an attempt after the site last sent anything of it. The life of
an attempt is in it because others open the sum: a vector that left may be opened as long afterwards
as any honest site still reveals, which is no longer than that. So the releases of *any* window
belong to runs that all counted together when the last of them was joined, and once more when its
vectors were made (`docs/policy.md` has the argument).

What is decided here about one user depends on that user's own charges, on the plans and on the
policy, never on other users.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from recommons.common.policy import ATTEMPT_LIFE_SECONDS, BudgetPolicy
from recommons.common.privacy.accounting import epsilon_of
from recommons.common.privacy.spending import Spending

__all__ = ["SLACK", "Charge", "counted", "fits", "leaves_out", "spent_epsilon"]

SLACK = 1 + 1e-9
"""Another order of adding up floats must not decide."""

_DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Charge:
    """What a run charges each of its participants.

    Attributes:
        run: The run's id.
        spending: The plan's whole cost, as reserved when it was joined.
        joined: When, in seconds of the site's clock.
        active: When something of it last left this site: its last answer in it.
        open: The run has not ended, so that something may still leave.
    """

    run: bytes
    spending: Spending
    joined: int
    active: int
    open: bool


def counted(charges: Iterable[Charge], rules: BudgetPolicy, now: int) -> dict[bytes, Spending]:
    """The charges that count at `now`, by run, in the order given."""
    counts_for = rules.window_days * _DAY + ATTEMPT_LIFE_SECONDS
    return {
        charge.run: charge.spending
        for charge in charges
        if charge.open or not rules.window_days or now - charge.active <= counts_for
    }


def spent_epsilon(
    runs: Iterable[bytes], counting: Mapping[bytes, Spending], rules: BudgetPolicy
) -> float:
    """ε at the policy's δ of those of the runs that count."""
    total = Spending.total(counting[run] for run in runs if run in counting)
    return epsilon_of(total, rules.delta)


def fits(runs: Iterable[bytes], counting: Mapping[bytes, Spending], rules: BudgetPolicy) -> bool:
    """Whether a user charged for these runs stays within the cap."""
    return _holds(Spending.total(counting[run] for run in runs if run in counting), rules)


def _holds(total: Spending, rules: BudgetPolicy) -> bool:
    if rules.epsilon == "unlimited":
        return True
    return epsilon_of(total, rules.delta) <= rules.epsilon * SLACK


def leaves_out(run: bytes, counting: Mapping[bytes, Spending], rules: BudgetPolicy) -> bool:
    """Whether a run leaves out users who were there for plans before it.

    Such a user is one present since one of the plans that count: charged for each of these that
    still fitted. This depends on plans and policy alone, so that it may be told.

    Args:
        run: One of `counting`.
        counting: What counts, in the order in which the runs were joined.
        rules: The policy's caps.
    """
    if fits(counting, counting, rules):
        return False  # who was charged for less has more left
    order, last = list(counting), counting[run]
    before = [counting[earlier] for earlier in order[: order.index(run)]]
    for start in range(len(before)):
        since = before[start:]
        if _holds(Spending.total([*since, last]), rules):
            return False  # who came then, or later, was charged for all of them and for this one
        if not _holds(_greedy(since, rules) + last, rules):
            return True
    return False


def _greedy(costs: Sequence[Spending], rules: BudgetPolicy) -> Spending:
    """What a user is charged who takes each of these that still fits."""
    taken, beyond = Spending(), set[Spending]()
    for cost in costs:
        if cost in beyond:
            continue  # it did not fit when less was taken
        more = taken + cost
        if _holds(more, rules):
            taken = more
        else:
            beyond.add(cost)
    return taken
