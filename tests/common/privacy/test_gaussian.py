"""The Gaussian mechanism's (ε, δ), against mpmath."""

import math

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.errors import InvalidInput
from recommons.common.privacy.gaussian import gaussian_delta, gaussian_epsilon, gaussian_mu


def exact_delta(epsilon: float, mu: float) -> mpmath.mpf:
    """Balle and Wang (2018), Theorem 8, with 600 bits."""
    with mpmath.workprec(600):
        e, m = mpmath.mpf(epsilon), mpmath.mpf(mu)
        return mpmath.ncdf(-e / m + m / 2) - mpmath.exp(e) * mpmath.ncdf(-e / m - m / 2)


@given(
    log_mu=st.floats(math.log(1e-4), math.log(100)),
    # ε/μ - μ/2 = the quantile at which δ lies, down to δ = 1e-90
    place=st.floats(-3, 20),
)
def test_delta_is_within_1e_9_of_mpmath(log_mu: float, place: float) -> None:
    mu = math.exp(log_mu)
    epsilon = max(0.0, mu * (mu / 2 + place))
    exact = exact_delta(epsilon, mu)
    assert abs(gaussian_delta(epsilon, mu) / exact - 1) < 1e-9


@given(log_mu=st.floats(math.log(1e-4), math.log(100)), log_delta=st.floats(-90, -0.01))
def test_epsilon_is_an_upper_bound_and_nearly_the_least(log_mu: float, log_delta: float) -> None:
    mu, delta = math.exp(log_mu), 10**log_delta
    epsilon = gaussian_epsilon(delta, mu)
    assert exact_delta(epsilon, mu) <= delta
    if epsilon:
        assert exact_delta(epsilon * (1 - 1e-6), mu) > delta


@given(log_epsilon=st.floats(-3, 2), log_delta=st.floats(-30, -1))
def test_mu_is_a_lower_bound_and_nearly_the_largest(log_epsilon: float, log_delta: float) -> None:
    epsilon, delta = 10**log_epsilon, 10**log_delta
    mu = gaussian_mu(epsilon, delta)
    if mu:
        assert exact_delta(epsilon, mu) <= delta
        assert exact_delta(epsilon, mu * (1 + 1e-6)) > delta
    else:
        assert exact_delta(epsilon, 1e-4) > delta * (1 - 1e-8)


def test_a_figure_worked_by_hand() -> None:
    """μ = 1, ε = 1: Φ(-½) - e·Φ(-3/2) = 0.308538 - 2.718282 x 0.066807 = 0.126937."""
    assert gaussian_delta(1.0, 1.0) == pytest.approx(0.126937, abs=1e-6)


def test_no_release_costs_nothing_and_no_noise_is_no_guarantee() -> None:
    assert gaussian_epsilon(1e-6, 0.0) == 0
    assert gaussian_epsilon(1e-6, math.inf) == math.inf
    assert gaussian_epsilon(0.9, 0.1) == 0


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-6, 1.5, 1e-101, math.nan])
def test_a_delta_outside_the_open_unit_interval_is_refused(delta: float) -> None:
    with pytest.raises(InvalidInput, match="delta"):
        gaussian_epsilon(delta, 1.0)
    with pytest.raises(InvalidInput, match="delta"):
        gaussian_mu(1.0, delta)
