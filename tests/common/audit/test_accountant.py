"""The auditor's accountant: published values, exact laws, and the accountant that plans."""

import math
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from recommons.common.audit.accountant import (
    Balance,
    Charge,
    Unaccountable,
    charges_of_attempt,
    epsilon_of,
    sampled,
    theta,
)
from recommons.common.audit.accountant.concentrated import rho_of_sum, zcdp_epsilon
from recommons.common.audit.accountant.gaussian import gaussian_delta, gaussian_epsilon
from recommons.common.audit.accountant.sampled import Composition, compose
from recommons.common.audit.plans import CLAIM_SLACK
from recommons.common.privacy import accounting, concentrated, noise_table, smoothing
from recommons.common.privacy.events import GaussianSumRelease, event_from_json

Raw = dict[str, Any]

EVENT: Raw = {
    "round": 0,
    "attempt": 0,
    "block": "sums",
    "size": 5000,
    "clip": 1.0,
    "sensitivity": 900,
    "noise_stddev": 4000.5,
    "cohort": 8,
    "min_survivors": 7,
    "colluding": 1,
    "ring_bits": 32,
}


def event(**changes: Any) -> Raw:
    return GaussianSumRelease(**{**EVENT, **changes}).to_json()


def balance(attempts: Sequence[Sequence[Raw]]) -> Balance:
    return Balance.of(Counter(c for own in attempts for c in charges_of_attempt(own)))


def planned(attempts: Sequence[Sequence[Raw]], delta: float) -> float:
    """ε by the accountant that plans."""
    events = [event_from_json(raw) for own in attempts for raw in own]
    return accounting.epsilon(events, delta)


# Published values.


@pytest.mark.parametrize(
    ("mu", "epsilon", "delta"),
    [
        # Theorem 8 of Balle and Wang (2018) at ε = 1, to six digits of its two normal tails:
        # Φ(-1/2) - e·Φ(-3/2) and Φ(-7/4) - e·Φ(-9/4).
        (1.0, 1.0, 0.308538 - math.e * 0.0668072),
        (0.5, 1.0, 0.0400592 - math.e * 0.0122245),
        # The value that dp-accounting documents for one Gaussian release of multiplier 1.
        (1.0, 4.377178, 1e-5),
    ],
)
def test_the_gaussian_mechanism_has_its_published_epsilon(
    mu: float, epsilon: float, delta: float
) -> None:
    assert gaussian_epsilon(delta, mu * mu) == pytest.approx(epsilon, abs=2e-4)
    assert float(gaussian_delta(epsilon, mu)) == pytest.approx(delta, rel=2e-4)


def test_sampled_composition_has_the_delta_that_the_fourier_accountant_prints() -> None:
    """Koskela, Jälkö and Honkela's own example: q = 0.01, σ = 4, ε = 1, remove or add.

    (Its comment names 1,000 compositions; the printed number is that of 10,000, computed here.)
    """
    found = compose(0.0, (((0.01, 1 / 16), 10_000),)).delta(1.0)
    assert 4.243484e-6 <= found <= 4.243484e-6 * 1.001


def test_sampled_composition_lies_below_the_moments_accountants_published_epsilon() -> None:
    """Abadi et al. (2016), section 3.2: q = 0.01, σ = 4, 10^4 steps, δ = 1e-5 give ε ≈ 1.26."""
    found = compose(0.0, (((0.01, 1 / 16), 10_000),)).epsilon(1e-5)
    assert 0.9 < found < 1.26


def test_zcdp_converts_as_bun_and_steinke_bound_it() -> None:
    """The optimal conversion is below ρ + 2√(ρ·ln(1/δ)) (2016, Proposition 1.3), not by far."""
    for rho in (0.01, 0.1, 1.0):
        classical = rho + 2 * math.sqrt(rho * math.log(1e6))
        assert 0.8 * classical < zcdp_epsilon(1e-6, rho) < classical


# Exact laws.


