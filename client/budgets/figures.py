"""What was spent, by what users have in common: nothing here names a user."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from recommons.client.budgets.groups import Group
from recommons.client.budgets.rules import counted, spent_epsilon
from recommons.client.budgets.store import BudgetStore
from recommons.common.policy import BudgetPolicy
from recommons.common.privacy.accounting import epsilon_of
from recommons.common.privacy.spending import Spending

__all__ = ["BudgetFigures", "budget_figures"]


@dataclass(frozen=True, kw_only=True)
class BudgetFigures:
    """Users alike: their standing and what counts in the window.

    Attributes:
        users: How many.
        standing: Taking part, opted out or forgotten.
        runs: Number of runs that count.
        reserved: ε of these runs' whole plans.
        released: ε of the attempts whose vectors left.
    """

    users: int
    standing: str
    runs: int
    reserved: float
    released: float


def budget_figures(
    budgets: BudgetStore,
    connection: Connection,
    rules: BudgetPolicy,
    now: int,
    *,
    key: bytes | None = None,
) -> list[BudgetFigures]:
    """The figures of all users, the largest group first.

    Args:
        budgets: The site's.
        connection: The transaction; nothing is written in it.
        rules: The policy's caps.
        now: Seconds since 1970.
        key: Of one user, to look at that one alone.
    """
    counting = counted(budgets.charges(connection), rules, now)
    committed = budgets.committed(connection)
    groups, sizes = budgets.groups(connection), budgets.sizes(connection)
    if key is not None:
        number = budgets.group_of(connection, key)
        groups, sizes = [g for g in groups if g.id == number], dict.fromkeys([number or 0], 1)
    alike: dict[tuple[str, tuple[bytes, ...], tuple[bytes, ...]], int] = {}
    for group in groups:
        shared = _counting(group, counting, committed)
        alike[shared] = alike.get(shared, 0) + sizes.get(group.id, 0)
    return [
        BudgetFigures(
            users=users,
            standing=standing,
            runs=len(runs),
            reserved=spent_epsilon(runs, counting, rules),
            released=_released(attempts, committed, rules),
        )
        for (standing, runs, attempts), users in sorted(alike.items(), key=lambda item: -item[1])
        if users
    ]


def _counting(
    group: Group,
    counting: Mapping[bytes, Spending],
    committed: Mapping[bytes, tuple[bytes, Spending]],
) -> tuple[str, tuple[bytes, ...], tuple[bytes, ...]]:
    """Standing, runs and attempts of a group that count in the window."""
    attempts = tuple(c for c in group.attempts if committed[c][0] in counting)
    return group.standing, tuple(run for run in group.runs if run in counting), attempts


def _released(
    attempts: Iterable[bytes],
    committed: Mapping[bytes, tuple[bytes, Spending]],
    rules: BudgetPolicy,
) -> float:
    return epsilon_of(Spending.total(committed[c][1] for c in attempts), rules.delta)
