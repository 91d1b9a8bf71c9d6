"""Who takes part: users charged when a run is joined, and looked at again before every vector.

| moment | what becomes durable |
|---|---|
| join | every participant is charged for the whole plan, in the transaction that accepts it |
| masked | the attempt is noted at those who are in the vector, in the transaction that keeps it |
| never | nothing is handed back, whatever comes of the attempt or the run |
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from recommons.client.budgets.groups import ACTIVE
from recommons.client.budgets.rules import counted, fits, leaves_out, spent_epsilon
from recommons.client.site import Site
from recommons.common.errors import Refusal
from recommons.common.plan import Plan
from recommons.common.privacy.spending import Spending

__all__ = [
    "Participants",
    "check_spent",
    "commit_attempt",
    "participants",
    "reserve_users",
    "silent_runs",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Participants:
    """Whose histories go into one vector.

    Attributes:
        places: Their places among the site's users, ascending.
        groups: The groups they are of.
        generation: Of the budgets when this was found; the vector may leave only while it holds.
    """

    places: npt.NDArray[np.intp]
    groups: tuple[int, ...]
    generation: int


def silent_runs(site: Site, transaction: Connection) -> list[bytes]:
    """Open runs of which nothing was heard for longer than the policy's window.

    They would count for ever; ended, they stop counting, as any run of which nothing has left for
    as long.
    """
    rules, now = site.policy.budget, site.now(transaction)
    charges = [charge for charge in site.store.budgets.charges(transaction) if charge.open]
    counting = counted([replace(charge, open=False) for charge in charges], rules, now)
    return [charge.run for charge in charges if charge.run not in counting]


def check_spent(site: Site, transaction: Connection) -> None:
    """Where the policy refuses rather than leaves users out: all plans of the window must fit.

    Raises:
        Refusal: ``policy/spent``; it depends on plans and policy alone.
    """
    rules = site.policy.budget
    if rules.when_exhausted != "refuse":
        return
    charges = site.store.budgets.charges(transaction)
    counting = counted(charges, rules, site.now(transaction))
    if not fits(counting, counting, rules):
        window = f"{rules.window_days} days" if rules.window_days else "all time"
        raise Refusal(
            "policy/spent",
            f"the plans of {window} would together reserve epsilon "
            f"{spent_epsilon(counting, counting, rules):.6g} at delta {rules.delta:g}; "
            f"allowed: {rules.epsilon}",
        )


def reserve_users(
    site: Site,
    transaction: Connection,
    *,
    run_id: bytes,
    plan: Plan,
    keys: npt.NDArray[np.uint64],
) -> bool:
    """Charge every user whose budget holds it for the whole plan.

    Args:
        site: The site.
        transaction: In which the run is accepted, too.
        run_id: The run.
        plan: Its plan, checked.
        keys: The keyed hashes of the users in the site's data.

    Returns:
        Whether users who were there for earlier plans may have been left out: this depends on plans
        and policy alone. How many were is in the database, for the operator.

    Raises:
        Refusal: ``policy/epsilon`` where the plan is beyond even an untouched budget,
            ``policy/spent`` where the policy refuses a plan that leaves users out.
    """
    budgets, rules = site.store.budgets, site.policy.budget
    now = site.now(transaction)
    budgets.add_charge(transaction, run_id=run_id, spending=plan.reserved(), now=now)
    check_spent(site, transaction)
    counting = counted(budgets.charges(transaction), rules, now)
    if not fits((run_id,), counting, rules):
        raise Refusal(
            "policy/epsilon",
            f"the plan reserves epsilon {spent_epsilon((run_id,), counting, rules):.6g} at delta "
            f"{rules.delta:g}; allowed: {rules.epsilon}",
        )
    budgets.load(transaction, keys)
    present = budgets.present(transaction)
    active = [group for group in budgets.groups(transaction) if group.standing == ACTIVE]
    taking = [group for group in active if fits((*group.runs, run_id), counting, rules)]
    budgets.reserve(transaction, run_id, taking, present)
    took_part = sum(present.get(number, 0) for number in {0, *(group.id for group in taking)})
    left_out = sum(present.get(group.id, 0) for group in active) + present.get(0, 0) - took_part
    budgets.note_heads(transaction, run_id, took_part=took_part, left_out=left_out)
    return leaves_out(run_id, counting, rules)


def participants(
    site: Site, transaction: Connection, *, run_id: bytes, keys: npt.NDArray[np.uint64]
) -> Participants:
    """Who is in a vector of this run: charged for it, still in, and within the caps in force.

    Args:
        site: The site.
        transaction: Of this reading.
        run_id: The run.
        keys: The keyed hashes of the users in the site's data.
    """
    budgets, rules = site.store.budgets, site.policy.budget
    now = site.now(transaction)
    counting = counted(budgets.charges(transaction), rules, now)
    groups = tuple(
        group.id
        for group in budgets.groups(transaction)
        if group.standing == ACTIVE and run_id in group.runs and fits(group.runs, counting, rules)
    )
    order = budgets.load(transaction, keys)
    taking = np.ones(len(order), np.bool_)
    taking[budgets.others(transaction, groups)] = False
    return Participants(
        places=np.sort(order[taking]),
        groups=groups,
        generation=budgets.generation(transaction),
    )


def commit_attempt(
    site: Site,
    transaction: Connection,
    taking: Participants,
    *,
    run_id: bytes,
    context: bytes,
    spending: Spending,
) -> bool:
    """Note an attempt at its participants.

    Returns:
        False, with nothing noted, where users opted out, were forgotten or joined another run
        since `participants` looked: the vector must be made again.
    """
    budgets = site.store.budgets
    if budgets.generation(transaction) != taking.generation:
        return False
    budgets.commit(
        transaction, run_id=run_id, context=context, spending=spending, groups=taking.groups
    )
    return True