def discrete_sum(stddev: float, shares: int, reach: int) -> npt.NDArray[np.float64]:
    """The law of a sum of discrete Gaussians on -reach … reach, by convolution."""
    k = np.arange(-reach, reach + 1)
    one = np.exp(-k * k / (2 * stddev**2))
    one /= one.sum()
    law = one
    for _ in range(shares - 1):
        law = np.convolve(law, one)
        middle = len(law) // 2
        law = law[middle - reach : middle + reach + 1]
    return law


def exact_epsilon(p: npt.NDArray[np.float64], q: npt.NDArray[np.float64], delta: float) -> float:
    """The least ε with Σ max(0, p - e^ε·q) ≤ δ, both ways, by bisection."""
    low, high = 0.0, 60.0
    for _ in range(80):
        middle = (low + high) / 2
        worst = max(
            float(np.maximum(p - math.exp(middle) * q, 0).sum()),
            float(np.maximum(q - math.exp(middle) * p, 0).sum()),
        )
        low, high = (low, middle) if worst <= delta else (middle, high)
    return high


@pytest.mark.parametrize(("stddev", "shares"), [(4.0, 1), (4.0, 3), (6.5, 2), (20.0, 5)])
@pytest.mark.parametrize("sampling", [None, 0.2])
def test_epsilon_is_never_below_that_of_the_exact_law_and_not_far_above(
    stddev: float, shares: int, sampling: float | None
) -> None:
    raw = event(
        size=1,
        sensitivity=6,
        noise_stddev=stddev,
        cohort=shares + 1,
        min_survivors=shares + 1,
        sampling=sampling,
    )
    law = discrete_sum(stddev, shares, 700)
    shifted = np.roll(law, 6)
    rate = 1.0 if sampling is None else sampling
    exact = exact_epsilon((1 - rate) * law + rate * shifted, law, 1e-6)
    found = epsilon_of(balance([[raw]]), 1e-6)
    # What is above is the variance given up to the rounding: an eighth of one share of width 4.
    lost = float(theta.kernel_variance(1)) / (shares * stddev**2)
    assert exact <= found <= exact * (1 + 1.5 * lost + 1e-3)


@pytest.mark.parametrize(("width", "shares"), [(0.7, 2), (0.8, 3), (0.9, 5)])
def test_tau_bounds_the_exact_pointwise_ratio_at_widths_where_it_can_be_seen(
    width: float, shares: int
) -> None:
    kernel = mpmath.mpf("0.6")
    tau = float(theta.log_ratio(width, shares, kernel))
    law = discrete_sum(width, shares, 60)
    variance = shares * width**2 - float(kernel)
    y = np.linspace(-40, 40, 200_001)
    density = np.exp(-y * y / (2 * variance))
    density /= density.sum()
    grid = np.arange(-60, 61)
    for k in range(-5, 6):
        weights = np.exp(-((k - y) ** 2) / (2 * float(kernel)))
        total = sum(np.exp(-((j - y) ** 2) / (2 * float(kernel))) for j in range(-48, 49))
        rounded = float(np.dot(density, weights / total))
        assert abs(math.log(law[60 + k] / rounded)) <= tau
    assert len(grid) == len(law)
    assert tau < 0.2  # a bound that says something


def test_the_theta_series_is_the_excess_of_a_sum_over_the_integers() -> None:
    for width in (0.3, 0.5, 0.8):
        excess = float(theta.theta_excess(mpmath.mpf(width)))
        sums = [
            math.fsum(math.exp(-((k - y) ** 2) / (2 * width**2)) for k in range(-20, 21))
            / (width * math.sqrt(2 * math.pi))
            for y in (0.0, 0.5)
        ]
        assert max(abs(total - 1) for total in sums) == pytest.approx(excess, rel=1e-9)
        assert excess <= smoothing.theta_excess(width) * (1 + 1e-12)  # planning's is from above


# Against the accountant that plans.

mechanisms = st.fixed_dictionaries(
    {
        "size": st.integers(1, 200_000),
        "sensitivity": st.integers(1, 2000),
        "noise_stddev": st.floats(4.0, 8000.0),
        "cohort": st.just(40),
        "min_survivors": st.integers(4, 40),
        "colluding": st.integers(0, 3),
        "max_sites_per_person": st.integers(1, 3),
    }
)


