"""Zero-concentrated differential privacy: the cross-check, and the headline where the proof stops.

Bun and Steinke (2016) define ρ-zCDP; ρ adds up under adaptive composition.
"""

import math

from scipy.optimize import minimize_scalar

from recommons.common.privacy.gaussian import check_delta

__all__ = ["rho_of_sum", "zcdp_epsilon"]

_MIN_STDDEV = 0.5


def rho_of_sum(*, sensitivity: float, stddev: float, shares: int, size: int) -> float:
    """ρ of integers of L2 sensitivity Δ in `size` coordinates under n shares N_Z(0, s²).

    Kairouz, Liu and Steinke (2021), Theorem 1: the sum is ½ε²-concentrated DP with
    ε = Δ/(√n·s) + √d·τ and τ = 10·Σ_{k=1}^{n-1} exp(-2π²s²·k/(k+1)), for s ≥ ½. (The theorem takes
    the least of this and another bound, which is not needed here.) Infinite for s < ½.
    """
    if stddev < _MIN_STDDEV:
        return math.inf
    inner = 2 * math.pi**2 * stddev**2
    tau = 10 * math.fsum(math.exp(-inner * k / (k + 1)) for k in range(1, shares))
    epsilon = sensitivity / (math.sqrt(shares) * stddev) + math.sqrt(size) * tau
    return epsilon * epsilon / 2


def zcdp_epsilon(delta: float, rho: float) -> float:
    """The least ε that ρ-zCDP gives at δ by the optimal conversion.

    Canonne, Kamath and Steinke (2020), Proposition 12, solved for ε: for every α > 1,
    ε = αρ + ln(1 - 1/α) + (ln(1/δ) - ln α)/(α - 1). Any α is a valid bound, so the search for the
    best one needs no error analysis.

    Raises:
        InvalidInput: δ is not admissible.
    """
    check_delta(delta)
    if rho == 0:
        return 0.0
    if math.isinf(rho):
        return math.inf

    def bound(log_excess: float) -> float:
        excess = math.exp(log_excess)  # α - 1
        logs = math.log1p(excess)
        return (1 + excess) * rho + log_excess - logs + (-math.log(delta) - logs) / excess

    # The best α - 1 is near √(ln(1/δ)/ρ).
    middle = 0.5 * math.log(-math.log(delta) / rho)
    found = minimize_scalar(bound, bounds=(middle - 8, middle + 8), method="bounded")
    return max(0.0, float(found.fun))
