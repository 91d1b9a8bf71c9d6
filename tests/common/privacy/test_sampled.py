"""Poisson-sampled releases: against exact laws, closed forms and accountants of other hands."""

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import ndtr

from recommons.common.errors import PrivacyError
from recommons.common.privacy.accounting import account, epsilon, epsilon_of, spending_of
from recommons.common.privacy.crosschecks import TOLERANCE, cross_checks, disagreements
from recommons.common.privacy.events import GaussianSumRelease, Reading
from recommons.common.privacy.gaussian import gaussian_delta, gaussian_epsilon
from recommons.common.privacy.sampled import (
    composed_epsilon,
    composes_at,
    numeric_error,
    rate_of_person,
)
from recommons.common.privacy.spending import Cost, Spending

Floats = npt.NDArray[np.float64]


def release(**changes: Any) -> GaussianSumRelease:
    values: dict[str, Any] = {
        "round": 0,
        "attempt": 0,
        "block": "gradient",
        "size": 1000,
        "clip": 1.0,
        "sensitivity": 9000,
        "noise_stddev": 4096.0,
        "cohort": 8,
        "min_survivors": 6,
        "colluding": 1,
        "ring_bits": 32,
        "sampling": 0.1,
    }
    return GaussianSumRelease(**values | changes)


def mixture_losses(rate: float, mu: float, x: Floats) -> Floats:
    """Of x, ln of (1-q)·N(0,1) + q·N(μ,1) over N(0,1)."""
    return np.asarray(np.log1p(rate * np.expm1(mu * x - mu**2 / 2)))


def hockey_stick(weights: Floats, losses: Floats, epsilon_: float) -> float:
    """δ at ε of a law whose atoms have these weights and privacy losses."""
    return float((weights * -np.expm1(np.minimum(epsilon_ - losses, 0))).sum())


def worst_delta(here: Floats, there: Floats, epsilon_: float) -> float:
    """δ at ε of two laws on the same points, whichever way round is worse."""
    scale = math.exp(epsilon_)
    return max(float(np.maximum(a - scale * b, 0).sum()) for a, b in ((here, there), (there, here)))


def exact_delta(epsilon_: float, rate: float, mu: float) -> float:
    """δ at ε of one sampled Gaussian release, whichever way round is worse, in closed form.

    The loss is monotone, so each way round is a difference of normal probabilities. Removed: where
    1 + q·(e^{μx - μ²/2} - 1) > e^ε. Added: where e^ε times that is below 1.
    """
    scale = math.exp(epsilon_)
    high = (math.log1p(math.expm1(epsilon_) / rate) + mu**2 / 2) / mu
    removed = (1 - rate) * ndtr(-high) + rate * ndtr(mu - high) - scale * ndtr(-high)
    under = (math.exp(-epsilon_) - (1 - rate)) / rate
    if under <= 0:
        return float(removed)
    low = (math.log(under) + mu**2 / 2) / mu
    inside = (1 - rate) * ndtr(low) + rate * ndtr(low - mu)
    return float(max(removed, ndtr(low) - scale * inside))


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.6])
@pytest.mark.parametrize("mu", [0.05, 1.0, 5.0])
@pytest.mark.parametrize("delta", [1e-4, 1e-7])
def test_one_sampled_release_has_its_closed_form(rate: float, mu: float, delta: float) -> None:
    found = composed_epsilon(delta, 0.0, {(rate, mu): 1})
    assert exact_delta(found, rate, mu) <= delta
    if found > 1e-3:
        assert exact_delta(found * 0.998 - 2e-4, rate, mu) > delta


def test_the_allowance_for_rounding_is_taken_off_delta() -> None:
    error = numeric_error(1)
    found = composed_epsilon(2 * error, 0.0, {(0.1, 1.0): 1})
    assert exact_delta(found, 0.1, 1.0) <= error * 1.0001


