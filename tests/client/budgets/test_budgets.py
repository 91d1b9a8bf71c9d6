"""Budgets by user and window, through the site's front door: who is in a vector, and who is not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recommons.client.budgets.groups import ACTIVE, FORGOTTEN, OPTED_OUT
from recommons.client.budgets.keys import KeyedHash
from recommons.client.budgets.rules import counted, spent_epsilon
from recommons.client.site import Site
from recommons.common.data.interactions import Interactions
from recommons.common.models.als import AlsModel
from recommons.common.policy import ATTEMPT_LIFE_SECONDS
from tests.client.seat import DAY, OWN, RUN, SITES, Seat

NEXT = b"run-number-one!!"
THIRD = b"run-number-two!!"

Took = list[int]


@pytest.fixture
def seat(tmp_path: Path, tiny_data: Path) -> Seat:
    """Sites that leave users out of 8 in 365 days: two plans of 6 exceed it, 6 with 3 does not."""
    seat = Seat.take(tmp_path / "run", tiny_data)
    for site in SITES:
        seat.edit(site, budget={"when_exhausted": "leave-users-out", "window_days": 365})
        seat.edit(site, plans={"most_spare_attempts": 5})
    seat.plans[RUN] = seat.plan(tiny_data, epsilon=6.0, spare_attempts=3)
    seat.plans[NEXT] = seat.plan(tiny_data, epsilon=6.0)
    seat.plans[THIRD] = seat.plan(tiny_data, epsilon=3.0)
    return seat


@pytest.fixture
def took(monkeypatch: pytest.MonkeyPatch) -> Took:
    """Filled with the number of users in every vector that a site forms."""
    numbers: list[int] = []
    contribute = AlsModel.contribute

    def counting(
        self: AlsModel, round_: int, state: Any, users: Interactions, blocks: Any
    ) -> Mapping[str, Any]:
        numbers.append(users.n_users)
        return contribute(self, round_, state, users, blocks)

    monkeypatch.setattr(AlsModel, "contribute", counting)
    return numbers


def standing(seat: Seat, user: str, to: str) -> str | None:
    with seat.open() as site, site.store.transaction() as transaction:
        budgets = site.store.budgets
        key = KeyedHash(budgets.secret(transaction))(user)
        return budgets.set_standing(transaction, key, to)


def heads(seat: Seat, run: bytes) -> tuple[int, int]:
    with seat.open() as site, site.store.transaction() as transaction:
        return site.store.budgets.head_counts(transaction)[run]


def vector(seat: Seat, run: bytes = RUN, attempt: int = 0) -> None:
    protocol = seat.to_masked(run, attempt)
    seat.mask(protocol, run=run)


def test_everyone_with_a_budget_takes_part(seat: Seat, took: Took) -> None:
    seat.join()
    vector(seat)
    assert took == [6]
    assert heads(seat, RUN) == (6, 0)


def test_users_over_the_cap_take_no_part_while_newcomers_do(seat: Seat, took: Took) -> None:
    seat.join()
    seat.finish()
    seat.set_users([*seat.users(), "new-1", "new-2"])
    seat.join(run=NEXT)
    vector(seat, NEXT)
    assert took == [2]
    assert heads(seat, NEXT) == (2, 6)


def test_how_many_are_left_out_is_told_to_nobody_else(seat: Seat, took: Took) -> None:
    """What leaves has the same kind and size; the ledger tells what depends on plans alone."""
    seat.join()
    seat.finish()
    seat.set_users([*seat.users(), "new-1", "new-2"])
    seat.join(run=NEXT)
    vector(seat, NEXT)
    kinds = [kind for kind, _ in seat.ledger()]
    exhausted = [body for kind, body in seat.ledger() if kind == "budget-exhausted"]
    place = kinds.index("budget-exhausted")
    assert kinds[place - 1] == "plan-accepted"
    assert exhausted == [{"run": NEXT.hex(), "window_days": 365, "epsilon": 8, "delta": 1e-05}]
    sizes = {(exchange, len(reply)) for _, exchange, run, reply in seat.left if run == NEXT}
    assert len(sizes) == 4  # join, advertise, shares, masked: one size each, at every site
    assert seat.ledger("site-1")[-1][0] == "reserved"


def test_a_site_joins_although_nobody_can_take_part(
    seat: Seat, took: Took, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal would tell that there is no user with a budget left; the site's own log may."""
    seat.join()
    seat.finish()
    assert "no user has budget left" not in caplog.text
    seat.join(run=NEXT)
    vector(seat, NEXT)
    assert took == [0]
    assert f"run {NEXT.hex()}: no user has budget left" in caplog.text


