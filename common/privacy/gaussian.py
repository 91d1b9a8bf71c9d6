"""The exact privacy of the Gaussian mechanism, as numbers.

A release of N(f(D), σ²I) where neighbours' f differ by at most Δ in L2 norm is μ-Gaussian-DP with
μ = Δ/σ, and satisfies (ε, δ)-DP exactly when
δ ≥ δ(ε; μ) = Φ(-ε/μ + μ/2) - e^ε·Φ(-ε/μ - μ/2)
(Balle and Wang 2018, Theorem 8; Dong, Roth and Su 2022, Corollary 2.13). Composed, adaptively too,
μ² adds up (Dong, Roth and Su 2022, Corollary 3.3).

Numbers are float64. The relative error of `gaussian_delta` is below 1e-9 for μ ≥ 1e-4 (tested
against mpmath), and the inverses leave that margin on the safe side.
"""

import math

from scipy.special import erfcx, ndtr

from recommons.common.errors import InvalidInput

__all__ = ["check_delta", "gaussian_delta", "gaussian_epsilon", "gaussian_mu"]

_MIN_MU = 1e-4
_MIN_DELTA = 1e-100
_MARGIN = 1e-9
_ROOT_HALF_PI = math.sqrt(math.pi / 2)
_ROOT_TWO_PI = math.sqrt(2 * math.pi)


def check_delta(delta: float) -> None:
    """Refuse a δ that is not a probability, or too small for the arithmetic.

    Raises:
        InvalidInput: δ is not strictly between 0 (in fact 1e-100) and 1.
    """
    if not _MIN_DELTA <= delta < 1:
        raise InvalidInput(
            "input/argument",
            f"delta is {delta}; required: strictly between 0 and 1 (and at least {_MIN_DELTA})",
        )


def gaussian_delta(epsilon: float, mu: float) -> float:
    """δ(ε; μ), for ε ≥ 0 and μ ≥ 1e-4 (a smaller μ is taken as 1e-4, which only overstates δ).

    With a = ε/μ - μ/2, b = ε/μ + μ/2 and the Mills ratio m(x) = Φ(-x)/φ(x), the identity
    e^ε·φ(b) = φ(a) turns the difference into φ(a)·(m(a) - m(b)), free of overflow.
    """
    mu = max(mu, _MIN_MU)
    below, above = epsilon / mu - mu / 2, epsilon / mu + mu / 2
    density = math.exp(-below * below / 2) / _ROOT_TWO_PI
    if below < 0:
        return float(ndtr(-below)) - density * _mills(above)
    return density * (_mills(below) - _mills(above))


def gaussian_epsilon(delta: float, mu: float) -> float:
    """The least ε ≥ 0 with δ(ε; μ) ≤ δ, from above.

    Args:
        delta: δ, at least 1e-100.
        mu: μ ≥ 0; 0 (nothing released) gives 0, infinity (no noise) gives infinity.

    Raises:
        InvalidInput: δ is not admissible.
    """
    check_delta(delta)
    if mu == 0:
        return 0.0
    if math.isinf(mu):
        return math.inf
    target = delta * (1 - _MARGIN)
    if gaussian_delta(0.0, mu) <= target:
        return 0.0
    mu = max(mu, _MIN_MU)
    # δ(ε; μ) ≤ Q(ε/μ - μ/2), and Q(22) < 1e-100.
    low, high = 0.0, mu * (mu / 2 + 22)
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return high
        low, high = (low, middle) if gaussian_delta(middle, mu) <= target else (middle, high)


def gaussian_mu(epsilon: float, delta: float) -> float:
    """The largest μ with δ(ε; μ) ≤ δ, from below; 0 where even μ = 1e-4 is too much.

    Raises:
        InvalidInput: δ is not admissible.
    """
    check_delta(delta)
    target = delta * (1 - _MARGIN)
    low, high = _MIN_MU, 1.0
    if gaussian_delta(epsilon, low) > target:
        return 0.0
    while gaussian_delta(epsilon, high) <= target:
        high *= 2
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return low
        low, high = (middle, high) if gaussian_delta(epsilon, middle) <= target else (low, middle)


def _mills(x: float) -> float:
    """Φ(-x)/φ(x)."""
    return _ROOT_HALF_PI * float(erfcx(x / math.sqrt(2)))