@pytest.mark.parametrize("mu", [0.0, 0.4])
def test_sampled_and_full_releases_compose_as_their_product_does(mu: float) -> None:
    """Two sampled releases by quadrature in the plane, times a Gaussian in closed form."""
    (q1, m1), (q2, m2), delta = (0.1, 1.5), (0.4, 0.7), 1e-5
    found = composed_epsilon(delta, mu, {(q1, m1): 1, (q2, m2): 1})
    step = 0.01
    x = np.arange(-9, 12, step)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi) * step
    one, two = mixture_losses(q1, m1, x), mixture_losses(q2, m2, x)
    base = density[:, None] * density
    losses = one[:, None] + two

    def delta_at(epsilon_: float) -> float:
        """Whichever way round is worse; the Gaussian takes what the others leave of ε."""
        found = []
        for weights, loss in ((base * np.exp(losses), losses), (base, -losses)):
            if not mu:
                found.append(hockey_stick(weights, loss, epsilon_))
                continue
            left = epsilon_ - loss
            grid = np.linspace(left.min(), left.max(), 2000)
            table = [gaussian_at_any(value, mu) for value in grid]
            found.append(float((weights * np.interp(left, grid, table)).sum()))
        return max(found)

    assert delta_at(found) <= delta * 1.0001
    assert delta_at(found * 0.998) > delta


def gaussian_at_any(epsilon_: float, mu: float) -> float:
    """δ(ε; μ), for negative ε too."""
    if epsilon_ >= 0:
        return gaussian_delta(epsilon_, mu)
    return 1 - math.exp(epsilon_) * (1 - gaussian_delta(-epsilon_, mu))


def discrete_gaussian(stddev: float, shares: int) -> Floats:
    """The law of a sum of n discrete Gaussians."""
    reach = math.ceil(13 * stddev)
    weights = np.exp(-(np.arange(-reach, reach + 1.0) ** 2) / (2 * stddev**2))
    law = single = weights / weights.sum()
    for _ in range(shares - 1):
        law = np.convolve(law, single)
    return np.asarray(law)


def shifted(law: Floats, shift: int, room: int) -> Floats:
    """The law moved by `shift`, on points that leave `room` at either side."""
    return np.pad(law, (room + shift, room - shift))


@pytest.mark.parametrize(("stddev", "shift", "shares"), [(4.0, 6, 1), (6.5, 20, 3)])
@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_epsilon_is_never_below_that_of_the_exact_discrete_law(
    stddev: float, shift: int, shares: int, rate: float
) -> None:
    event = release(
        size=1,
        sensitivity=shift,
        noise_stddev=stddev,
        cohort=shares,
        min_survivors=shares,
        colluding=0,
        sampling=rate,
    )
    found = account([event], 1e-4)
    law = discrete_gaussian(stddev, shares)
    without, drawn = shifted(law, 0, shift), shifted(law, shift, shift)
    assert found.accountant == "pld"
    mixed = (1 - rate) * without + rate * drawn
    assert worst_delta(mixed, without, found.epsilon) <= 1e-4
    # What the argument gives up: the kernel's part of the variance, a fifth at s = 4 and one share.
    assert worst_delta(mixed, without, found.epsilon * (1 - found.lost_variance) * 0.95) > 1e-4


def test_a_clamp_and_the_draws_of_others_take_nothing_from_the_bound() -> None:
    """Two other users, each drawn or not, and a sum clamped between their parts: by enumeration."""
    rate, stddev, clamp, delta = 0.3, 4.0, 7, 1e-4
    mine, others = 6, (5, -9)
    law = discrete_gaussian(stddev, 1)
    room = 2 * clamp
    without = np.zeros(len(law) + 2 * room)
    present = np.zeros(len(law) + 2 * room)
    for drawn in itertools.product((0, 1), repeat=3):
        chance = math.prod(rate if d else 1 - rate for d in drawn)
        total = sum(d * part for d, part in zip(drawn[1:], others, strict=True))
        present += chance * shifted(law, int(np.clip(total + drawn[0] * mine, -clamp, clamp)), room)
        without += chance * shifted(law, int(np.clip(total, -clamp, clamp)), room)
    event = release(
        size=1, sensitivity=mine, noise_stddev=stddev, cohort=1, min_survivors=1, colluding=0
    )
    claimed = epsilon([GaussianSumRelease(**{**vars(event), "sampling": rate})], delta)
    assert worst_delta(present, without, claimed) <= delta


def test_blocks_of_one_attempt_share_one_draw_which_costs_more_than_two() -> None:
    """The exact law in the plane: both blocks move, or neither."""
    rate, shift, stddev, delta = 0.1, 8, 4.0, 1e-3
    changes = {"size": 1, "sensitivity": shift, "noise_stddev": stddev, "sampling": rate}
    alone = {"cohort": 1, "min_survivors": 1, "colluding": 0}
    one, two = (release(block=name, **changes, **alone) for name in ("gram", "factors"))
    law = discrete_gaussian(stddev, 1)
    still, moved = shifted(law, 0, shift), shifted(law, shift, shift)
    without = np.outer(still, still)
    present = (1 - rate) * without + rate * np.outer(moved, moved)
    claimed = epsilon([one, two], delta)
    assert worst_delta(present, without, claimed) <= delta
    as_if_drawn_twice = epsilon_of(spending_of([one]) + spending_of([two]), delta)
    assert worst_delta(present, without, as_if_drawn_twice) > delta
    again = GaussianSumRelease(**{**vars(two), "attempt": 1})
    assert epsilon([one, again], delta) == as_if_drawn_twice