def test_what_is_left_of_a_budget_is_used_by_a_smaller_plan(seat: Seat, took: Took) -> None:
    seat.join()
    seat.join(run=NEXT)
    seat.join(run=THIRD)
    vector(seat, THIRD)
    assert took == [6]
    assert heads(seat, NEXT) == (0, 6)


def test_budgets_come_back_when_the_window_has_passed(seat: Seat, took: Took) -> None:
    seat.join()
    vector(seat)
    seat.now += 3 * DAY
    seat.finish()
    seat.now += 365 * DAY + ATTEMPT_LIFE_SECONDS
    seat.join(run=NEXT)
    assert heads(seat, NEXT) == (0, 6)  # to the second: the last activity is in the window
    seat.now += 1
    seat.join(run=THIRD)
    vector(seat, THIRD)
    assert heads(seat, THIRD) == (6, 0)


def test_a_lifetime_budget_never_comes_back(seat: Seat) -> None:
    seat.edit(budget={"window_days": 0})
    seat.join()
    seat.finish()
    seat.now += 100 * 365 * DAY
    seat.join(run=NEXT)
    assert heads(seat, NEXT) == (0, 6)


def test_a_run_that_is_silent_for_a_window_is_ended_by_the_site(seat: Seat, took: Took) -> None:
    seat.join()
    protocol = seat.to_masked()
    seat.now += 365 * DAY + ATTEMPT_LIFE_SECONDS + 1
    seat.join(run=NEXT)
    assert heads(seat, NEXT) == (6, 0)
    assert ("run-ended", {"run": RUN.hex(), "outcome": "failed", "code": "site/silent"}) in (
        seat.ledger()
    )
    assert seat.refused(OWN, "masked", protocol.message_for(OWN)) == "site/run-ended"


def test_a_clock_that_is_set_back_frees_nothing(seat: Seat) -> None:
    seat.join()
    seat.finish()
    seat.now -= 1000 * DAY
    seat.join(run=THIRD)
    seat.finish(THIRD)
    # A year and an attempt's life after the first two, by the clock that never runs back.
    seat.now += 1365 * DAY + ATTEMPT_LIFE_SECONDS
    seat.join(run=NEXT)
    assert heads(seat, NEXT) == (0, 6)
    seat.now += 1
    with seat.open() as site, site.store.transaction() as transaction:
        charges = site.store.budgets.charges(transaction)
        counting = counted(charges, site.policy.budget, site.now(transaction))
    assert list(counting) == [NEXT]


def test_opted_out_users_are_in_no_vector_from_the_next_one_on(seat: Seat, took: Took) -> None:
    seat.join()
    vector(seat)
    assert standing(seat, seat.users()[2], OPTED_OUT) == ACTIVE
    vector(seat, attempt=1)
    assert standing(seat, seat.users()[2], ACTIVE) == OPTED_OUT
    vector(seat, attempt=2)
    assert took == [6, 5, 6]


def test_whose_history_is_in_the_vector_is_decided_by_name(
    seat: Seat, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Interactions] = []
    contribute = AlsModel.contribute

    def seeing(
        self: AlsModel, round_: int, state: Any, users: Interactions, blocks: Any
    ) -> Mapping[str, Any]:
        seen.append(users)
        return contribute(self, round_, state, users, blocks)

    monkeypatch.setattr(AlsModel, "contribute", seeing)
    seat.join()
    users = seat.users()
    standing(seat, users[1], OPTED_OUT)
    standing(seat, users[4], FORGOTTEN)
    vector(seat)
    with seat.open() as site:
        own = site.own_users()
        names = seat.names(site, np.arange(len(own.keys)))
        staying = [k for k, name in enumerate(names) if name not in (users[1], users[4])]
        expected = own.interactions.take(np.array(staying))
    assert len(staying) == 4
    assert np.array_equal(seen[0].indptr, expected.indptr)
    assert np.array_equal(seen[0].indices, expected.indices)


