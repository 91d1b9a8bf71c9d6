"""Groups of users with one history: who is charged, and how little is written."""

import hmac
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

from recommons.client.budgets.groups import ACTIVE, FORGOTTEN, OPTED_OUT
from recommons.client.budgets.keys import KeyedHash, keys_of
from recommons.client.budgets.rules import Charge, counted, fits, leaves_out, spent_epsilon
from recommons.client.budgets.store import BudgetStore
from recommons.client.records.store import SiteStore
from recommons.common.policy import BudgetPolicy
from recommons.common.privacy.spending import Cost, Spending

SPENDING = Spending.of([Cost(mu_squared=0.5)])


def users(numbers: Iterator[int] | range | list[int]) -> pl.Series:
    return pl.Series([f"user-{number:05d}" for number in numbers], dtype=pl.String)


def join(budgets: BudgetStore, transaction: Connection, run: bytes, present: pl.Series) -> None:
    """Charge everybody."""
    budgets.add_charge(transaction, run_id=run, spending=SPENDING, now=0)
    budgets.load(transaction, keys_of(present, budgets.secret(transaction)))
    groups = [group for group in budgets.groups(transaction) if group.standing == ACTIVE]
    budgets.reserve(transaction, run, groups, budgets.present(transaction))


def charged(budgets: BudgetStore, transaction: Connection, user: str) -> tuple[bytes, ...]:
    number = budgets.group_of(transaction, KeyedHash(budgets.secret(transaction))(user))
    return next((g.runs for g in budgets.groups(transaction) if g.id == number), ())


@given(st.text())
def test_the_hash_is_hmac_sha256(user: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in user):
        return
    secret = b"k" * 32
    assert KeyedHash(secret)(user) == hmac.digest(secret, user.encode(), "sha256")[:16]
    (row,) = keys_of(pl.Series([user]), secret)
    assert b"".join(int(half).to_bytes(8, "big") for half in row) == KeyedHash(secret)(user)


@settings(max_examples=30)
@given(st.lists(st.sets(st.integers(0, 7)), min_size=1, max_size=5))
def test_everyone_is_charged_for_exactly_the_runs_they_were_there_for(
    tmp_path_factory: pytest.TempPathFactory, presences: list[set[int]]
) -> None:
    store = SiteStore(tmp_path_factory.mktemp("store") / "site.db")
    for number, present in enumerate(presences):
        with store.transaction() as transaction:
            join(store.budgets, transaction, bytes([number]), users(sorted(present)))
    with store.transaction() as transaction:
        for user in range(8):
            expected = tuple(bytes([k]) for k, present in enumerate(presences) if user in present)
            assert charged(store.budgets, transaction, f"user-{user:05d}") == expected


def test_a_plan_that_all_join_writes_a_handful_of_rows(tmp_path: Path) -> None:
    store = SiteStore(tmp_path / "site.db")
    with store.transaction() as transaction:
        join(store.budgets, transaction, b"first", users(range(3000)))
    changes: list[int] = []

    def count(_c: object, cursor: object, statement: str, *_rest: object) -> None:
        if "temp" not in statement.lower() and "present" not in statement.split("SELECT")[0]:
            changes.append(max(getattr(cursor, "rowcount", 0), 0))

    event.listen(Engine, "after_cursor_execute", count)
    try:
        with store.transaction() as transaction:
            join(store.budgets, transaction, b"second", users(range(3000)))
    finally:
        event.remove(Engine, "after_cursor_execute", count)
    assert 0 < sum(changes) < 20


def test_when_few_are_missing_few_rows_move(tmp_path: Path) -> None:
    store = SiteStore(tmp_path / "site.db")
    with store.transaction() as transaction:
        join(store.budgets, transaction, b"first", users(range(1000)))
        before = max(group.id for group in store.budgets.groups(transaction))
        join(store.budgets, transaction, b"second", users(range(3, 1000)))
        sizes = store.budgets.sizes(transaction)
    assert sizes == {before: 997, before + 1: 3}


def test_rows_of_users_who_are_not_in_the_groups(tmp_path: Path) -> None:
    store = SiteStore(tmp_path / "site.db")
    with store.transaction() as transaction:
        budgets = store.budgets
        join(budgets, transaction, b"first", users(range(10)))
        everyone = users(range(12))
        order = budgets.load(transaction, keys_of(everyone, budgets.secret(transaction)))
        ids = [group.id for group in budgets.groups(transaction)]
        assert sorted(order[budgets.others(transaction, ids)]) == [10, 11]
        assert len(budgets.others(transaction, [])) == 12


def test_time_never_runs_backwards(tmp_path: Path) -> None:
    store = SiteStore(tmp_path / "site.db")
    for clock, now in ((100.9, 100), (50.0, 100), (101.0, 101), (0.0, 101)):
        with store.transaction() as transaction:
            assert store.budgets.now(transaction, clock) == now


def test_an_empty_site_joins(tmp_path: Path) -> None:
    store = SiteStore(tmp_path / "site.db")
    with store.transaction() as transaction:
        join(store.budgets, transaction, b"first", users([]))
        assert store.budgets.sizes(transaction) == {}
        assert keys_of(users([]), b"k").shape == (0, 2)
        assert store.budgets.others(transaction, []).dtype == np.int64