@settings(max_examples=25)
@given(
    blocks=st.lists(mechanisms, min_size=1, max_size=4),
    attempts=st.integers(1, 5),
    delta=st.floats(-9, -3).map(lambda power: 10.0**power),
)
def test_full_participation_agrees_with_the_planning_accountant_and_is_never_above_it(
    blocks: list[Raw], attempts: int, delta: float
) -> None:
    raw = [
        [event(block=f"b{k}", attempt=attempt, **block) for k, block in enumerate(blocks)]
        for attempt in range(attempts)
    ]
    theirs, ours = planned(raw, delta), epsilon_of(balance(raw), delta)
    if math.isinf(theirs) or math.isinf(ours):
        assert ours == theirs or ours > 30  # within a hair of where the tables take all of δ
        return
    assert ours <= theirs * (1 + CLAIM_SLACK[False])  # the claim is never called too small
    # Where the tables' error is felt, planning gives it the first of five parts of δ; and where ε
    # is a ten-thousandth, its margin in δ weighs.
    assert theirs - ours <= (1e-3 if ours < 30 else 1e-2) * theirs + 1e-4


@settings(max_examples=15)
@given(
    rate=st.floats(1e-3, 0.9),
    mu=st.floats(0.05, 1.5),
    attempts=st.integers(1, 400),
    full=st.sampled_from([0.0, 0.3, 4.0]),  # the last as in the reading of a site's own share
    delta=st.sampled_from([1e-5, 1e-7]),
)
def test_sampled_composition_agrees_with_the_planning_accountant_within_a_thousandth(
    rate: float, mu: float, attempts: int, full: float, delta: float
) -> None:
    from recommons.common.privacy.sampled import composed_epsilon

    theirs = composed_epsilon(delta, full, {(rate, mu): attempts})
    ours = compose(full**2, (((rate, mu * mu), attempts),)).epsilon(delta)
    assume(math.isfinite(theirs) and theirs > 1e-2)
    assert ours == pytest.approx(theirs, rel=1e-3)


def test_a_large_release_beside_sampled_ones_costs_what_it_costs_alone() -> None:
    """What the reading of a site's own share meets: no steps of the grid are lost to overflow."""
    for mu in (3.0, 4.5, 9.0):
        ours = compose(mu**2, (((0.2, 1e-2), 4),)).epsilon(1e-6)
        assert ours == pytest.approx(gaussian_epsilon(1e-6, mu**2), rel=1e-3)


@pytest.mark.parametrize(
    ("full", "parts"),
    [
        (9.0, (((0.1, 1e-8), 1),)),
        (9.0, (((0.01, 1e-4), 1000),)),
        (0.0, (((0.05, 0.25), 60), ((0.1, 1e-8), 3))),
        (0.0, (((0.2, 1e-6), 1), ((0.2, 9.0), 1))),
        (1e-8, (((0.1, 1.0), 20),)),
        (0.25, (((0.01, 2.25), 40), ((0.02, 1e-3), 500))),
    ],
)
def test_releases_of_very_different_size_are_composed_on_a_grid_no_larger_than_needed(
    full: float, parts: tuple[tuple[tuple[float, float], int], ...]
) -> None:
    from recommons.common.privacy.sampled import composed_epsilon

    found = compose(full, parts)
    ours = found.epsilon(1e-6)
    theirs = composed_epsilon(
        1e-6, math.sqrt(full), {(rate, math.sqrt(mu2)): count for (rate, mu2), count in parts}
    )
    assert ours == pytest.approx(theirs, rel=1e-3)
    if full:  # what is known exactly: no less than all full releases by themselves
        assert ours >= gaussian_epsilon(1e-6, full)
    assert len(found.ways[0]) <= 1 << 18


@pytest.mark.parametrize(("rate", "mu", "count"), [(1e-6, 9.0, 100), (1e-4, 5.0, 100)])
def test_rare_and_very_large_losses_are_composed_too(rate: float, mu: float, count: int) -> None:
    from recommons.common.privacy.sampled import composed_epsilon

    found = compose(0.0, (((rate, mu * mu), count),))
    assert found.epsilon(1e-6) == pytest.approx(
        composed_epsilon(1e-6, 0.0, {(rate, mu): count}), rel=1e-3
    )
    assert len(found.ways[0]) <= 1 << 20