def test_a_person_at_several_sites_is_drawn_at_each_and_moves_as_many_parts() -> None:
    """Three sites, each drawing for itself: a binomial mixture, by enumeration."""
    rate, sites, shift, stddev, delta = 0.1, 3, 3, 4.0, 1e-4
    event = release(
        size=1,
        sensitivity=shift,
        noise_stddev=stddev,
        cohort=3,
        min_survivors=3,
        colluding=0,
        max_sites_per_person=sites,
        sampling=rate,
    )
    law = discrete_gaussian(stddev, 3)
    room = sites * shift
    present = np.zeros(len(law) + 2 * room)
    for drawn in range(sites + 1):
        chance = math.comb(sites, drawn) * rate**drawn * (1 - rate) ** (sites - drawn)
        present += chance * shifted(law, drawn * shift, room)
    claimed = epsilon([event], delta)
    assert worst_delta(present, shifted(law, 0, room), claimed) <= delta
    assert claimed > epsilon([GaussianSumRelease(**{**vars(event), "sampling": 0.05})], delta)
    assert rate_of_person(rate, sites) == pytest.approx(1 - 0.9**3, rel=1e-11)
    assert rate_of_person(rate, sites) > 1 - 0.9**3
    assert rate_of_person(1e-12, 2) == pytest.approx(2e-12, rel=1e-6, abs=0)
    assert rate_of_person(1.0, 3) == 1.0


@pytest.mark.parametrize(
    ("rate", "mu", "count", "full"),
    [(0.01, 1.0, 300, 0.0), (0.1, 0.5, 60, 0.4), (0.5, 0.3, 10, 1.0)],
)
def test_the_headline_of_sampled_releases_agrees_with_other_accountants(
    rate: float, mu: float, count: int, full: float
) -> None:
    unit = 4096 * math.sqrt(5)
    events = [release(round=i, sampling=rate, sensitivity=round(unit * mu)) for i in range(count)]
    if full:
        events.append(release(round=count, sampling=None, sensitivity=round(unit * full)))
    found = account(events, 1e-6)
    checks = cross_checks(events, 1e-6)
    assert found.accountant == "pld"
    assert set(checks) == {"dp-accounting-rdp", "opacus-rdp", "opacus-prv"}
    assert disagreements(found.epsilon, checks) == ()
    assert checks["opacus-prv"] == pytest.approx(found.epsilon, rel=TOLERANCE)
    assert found.epsilon < checks["dp-accounting-rdp"] < 1.5 * found.epsilon
    assert checks["dp-accounting-rdp"] == pytest.approx(checks["opacus-rdp"], rel=1e-6)
    taken_for_full = [GaussianSumRelease(**{**vars(e), "sampling": None}) for e in events]
    assert found.epsilon < epsilon(taken_for_full, 1e-6)


def test_a_rate_of_one_is_full_participation() -> None:
    whole = account([release(sampling=1.0)], 1e-6)
    assert whole.accountant == "gaussian"
    assert whole.epsilon == epsilon([release(sampling=None)], 1e-6)


def test_more_noise_fewer_draws_and_fewer_releases_never_cost_more() -> None:
    base = epsilon([release()], 1e-6)
    assert epsilon([release(noise_stddev=5000.0)], 1e-6) < base
    assert epsilon([release(sampling=0.05)], 1e-6) < base
    assert epsilon([release(), release(round=1)], 1e-6) > base
    assert epsilon([release()], 1e-6, Reading.ALL_HONEST) < base
    assert epsilon([release()], 1e-6, Reading.OWN_SHARE) > base