def test_someone_who_leaves_while_the_vector_is_formed_is_not_in_it(
    seat: Seat, took: Took, monkeypatch: pytest.MonkeyPatch
) -> None:
    contribute = AlsModel.contribute

    def leaving(self: AlsModel, *arguments: Any) -> Mapping[str, Any]:
        if not took:
            standing(seat, seat.users()[0], OPTED_OUT)
        return contribute(self, *arguments)

    monkeypatch.setattr(AlsModel, "contribute", leaving)
    seat.join()
    vector(seat)
    assert took == [6, 5]
    assert [kind for kind, _ in seat.ledger()].count("committed") == 1


def test_a_user_who_joined_after_the_run_began_is_not_in_it(seat: Seat, took: Took) -> None:
    seat.join()
    seat.set_users([*seat.users(), "new-1"])
    vector(seat)
    assert took == [6]


def test_a_user_who_left_the_data_is_not_in_it_and_stays_charged(seat: Seat, took: Took) -> None:
    users = seat.users()
    seat.join()
    seat.set_users(users[:4])
    vector(seat)
    seat.finish()
    seat.set_users(users)
    seat.join(run=NEXT)
    assert took == [4]
    assert heads(seat, NEXT) == (0, 6)


def test_a_forgotten_user_who_comes_back_has_the_old_figures(seat: Seat, took: Took) -> None:
    users = seat.users()
    seat.join()
    standing(seat, users[0], FORGOTTEN)
    seat.set_users(users[1:])
    seat.finish()
    seat.set_users([*users, "new-1"])
    seat.join(run=NEXT)
    vector(seat, NEXT)
    assert took == [1]
    standing(seat, users[0], ACTIVE)  # the operator's word that they are back
    seat.join(run=THIRD)
    vector(seat, THIRD)
    assert took == [1, 7]
    with seat.open() as site, site.store.transaction() as transaction:
        budgets = site.store.budgets
        number = budgets.group_of(transaction, KeyedHash(budgets.secret(transaction))(users[0]))
        group = next(g for g in budgets.groups(transaction) if g.id == number)
    assert group.runs == (RUN, THIRD)


def test_a_stricter_cap_leaves_users_out_of_the_run_that_goes_on(seat: Seat, took: Took) -> None:
    seat.join()
    vector(seat)
    seat.join(run=THIRD)  # together below 8, above 6.5
    seat.edit(budget={"epsilon": 6.5})
    vector(seat, attempt=1)
    seat.edit(budget={"epsilon": 8.0})
    vector(seat, attempt=2)
    assert took == [6, 0, 6]


def test_where_the_policy_refuses_the_second_plan_is_refused(seat: Seat) -> None:
    seat.join()
    seat.edit(budget={"when_exhausted": "refuse"})
    assert seat.refused(OWN, "join", seat.announcement(run=NEXT), NEXT) == "policy/spent"
    kind, body = seat.ledger()[-1]
    assert (kind, body["code"], body["run"]) == ("plan-refused", "policy/spent", NEXT.hex())
    seat.join(run=THIRD)
    seat.edit(budget={"epsilon": 6.5})
    assert seat.refused(OWN, "advertise", run=THIRD) == "policy/spent"
    assert seat.ledger()[-1][0] == "round-refused"


def test_a_refused_plan_charges_nobody(seat: Seat) -> None:
    seat.edit(budget={"epsilon": 4.0})
    seat.refused(OWN, "join", seat.announcement())
    seat.edit(budget={"epsilon": 8.0})
    with seat.open() as site, site.store.transaction() as transaction:
        assert site.store.budgets.charges(transaction) == []
        assert site.store.budgets.sizes(transaction) == {}
    seat.join(run=NEXT)
    assert heads(seat, NEXT) == (6, 0)