@pytest.mark.parametrize("full", [0.5, 3.0])
@pytest.mark.parametrize(("rate", "mu"), [(0.1, 1e-4), (0.02, 0.3), (1e-4, 5.0)])
@pytest.mark.parametrize("epsilon", [0.3, 2.0, 9.0])
def test_a_full_release_and_a_sampled_one_have_their_exact_delta_from_above(
    full: float, rate: float, mu: float, epsilon: float
) -> None:
    """By quadrature: δ at ε of the two is that of the full one at ε less the sampled one's loss."""
    x = np.linspace(-12, 12 + mu, 400_001)
    losses = np.log1p(rate * np.expm1(mu * x - mu * mu / 2))
    plain, moved = (np.exp(-((x - mean) ** 2) / 2) for mean in (0.0, mu))
    scale = (x[1] - x[0]) / math.sqrt(2 * math.pi)

    def of_full(rest: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(
            ndtr(full / 2 - rest / full) - np.exp(rest) * ndtr(-full / 2 - rest / full)
        )

    removed = np.dot((1 - rate) * plain + rate * moved, of_full(epsilon - losses)) * scale
    added = np.dot(plain, of_full(epsilon + losses)) * scale
    exact = max(float(removed), float(added))
    found = compose(full**2, (((rate, mu * mu), 1),)).delta(epsilon)
    assert exact <= found + 1e-14
    assert found <= exact * (1 + 2e-3) + 1e-12


@settings(max_examples=20)
@given(
    parts=st.lists(
        st.tuples(
            st.floats(-3, -0.1).map(lambda power: 10.0**power),  # rate
            st.floats(-8, 1).map(lambda power: 10.0**power),  # μ²
            st.integers(1, 200),
        ),
        min_size=2,
        max_size=3,
    ),
    full=st.sampled_from([0.0, 1e-7, 0.3, 9.0]),
)
def test_a_finer_grid_raises_no_epsilon_and_lowers_none_by_a_thousandth(
    parts: list[tuple[float, float, int]], full: float
) -> None:
    """Points between those of a grid only take away from what straight lines add to the curve."""
    taken = tuple(sorted({(rate, mu2): count for rate, mu2, count in parts}.items()))
    coarse = compose.__wrapped__(full, taken)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampled, "_STEPS_IN_DEVIATION", 4 * sampled._STEPS_IN_DEVIATION)
        fine = compose.__wrapped__(full, taken)
    assert fine.step < coarse.step
    for delta in (1e-4, 1e-8):
        once, again = coarse.epsilon(delta), fine.epsilon(delta)
        if math.isfinite(once):
            assert again <= once * (1 + 2e-6)  # the bisection's own
            assert once - again <= 1e-3 * max(again, 1e-3)


@pytest.mark.parametrize("mu", [0.3, 3.0, 5.0, 9.0])
@pytest.mark.parametrize("rate", [1e-3, 1 - 1e-9])
def test_both_ways_of_a_full_release_are_the_same_beside_a_tiny_sampled_one(
    mu: float, rate: float
) -> None:
    found = compose(mu * mu, (((rate, 1e-12), 1),))
    for way, beyond in zip(found.ways, found.beyond, strict=True):
        one = Composition(step=found.step, ways=(way, way), beyond=(beyond, beyond))
        for epsilon in (0.3 * mu, mu * mu / 2 + 4.5 * mu):
            exact = float(gaussian_delta(epsilon, mu))
            assert exact <= one.delta(epsilon) + 1e-13
            assert one.delta(epsilon) == pytest.approx(exact, rel=5e-3, abs=1e-12)


def test_sampled_events_agree_with_the_planning_accountant() -> None:
    raw = [
        [event(attempt=k, sampling=0.05), event(attempt=k, block="gram", size=90, sampling=0.05)]
        for k in range(60)
    ]
    raw += [[event(round=1)]]
    assert epsilon_of(balance(raw), 1e-6) == pytest.approx(planned(raw, 1e-6), rel=1e-3)