def test_tau_and_the_tables_error_enter_sampled_releases_as_they_do_full_ones() -> None:
    cost = Cost(rate=0.1, mu_squared=1.0, tau=0.05)
    ideal = composed_epsilon(1e-5 * math.exp(-0.05), 0.0, {(0.1, 1.0): 1})
    assert epsilon_of(Spending.of([cost]), 1e-5) == ideal + 0.1
    careless = Cost(rate=0.1, mu_squared=1.0, tau=0.05, tv_error=1e-7)
    found = epsilon_of(Spending.of([careless]), 1e-5)
    for part, is_it in ((0.03, False), (0.1, True), (0.2, False)):
        left = composed_epsilon(1e-5 * (1 - part) * math.exp(-0.05), 0.0, {(0.1, 1.0): 1}) + 0.1
        assert (found == left) is is_it
        assert ((1 + math.exp(left)) * 1e-7 <= part * 1e-5) is (part >= 0.1)
    assert (
        epsilon_of(Spending.of([Cost(rate=0.1, mu_squared=1.0, tv_error=1e-5)]), 1e-5) == math.inf
    )


def test_the_variance_lost_to_the_rounding_enters_sampled_releases_too() -> None:
    event = release(size=10**6, noise_stddev=4.0, sensitivity=9)
    (cost, _), *others = spending_of([event]).charges
    assert others == []
    assert cost.mu_squared == pytest.approx(81 / (5 * 16 - math.log(4e18) / (2 * math.pi**2)))
    assert cost.rate == 0.1


@pytest.mark.parametrize(
    "events",
    [
        [release(), release(block="gram", sampling=0.2)],
        [release(), release()],
        [release(), release(block="gram", max_sites_per_person=2)],
    ],
)
def test_what_no_single_draw_can_explain_is_refused(events: list[GaussianSumRelease]) -> None:
    with pytest.raises(PrivacyError) as caught:
        account(events, 1e-6)
    assert caught.value.code == "privacy/unsupported-sampling"


def test_a_full_block_beside_a_sampled_one_is_accounted_beside_it() -> None:
    mixed = [release(), release(block="counts", sampling=None)]
    apart = spending_of([mixed[0]]) + spending_of([mixed[1]])
    assert spending_of(mixed) == apart
    assert len(apart.charges) == 2


def test_sampled_noise_too_narrow_for_the_proof_is_accounted_by_zcdp_as_if_not_sampled() -> None:
    """Rényi divergence is quasi-convex: the mixture over draws is no worse than its worst part."""
    narrow = release(size=1, sensitivity=2, noise_stddev=2.0)
    found = account([narrow], 1e-6)
    assert found.accountant == "zcdp"
    assert (
        found.epsilon
        == found.zcdp_epsilon
        == epsilon([GaussianSumRelease(**{**vars(narrow), "sampling": None})], 1e-6)
    )
    assert cross_checks([narrow], 1e-6) == {}


def test_a_delta_too_small_for_the_arithmetic_is_accounted_by_zcdp() -> None:
    assert composes_at(1e-9, {(0.1, 1.0): 1})
    assert not composes_at(1e-12, {(0.1, 1.0): 1})
    assert not composes_at(1e-9, {(0.1, 1.0): 100_000})
    assert account([release()], 1e-9).accountant == "pld"
    tiny = account([release()], 1e-12)
    assert (tiny.accountant, tiny.epsilon) == ("zcdp", tiny.zcdp_epsilon)


def test_sampled_releases_without_noise_end_every_guarantee() -> None:
    assert epsilon([release(noise_stddev=0.0)], 1e-6) == math.inf
    assert composed_epsilon(1e-13, 0.0, {(0.1, 1.0): 1}) == math.inf


@pytest.mark.parametrize("count", [1, 100, 10_000])
def test_the_rounding_of_the_transforms_is_a_hundredth_of_what_is_allowed_for_it(
    count: int,
) -> None:
    """Where the answer is known: full participation, composed step by step as sampled ones are."""
    from dp_accounting.pld import privacy_loss_distribution

    each = 0.8 / math.sqrt(count)
    composed = privacy_loss_distribution.from_gaussian_mechanism(1 / each).self_compose(count)
    for epsilon_ in (0.5, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0):
        true = gaussian_delta(epsilon_, 0.8)
        lacking = true - composed.get_delta_for_epsilon(epsilon_)
        assert lacking <= numeric_error(count) / 100 + 1e-10 * true


def test_nothing_sampled_is_the_gaussian_itself() -> None:
    found = composed_epsilon(1e-6, 1.3, {})
    assert found == pytest.approx(gaussian_epsilon(1e-6, 1.3), rel=1e-5)
    assert found >= gaussian_epsilon(1e-6, 1.3)
