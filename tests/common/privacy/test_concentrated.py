"""zCDP: its conversion against its own formula, its ρ against exact laws."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.privacy.concentrated import rho_of_sum, zcdp_epsilon
from recommons.common.privacy.gaussian import gaussian_epsilon


@given(log_rho=st.floats(-5, 3), log_delta=st.floats(-12, -1))
def test_the_conversion_is_proposition_12_at_the_best_order(
    log_rho: float, log_delta: float
) -> None:
    """CKS 2020 state δ for a given ε: the infimum over α, here found on a grid."""
    rho, delta = 10**log_rho, 10**log_delta
    epsilon = zcdp_epsilon(delta, rho)
    alphas = 1 + np.geomspace(1e-6, 1e9, 200_001)
    logs = (
        (alphas - 1) * (alphas * rho - epsilon)
        - np.log(alphas - 1)
        + alphas * np.log1p(-1 / alphas)
    )
    if epsilon:
        assert logs.min() == pytest.approx(math.log(delta), abs=1e-3)
    else:
        assert logs.min() <= math.log(delta) + 1e-3


@given(log_rho=st.floats(-5, 2), log_delta=st.floats(-12, -1))
def test_zcdp_never_promises_more_than_the_exact_gaussian(log_rho: float, log_delta: float) -> None:
    rho, delta = 10**log_rho, 10**log_delta
    assert zcdp_epsilon(delta, rho) >= gaussian_epsilon(delta, math.sqrt(2 * rho)) * (1 - 1e-8)


def test_one_share_alone_has_the_rho_of_a_gaussian() -> None:
    """Canonne, Kamath and Steinke (2020), Theorem 4: ρ = Δ²/2s²."""
    assert rho_of_sum(sensitivity=3.0, stddev=2.0, shares=1, size=10**6) == 9 / 8


def test_shares_add_the_tau_of_the_theorem() -> None:
    with mpmath.workprec(200):
        tau = 10 * sum(mpmath.exp(-2 * mpmath.pi**2 * mpmath.mpf(k) / (k + 1)) for k in (1, 2))
        expected = (5 / mpmath.sqrt(3) + mpmath.sqrt(50) * tau) ** 2 / 2
    found = rho_of_sum(sensitivity=5.0, stddev=1.0, shares=3, size=50)
    assert found == pytest.approx(float(expected), rel=1e-12)
    assert found > 25 / 6


@pytest.mark.parametrize("shift", [1, 2, 5])
def test_rho_bounds_the_renyi_divergence_of_the_exact_law(shift: int) -> None:
    single = np.exp(-(np.arange(-38, 39.0) ** 2) / 2)
    single /= single.sum()
    law = np.convolve(np.convolve(single, single), single)
    law = np.log(law[law > 1e-280])
    here, there = law[shift:], law[:-shift]
    rho = rho_of_sum(sensitivity=shift, stddev=1.0, shares=3, size=1)
    for alpha in (1.5, 2.0, 4.0, 8.0):
        divergence = math.log(np.exp(alpha * here + (1 - alpha) * there).sum()) / (alpha - 1)
        assert divergence <= alpha * rho
        assert divergence > 0.9 * alpha * shift**2 / 6


def test_nothing_released_and_nothing_hidden() -> None:
    assert zcdp_epsilon(1e-6, 0.0) == 0
    assert zcdp_epsilon(1e-6, math.inf) == math.inf
    assert rho_of_sum(sensitivity=1.0, stddev=0.4, shares=2, size=1) == math.inf