@pytest.mark.parametrize(("stddev", "shares"), [(0.6, 3), (2.0, 5), (3.9, 2)])
def test_narrow_noise_is_accounted_for_by_zcdp_as_in_planning(stddev: float, shares: int) -> None:
    raw = [
        [event(noise_stddev=stddev, sensitivity=2, size=12, min_survivors=shares + 1)],
        [event(round=1)],
    ]
    assert epsilon_of(balance(raw), 1e-6) == pytest.approx(planned(raw, 1e-6), rel=1e-6)
    theirs = concentrated.rho_of_sum(sensitivity=2.0, stddev=stddev, shares=shares, size=12)
    assert rho_of_sum(shift=2, stddev=stddev, shares=shares, size=12) == pytest.approx(theirs)


# What must enter.


def test_tau_enters_epsilon_twice_and_delta_once() -> None:
    found = epsilon_of(Balance(mu_squared=1.0, tau=0.01), 1e-5)
    assert found == pytest.approx(gaussian_epsilon(1e-5 * math.exp(-0.01), 1.0) + 0.02, rel=1e-9)


def test_every_block_adds_its_tau() -> None:
    (charge,) = charges_of_attempt([event(size=10**6)])
    # t² is chosen so that rounding the block costs 1e-12; the rest is nothing at this width.
    assert charge.tau == pytest.approx(1e-12, rel=1e-6, abs=0)
    assert balance([[event(attempt=k)] for k in range(3)]).tau == pytest.approx(
        3e-12, rel=1e-6, abs=0
    )


def test_the_error_of_the_tables_enters_delta_on_both_sides() -> None:
    beta, delta = 1e-9, 1e-6
    found = epsilon_of(Balance(mu_squared=1.0, tau=1e-3, tv_error=beta), delta)
    with mpmath.workdps(30):
        left = mpmath.exp("1e-3") * gaussian_delta(found - 2e-3, 1.0)
        left += (1 + mpmath.exp(found)) * beta
    assert float(left) == pytest.approx(delta, rel=1e-8)
    assert found > epsilon_of(Balance(mu_squared=1.0, tau=1e-3), delta) * (1 + 1e-3)
    assert epsilon_of(Balance(mu_squared=1.0, tv_error=1e-6), delta) == math.inf


def test_every_draw_of_every_counted_share_counts() -> None:
    (charge,) = charges_of_attempt([event()])
    expected = 6 * 5000 * noise_table.table_error(4000.5)
    assert expected < 1e-20  # far below the absolute tolerance that `approx` has by default
    assert charge.tv_error == pytest.approx(expected, rel=1e-12, abs=0)


def test_the_variance_given_up_to_the_rounding_is_taken_off() -> None:
    (charge,) = charges_of_attempt(
        [event(size=1, sensitivity=3, noise_stddev=4.0, min_survivors=2, cohort=2)]
    )
    kernel = float(theta.kernel_variance(1))
    assert kernel == pytest.approx(smoothing.kernel_variance(1), rel=0.03)
    assert charge.mu_squared == pytest.approx(9 / (16 - kernel), rel=1e-9)
    assert charge.mu_squared > 1.09 * 9 / 16


def test_shares_that_colluders_may_withhold_are_not_counted_on() -> None:
    (all_honest,) = charges_of_attempt([event(colluding=0)])
    (one,) = charges_of_attempt([event(colluding=1)])
    (three,) = charges_of_attempt([event(colluding=3)])
    assert one.mu_squared == pytest.approx(all_honest.mu_squared * 7 / 6, rel=1e-6)
    assert three.mu_squared == pytest.approx(all_honest.mu_squared * 7 / 4, rel=1e-6)


def test_shares_beyond_the_least_number_of_survivors_are_not_counted_on() -> None:
    (few,) = charges_of_attempt([event(min_survivors=5)])
    (many,) = charges_of_attempt([event(min_survivors=7)])
    assert few.mu_squared == pytest.approx(many.mu_squared * 6 / 4, rel=1e-6)


