"""From charges to ε: the equation of `docs/accounting.md`, solved as it stands.

Releases whose continuous counterparts are (ε₀, δ₀)-DP are (ε, δ)-DP with ε = ε₀ + 2τ and
δ = e^τ·δ₀ + (1 + e^ε)·β. Write ε₀(δ₀) for the least ε₀. The least ε is the limit of
ε_k = 2τ + ε₀(e^{-τ}·(δ - (1 + e^{ε_{k-1}})·β)) from 0 on: the sequence rises and, ε₀ falling with
δ₀, never passes a solution.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from math import exp, inf, isinf

import mpmath

from recommons.common.audit.accountant.charges import Charge
from recommons.common.audit.accountant.concentrated import zcdp_epsilon
from recommons.common.audit.accountant.gaussian import gaussian_epsilon
from recommons.common.audit.accountant.sampled import compose, resolves
from recommons.common.audit.accountant.theta import DIGITS

__all__ = ["Balance", "epsilon_of"]

_LARGEST_EXPONENT = 700.0  # e^700 is still a float
_ROUNDS = 500
_CLOSE = 1e-12


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What charges come to, in the quantities that add up.

    Attributes:
        mu_squared: μ² of the releases in which everybody took part.
        sampled: (rate, μ²) of sampled attempts, ascending, each with its number.
        tau: τ of all.
        tv_error: β of all.
        rho: ρ of all.
        exact: Whether the conditions of the Gaussian argument hold for each.
    """

    mu_squared: float = 0.0
    sampled: tuple[tuple[tuple[float, float], int], ...] = ()
    tau: float = 0.0
    tv_error: float = 0.0
    rho: float = 0.0
    exact: bool = True

    @classmethod
    def of(cls, charges: Mapping[Charge, int]) -> "Balance":
        """Add up charges, each with how often it was incurred."""
        listed = charges.items()
        sampled: dict[tuple[float, float], int] = {}
        for charge, count in listed:
            if charge.rate < 1:
                key = charge.rate, charge.mu_squared
                sampled[key] = sampled.get(key, 0) + count
        return cls(
            mu_squared=_total((charge.mu_squared, n) for charge, n in listed if charge.rate == 1),
            sampled=tuple(sorted(sampled.items())),
            tau=_total((charge.tau, count) for charge, count in listed),
            tv_error=_total((charge.tv_error, count) for charge, count in listed),
            rho=_total((charge.rho, count) for charge, count in listed),
            exact=all(charge.exact for charge, _ in listed),
        )


@lru_cache(maxsize=4096)
def epsilon_of(balance: Balance, delta: float) -> float:
    """The least ε at which what was charged is (ε, δ)-differentially private, from above.

    Args:
        balance: What was charged.
        delta: δ.

    Returns:
        ε; infinite where there is no guarantee. Sampled releases are composed by the
        discretisation of `sampled`, which errs upwards: by less than one part in a thousand, unless
        a loss far wider than all others is so rare that the largest grid is coarse for these.

    Raises:
        ValueError: δ is not strictly between 0 and 1.
    """
    if not 0 < delta < 1:
        raise ValueError(f"delta is {delta}; required: strictly between 0 and 1")
    if not balance.exact:
        return _with_table_error(balance, delta, partial(zcdp_epsilon, rho=balance.rho))
    return _with_table_error(balance, delta, partial(_from_continuous, balance))


def _from_continuous(balance: Balance, delta: float) -> float:
    """ε₀ + 2τ at δ = e^τ·δ₀."""
    if isinf(balance.tau):
        return inf
    ideal = delta * exp(-balance.tau)
    full = balance.mu_squared
    if balance.sampled and resolves(ideal, balance.sampled):
        return compose(full, balance.sampled).epsilon(ideal) + 2 * balance.tau
    # Below what the transforms resolve, nothing is counted on from sampling: a bound all the same.
    unsampled = _total((mu_squared, count) for (_, mu_squared), count in balance.sampled)
    return gaussian_epsilon(ideal, full + unsampled) + 2 * balance.tau


def _with_table_error(balance: Balance, delta: float, ideal: Callable[[float], float]) -> float:
    """The least ε with ε ≥ ideal(δ - (1 + e^ε)·β); infinite where δ does not cover the tables."""
    beta, found = balance.tv_error, 0.0
    for _ in range(_ROUNDS):
        left = delta - (1 + exp(min(found, _LARGEST_EXPONENT))) * beta
        if left <= 0:
            return inf
        before, found = found, ideal(left)
        if isinf(found) or beta == 0 or found - before <= _CLOSE * found:
            return found
    return inf  # so near to where the tables' error takes all of δ that nothing is gained


def _total(parts: Iterable[tuple[float, int]]) -> float:
    with mpmath.workdps(DIGITS):
        return float(mpmath.fsum(mpmath.mpf(value) * count for value, count in parts))