def test_the_reservation_is_durable_before_the_acceptance_leaves(seat: Seat) -> None:
    seat.ask(OWN, "join", seat.announcement())
    with seat.open() as site, site.store.transaction() as transaction:
        (charge,) = site.store.budgets.charges(transaction)
        (group,) = site.store.budgets.groups(transaction)
        assert charge.spending == seat.plans[RUN].reserved()
        assert (group.runs, group.attempts) == ((RUN,), ())
        rules = site.policy.budget
        counting = counted([charge], rules, charge.joined)
        assert 5.9 < spent_epsilon(group.runs, counting, rules) <= 6.0


def test_an_attempt_is_noted_at_its_users_with_what_it_cost(seat: Seat) -> None:
    seat.join()
    vector(seat)
    with seat.open() as site, site.store.transaction() as transaction:
        budgets = site.store.budgets
        (group,) = budgets.groups(transaction)
        committed = budgets.committed(transaction)
    context = seat.protocol().context.hash
    assert group.attempts == (context,)
    run, spending = committed[context]
    assert run == RUN
    assert spending.charges[0][0] in {cost for cost, _ in seat.plans[RUN].reserved().charges}


def test_what_a_run_reserved_is_not_handed_back_when_it_ends_early(seat: Seat) -> None:
    seat.join()
    seat.finish()
    seat.join(run=NEXT)
    assert heads(seat, NEXT) == (0, 6)


def test_a_site_with_an_unlimited_budget_leaves_nobody_out(seat: Seat, tiny_data: Path) -> None:
    for site in SITES:
        seat.edit(site, budget={"epsilon": "unlimited"})
    seat.plans[RUN] = seat.plan(tiny_data, epsilon=float("inf"))
    seat.join()
    seat.join(run=NEXT)
    assert heads(seat, NEXT) == (6, 0)
    seat.edit(budget={"epsilon": 8.0})
    seat.join(run=THIRD)
    assert heads(seat, THIRD) == (0, 6)  # what was released without noise counts


def test_data_that_cannot_be_read_refuse_a_plan_without_a_word_on_them(seat: Seat) -> None:
    (seat.found.sites[OWN] / "events.parquet").write_bytes(b"not parquet")
    assert seat.refused(OWN, "join", seat.announcement()) == "site/data"
    assert seat.ledger()[-1][1]["reason"] == "this site's data cannot be read"


def test_a_row_that_cannot_be_read_refuses_no_plan_and_moves_nobody(seat: Seat) -> None:
    file = seat.found.sites[OWN] / "events.parquet"
    before = seat.found.sites[OWN]
    rows = pl.read_parquet(file)
    with Site.open(before) as site:
        own = site.own_users()
    bad = rows[:1].with_columns(
        pl.lit("somebody").alias("user_id"), item_id=pl.lit(None, pl.String)
    )
    pl.concat([bad, rows]).write_parquet(file)
    seat.join()
    assert heads(seat, RUN) == (6, 0)
    with Site.open(before) as site:
        again = site.own_users()
    assert again.manifest.bad == {"item_id: the cell is empty; expected an id": 1}
    assert (again.keys == own.keys).all()
    assert (again.interactions.indptr == own.interactions.indptr).all()
    assert (again.interactions.indices == own.interactions.indices).all()


def test_no_user_is_in_the_database_or_the_ledger(seat: Seat) -> None:
    seat.join()
    vector(seat)
    standing(seat, seat.users()[0], FORGOTTEN)
    folder = seat.found.sites[OWN]
    stored = (folder / "site.db").read_bytes() + (folder / "ledger.jsonl").read_bytes()
    for user in seat.users():
        assert user.encode() not in stored


def test_two_plans_at_once_are_both_charged(seat: Seat) -> None:
    """The check and the reservation are one transaction: the second sees the first."""
    seat.ask(OWN, "join", seat.announcement())
    seat.ask(OWN, "join", seat.announcement(run=NEXT), NEXT)
    assert heads(seat, RUN) == (6, 0)
    assert heads(seat, NEXT) == (0, 6)


def test_the_same_plan_under_another_run_id_is_charged_again(seat: Seat) -> None:
    seat.plans[NEXT] = seat.plans[RUN]
    seat.join()
    seat.join(run=NEXT)
    assert heads(seat, NEXT) == (0, 6)