def test_a_person_at_several_sites_has_so_many_times_the_sensitivity_and_is_drawn_as_often() -> (
    None
):
    (one,) = charges_of_attempt([event(sampling=0.1)])
    (two,) = charges_of_attempt([event(sampling=0.1, max_sites_per_person=2)])
    assert two.mu_squared == pytest.approx(4 * one.mu_squared)
    assert two.rate == pytest.approx(0.19, rel=1e-9)


def test_blocks_of_one_attempt_share_one_draw_of_the_users() -> None:
    both = [event(sampling=0.1), event(block="gram", sampling=0.1)]
    (together,) = charges_of_attempt(both)
    (alone,) = charges_of_attempt(both[:1])
    assert together.mu_squared == pytest.approx(2 * alone.mu_squared)
    assert together.rate == 0.1


def test_a_sum_without_noise_or_without_a_bound_has_no_guarantee() -> None:
    for raw in (event(noise_stddev=0.0), event(clip=math.inf), event(noise_stddev=0.4)):
        assert epsilon_of(balance([[raw]]), 1e-6) == math.inf


def test_nothing_released_costs_nothing() -> None:
    assert epsilon_of(balance([]), 1e-6) == 0.0


def test_delta_below_what_the_transforms_resolve_counts_on_no_sampling() -> None:
    sampled = Balance(sampled=(((0.01, 0.25), 10),))
    assert epsilon_of(sampled, 1e-13) == pytest.approx(gaussian_epsilon(1e-13, 2.5))
    assert epsilon_of(sampled, 1e-6) < 0.1 * gaussian_epsilon(1e-6, 2.5)


def test_the_order_of_charges_makes_no_difference() -> None:
    raws = [[event(attempt=k, noise_stddev=4000.5 + k)] for k in range(7)]
    assert balance(raws) == balance(raws[::-1])


@pytest.mark.parametrize(
    "change",
    [
        {"type": "laplace-sum"},
        {"version": 2},
        {"version": True},
        {"extra": 1},
        {"size": 0},
        {"size": True},
        {"size": 1.5},
        {"cohort": 10**9},
        {"colluding": 7},
        {"noise_stddev": -1.0},
        {"noise_stddev": float("nan")},
        {"noise_stddev": "4"},
        {"sampling": 0},
        {"sampling": 1.5},
        {"clip": 0},
        {"block": 7},
        {"unit": "household"},
        {"neighbours": "replace one user"},
        {"max_sites_per_person": 9},
        {"ring_bits": 65},
    ],
)
def test_an_event_of_another_meaning_is_refused_never_skipped(change: Raw) -> None:
    with pytest.raises(Unaccountable):
        charges_of_attempt([{**event(), **change}])


def test_events_that_do_not_belong_together_are_refused() -> None:
    for pair in (
        [event(), event(attempt=1)],
        [event(sampling=0.1), event(block="gram", sampling=0.2)],
        [event(sampling=0.1), event(sampling=0.1)],
    ):
        with pytest.raises(Unaccountable):
            charges_of_attempt(pair)
    with pytest.raises(Unaccountable):
        charges_of_attempt([["not", "an", "event"]])
    with pytest.raises(Unaccountable):
        charges_of_attempt([{k: v for k, v in event().items() if k != "colluding"}])


def test_charges_are_values() -> None:
    assert charges_of_attempt([event()]) == charges_of_attempt([event()])
    assert len({*charges_of_attempt([event()]), *charges_of_attempt([event(attempt=1)])}) == 1
    assert Charge() == Charge(rate=1.0)


def test_it_loads_nothing_of_this_house_but_itself() -> None:
    """So that one mistake cannot be made by it and by the accountant that plans, in one line."""
    asked = "import sys, recommons.common.audit.accountant; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, check=True, text=True, timeout=120
    ).stdout.split()
    own = "recommons.common.audit.accountant"
    packages = {"recommons", "recommons.common", "recommons.common.audit"}
    foreign = {name for name in loaded if name.split(".")[0] in ("recommons", "dp_accounting")}
    assert own in foreign
    assert {name for name in foreign if not name.startswith(own)} <= packages
    assert not {"opacus", "dp_accounting", "torch"} & set(loaded)