def charge(run: bytes, active: int, *, is_open: bool = False, mu_squared: float = 1.0) -> Charge:
    spending = Spending.of([Cost(mu_squared=mu_squared)])
    return Charge(run=run, spending=spending, joined=0, active=active, open=is_open)


def test_a_charge_counts_while_open_and_for_a_window_after_it_was_active() -> None:
    rules = BudgetPolicy(window_days=2)
    charges = [charge(b"old", 0), charge(b"open", 0, is_open=True), charge(b"new", 10)]
    last = 2 * 86_400 + 7 * 86_400  # the window, and the life of an attempt
    assert list(counted(charges, rules, last)) == [b"old", b"open", b"new"]
    assert list(counted(charges, rules, last + 1)) == [b"open", b"new"]
    assert list(counted(charges, BudgetPolicy(window_days=0), 10**12)) == [b"old", b"open", b"new"]


def test_who_is_left_out_follows_from_plans_alone() -> None:
    """One of 1.5 fits, two do not, one of 1.5 and one of 0.1 do."""
    rules = BudgetPolicy(epsilon=8.0, delta=1e-5)
    sizes = {b"a": 1.5, b"b": 1.5, b"c": 0.1}
    counting = counted([charge(r, 0, mu_squared=m) for r, m in sizes.items()], rules, 0)
    assert fits((b"a",), counting, rules)
    assert not fits((b"a", b"b"), counting, rules)
    assert not leaves_out(b"a", {b"a": counting[b"a"]}, rules)
    assert leaves_out(b"b", {r: counting[r] for r in (b"a", b"b")}, rules)
    assert not leaves_out(b"c", counting, rules)  # those of a and those of b have room for c
    assert fits(counting, counting, BudgetPolicy(epsilon="unlimited"))


@pytest.mark.parametrize(("part", "held"), [(1.0, True), (1 - 1e-10, True), (1 - 1e-6, False)])
def test_a_cap_has_no_more_to_spare_than_floats_need(part: float, held: bool) -> None:
    """Of ε a millionth too much is too much; what another order of adding up does is not."""
    counting = counted([charge(b"a", 0, mu_squared=1.5)], BudgetPolicy(), 0)
    spent = spent_epsilon([b"a"], counting, BudgetPolicy(delta=1e-5))
    rules = BudgetPolicy(epsilon=spent * part, delta=1e-5)
    assert fits([b"a"], counting, rules) is held
    assert leaves_out(b"a", counting, rules) is False  # nobody was there before


@st.composite
def happenings(draw: st.DrawFn) -> list[tuple[str, set[int], str]]:
    """Runs that are joined with some users in the data; users who leave and come back."""
    join = st.tuples(st.just("join"), st.sets(st.integers(0, 5)), st.just(""))
    change = st.tuples(
        st.just("standing"),
        st.sets(st.integers(0, 5), min_size=1, max_size=2),
        st.sampled_from([ACTIVE, ACTIVE, OPTED_OUT, FORGOTTEN]),
    )
    return draw(st.lists(st.one_of(join, change), min_size=2, max_size=9))


@settings(max_examples=60)
@given(happenings())
def test_who_leaves_is_charged_no_more_and_keeps_what_was_charged(
    tmp_path_factory: pytest.TempPathFactory, happened: list[tuple[str, set[int], str]]
) -> None:
    store = SiteStore(tmp_path_factory.mktemp("store") / "site.db")
    runs: dict[int, list[bytes]] = {user: [] for user in range(6)}
    standing: dict[int, str] = {}
    for number, (what, who, to) in enumerate(happened):
        with store.transaction() as transaction:
            before = store.budgets.generation(transaction)
            if what == "join":
                join(store.budgets, transaction, bytes([number]), users(sorted(who)))
                for user in who:
                    if standing.setdefault(user, ACTIVE) == ACTIVE:
                        runs[user].append(bytes([number]))
            else:
                hashed = KeyedHash(store.budgets.secret(transaction))
                for user in who:
                    key = hashed(f"user-{user:05d}")
                    told = store.budgets.set_standing(transaction, key, to)
                    assert told == standing.get(user)
                    moved = store.budgets.generation(transaction) > before
                    assert moved or to == told  # a vector that is being made is made again
                    standing[user] = to
    with store.transaction() as transaction:
        groups = {group.id: group for group in store.budgets.groups(transaction)}
        hashed = KeyedHash(store.budgets.secret(transaction))
        for user, expected in runs.items():
            number_ = store.budgets.group_of(transaction, hashed(f"user-{user:05d}"))
            assert (number_ is None) == (user not in standing)
            if number_ is not None:
                group = groups[number_]
                assert (group.runs, group.standing) == (tuple(expected), standing[user])


def test_what_happens_in_one_run_is_noted_at_that_run_alone(tmp_path: Path) -> None:
    store = SiteStore(tmp_path / "site.db")
    with store.transaction() as transaction:
        budgets = store.budgets
        for run in (b"first", b"second"):
            budgets.add_charge(transaction, run_id=run, spending=SPENDING, now=5)
        budgets.touch(transaction, b"second", 9)
        budgets.close(transaction, b"first")
        budgets.note_heads(transaction, b"second", took_part=3, left_out=1)
        found = [(c.run, c.joined, c.active, c.open) for c in budgets.charges(transaction)]
        assert found == [(b"first", 5, 5, False), (b"second", 5, 9, True)]
        assert budgets.head_counts(transaction) == {b"first": (0, 0), b"second": (3, 1)}
