"""What was spent, as a value: merging is exact, and what was written is read back or refused."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.errors import InvalidInput, PrivacyError
from recommons.common.hashing import canonical_json
from recommons.common.privacy.accounting import Totals, epsilon_of
from recommons.common.privacy.spending import Cost, Spending


@st.composite
def costs(draw: st.DrawFn) -> Cost:
    exact = draw(st.booleans())
    return Cost(
        rate=draw(st.sampled_from([1.0, 1.0, 0.5, 0.01])),
        mu_squared=draw(st.floats(0, 10)) if exact else math.inf,
        tau=draw(st.sampled_from([0.0, 1e-12])) if exact else math.inf,
        tv_error=draw(st.floats(0, 1e-20)),
        rho=draw(st.floats(0, 10)),
        lost_variance=draw(st.floats(0, 0.1)),
        exact=exact,
    )


def full(**quantities: Any) -> Cost:
    return Cost(**{"mu_squared": 0.25, "rho": 0.125, "tau": 1e-12, "tv_error": 1e-30} | quantities)


@given(listed=st.lists(costs(), max_size=8), data=st.data())
def test_merging_gives_the_same_value_in_whatever_order_and_grouping(
    listed: list[Cost], data: st.DataObject
) -> None:
    whole = Spending.of(listed)
    shuffled = data.draw(st.permutations(listed))
    cut = data.draw(st.integers(0, len(listed)))
    one_by_one = Spending()
    for cost in shuffled:
        one_by_one = one_by_one + Spending.of([cost])
    assert Spending.total([Spending.of(shuffled[:cut]), Spending.of(shuffled[cut:])]) == whole
    assert one_by_one == whole
    assert hash(one_by_one) == hash(whole)
    assert whole.times(2) == whole + whole
    assert whole.times(0) == Spending()


@given(listed=st.lists(costs(), max_size=8))
def test_a_spending_survives_canonical_json(listed: list[Cost]) -> None:
    spending = Spending.of(listed)
    assert Spending.from_json(json.loads(canonical_json(spending.to_json()))) == spending


def test_epsilon_is_the_same_to_the_last_bit_in_whatever_order_costs_came() -> None:
    parts = [Spending.of([full(mu_squared=x)]) for x in (1e-9, 0.3, 1 / 3, 0.1, 2 / 7)]
    forwards, backwards = Spending.total(parts), Spending.total(reversed(parts))
    assert epsilon_of(forwards, 1e-6) == epsilon_of(backwards, 1e-6) > 1


def test_blocks_of_one_attempt_are_one_cost_and_rates_are_not_mixed() -> None:
    together = Cost.together([full(), full(mu_squared=0.5, exact=False, lost_variance=0.1)])
    assert together == full(
        mu_squared=0.75, rho=0.25, tau=2e-12, tv_error=2e-30, lost_variance=0.1, exact=False
    )
    assert Cost.together([]) == Cost()
    with pytest.raises(InvalidInput, match="one rate"):
        Cost.together([full(), full(rate=0.5)])


def test_the_larger_of_two_attempts_is_so_in_every_respect() -> None:
    one = Spending.of([full(mu_squared=2.0), full(rate=0.1, mu_squared=3.0)])
    other = Spending.of([full(rho=9.0, exact=False), full(rate=0.2, mu_squared=1.0)])
    assert one.at_least(other) == Spending.of(
        [full(mu_squared=2.0, rho=9.0, exact=False), full(rate=0.2, mu_squared=3.0)]
    )
    assert one.at_least(Spending()) == one
    with pytest.raises(InvalidInput, match="one attempt each"):
        one.times(2).at_least(other)


@pytest.mark.parametrize(
    "change",
    [
        {"mu_squared": -1.0},
        {"tau": math.nan},
        {"rate": 0.0},
        {"rate": 1.5},
        {"rate": math.inf},
    ],
)
def test_an_impossible_cost_is_named(change: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(change))):
        full(**change)


@pytest.mark.parametrize(
    "charges",
    [
        ((full(), 0),),
        ((full(), 1), (full(), 1)),
        ((full(mu_squared=2.0), 1), (full(mu_squared=1.0), 1)),
    ],
)
def test_charges_not_in_their_one_form_are_refused(charges: tuple[tuple[Cost, int], ...]) -> None:
    with pytest.raises(InvalidInput, match="charges"):
        Spending(charges=charges)


def test_fewer_than_no_repetitions_are_refused() -> None:
    with pytest.raises(InvalidInput, match="count"):
        Spending().times(-1)


def written(**changes: Any) -> dict[str, Any]:
    document = Spending.of([full()]).to_json()
    document["charges"][0] |= changes
    return document


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"version": 1},
        {"version": 1, "charges": {}},
        {"version": 2, "charges": []},
        {"version": True, "charges": []},
        {"version": 1, "charges": [], "more": 1},
        {"version": 1, "charges": [1]},
        {"version": 1, "charges": [{}]},
        written(more=1),
        written(count=0),
        written(count=1.0),
        written(count=True),
        written(exact=1),
        written(rate=None),
        written(rate=0),
        written(mu_squared="1"),
        written(mu_squared=True),
        written(mu_squared=-1),
        {"version": 1, "charges": written()["charges"] * 2},
    ],
)
def test_what_was_not_written_so_is_refused_by_name(value: object) -> None:
    with pytest.raises(PrivacyError) as caught:
        Spending.from_json(value)
    assert caught.value.code == "privacy/bad-spending"


def test_without_noise_what_is_spent_is_written_as_null_and_stays_without_end() -> None:
    document = Spending.of([Cost(mu_squared=math.inf, rho=math.inf)]).to_json()
    assert document["charges"][0]["mu_squared"] is None
    assert epsilon_of(Spending.from_json(document), 1e-6) == math.inf


def test_what_attempts_cost_adds_up_in_every_quantity() -> None:
    cost = Cost(mu_squared=0.25, tau=0.125, tv_error=2**-30, rho=0.5)
    other = Cost(mu_squared=2.0, tau=1.0, tv_error=2**-20, rho=4.0)
    totals = Totals.of(Spending.of([cost]).times(4) + Spending.of([other]))
    assert totals.mu == pytest.approx(3.0**0.5, rel=1e-15)
    assert (totals.tau, totals.tv_error, totals.rho) == (1.5, 2**-28 + 2**-20, 6.0)
