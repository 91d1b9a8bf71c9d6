r"""What a list of releases guarantees: ε at a given δ.

The headline, by the argument proved in `docs/accounting.md`: releases with noise wide enough are
within a pointwise factor e^{±τ} of post-processings of continuous Gaussian releases, whose μ² adds
up; draws of noise are within β of their law. So if the continuous composition is (ε₀, δ₀)-DP,
the releases are (ε, δ)-DP with ε = ε₀ + 2τ and δ = e^τ·δ₀ + (1 + e^ε)·β. Where a condition of the
proof fails, zCDP is the headline instead, and the account says so.

"Released" and "reserved" are different lists of events, not different accountants.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from recommons.common.errors import PrivacyError
from recommons.common.privacy.concentrated import rho_of_sum, zcdp_epsilon
from recommons.common.privacy.events import NEIGHBOURS, UNIT, GaussianSumRelease, Reading
from recommons.common.privacy.gaussian import check_delta, gaussian_epsilon
from recommons.common.privacy.noise_table import table_error
from recommons.common.privacy.smoothing import (
    MIN_STDDEV,
    kernel_variance,
    pointwise_log_ratio,
)

__all__ = [
    "Account",
    "Cost",
    "account",
    "cost_of",
    "epsilon",
    "epsilon_of",
    "total_cost",
    "zcdp_epsilon_of",
]

_TABLE_SHARES = (1e-9, 1e-6, 1e-3, 0.1, 0.5)
"""Parts of δ that are tried, in order, for the error of the noise tables."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What releases cost, in quantities that add up.

    Attributes:
        mu_squared: μ² of the continuous Gaussian releases they are nearly roundings of.
        tau: τ, the pointwise log ratio to those.
        tv_error: β, total-variation error of all draws of noise that count.
        rho: ρ of zCDP.
        lost_variance: Largest part of a release's noise variance given up to the rounding.
        exact: Whether the conditions of the Gaussian argument hold.
    """

    mu_squared: float = 0.0
    tau: float = 0.0
    tv_error: float = 0.0
    rho: float = 0.0
    lost_variance: float = 0.0
    exact: bool = True

    def at_least(self, other: "Cost") -> "Cost":
        """The larger of the two in every respect."""
        return Cost(
            mu_squared=max(self.mu_squared, other.mu_squared),
            tau=max(self.tau, other.tau),
            tv_error=max(self.tv_error, other.tv_error),
            rho=max(self.rho, other.rho),
            lost_variance=max(self.lost_variance, other.lost_variance),
            exact=self.exact and other.exact,
        )

    def times(self, count: int) -> "Cost":
        """The cost of so many repetitions."""
        return total_cost([self] * count)


@dataclass(frozen=True, kw_only=True)
class Account:
    """The guarantee of a list of releases, with what went into it.

    Attributes:
        epsilon: ε; infinite where there is no guarantee.
        delta: δ.
        accountant: ``"gaussian"`` (exact composition) or ``"zcdp"``.
        reading: How many shares of noise were counted on.
        releases: Number of events.
        mu: μ of the Gaussian composition.
        tau: τ, the pointwise log ratio; it is in ε twice.
        tv_error: β, the error of the noise tables; it is in δ.
        lost_variance: Largest part of a release's noise variance the argument gives up.
        zcdp_epsilon: ε by zCDP at the same δ, the cross-check.
        unit: The unit of privacy.
        neighbours: The neighbouring relation.
    """

    epsilon: float
    delta: float
    accountant: str
    reading: Reading
    releases: int
    mu: float
    tau: float
    tv_error: float
    lost_variance: float
    zcdp_epsilon: float
    unit: str = UNIT
    neighbours: str = NEIGHBOURS


def cost_of(event: GaussianSumRelease, reading: Reading = Reading.PLANNED) -> Cost:
    """The cost of one release, counting on `reading`'s shares of noise.

    Raises:
        PrivacyError: The release is Poisson-sampled, which this accountant does not cover.
    """
    if event.sampling is not None:
        raise PrivacyError(
            "privacy/unsupported-sampling",
            f"block {event.block!r} of round {event.round} was sampled; required: no sampling",
        )
    if event.noise_stddev == 0 or math.isinf(event.clip):  # no noise, or no bound to hide behind
        return Cost(mu_squared=math.inf, rho=math.inf)
    shares = reading.shares(event)
    sensitivity = float(event.sensitivity * event.max_sites_per_person)
    variance = shares * event.noise_stddev**2
    kernel = kernel_variance(event.size)
    tv_error = shares * event.size * table_error(event.noise_stddev)
    rho = rho_of_sum(
        sensitivity=sensitivity, stddev=event.noise_stddev, shares=shares, size=event.size
    )
    if event.noise_stddev < MIN_STDDEV or variance <= kernel:
        return Cost(mu_squared=math.inf, tau=math.inf, tv_error=tv_error, rho=rho, exact=False)
    return Cost(
        mu_squared=sensitivity**2 / (variance - kernel),
        tau=event.size * pointwise_log_ratio(event.noise_stddev, shares, kernel),
        tv_error=tv_error,
        rho=rho,
        lost_variance=kernel / variance,
    )


def total_cost(costs: Iterable[Cost]) -> Cost:
    """The cost of all, composed adaptively; the sums are exactly rounded, so in any order."""
    listed = list(costs)
    return Cost(
        mu_squared=math.fsum(cost.mu_squared for cost in listed),
        tau=math.fsum(cost.tau for cost in listed),
        tv_error=math.fsum(cost.tv_error for cost in listed),
        rho=math.fsum(cost.rho for cost in listed),
        lost_variance=max((cost.lost_variance for cost in listed), default=0.0),
        exact=all(cost.exact for cost in listed),
    )


def epsilon_of(cost: Cost, delta: float) -> float:
    """ε at δ of releases of the given total cost, from above.

    Raises:
        InvalidInput: δ is not admissible.
    """
    check_delta(delta)
    return _with_table_error(cost, delta, _gaussian(cost) if cost.exact else _zcdp(cost))


def zcdp_epsilon_of(cost: Cost, delta: float) -> float:
    """ε at δ by zCDP alone: the cross-check.

    Raises:
        InvalidInput: δ is not admissible.
    """
    check_delta(delta)
    return _with_table_error(cost, delta, _zcdp(cost))


def epsilon(
    events: Iterable[GaussianSumRelease], delta: float, reading: Reading = Reading.PLANNED
) -> float:
    """ε at δ of a list of releases: `account` without the details."""
    return epsilon_of(total_cost(cost_of(event, reading) for event in events), delta)


def account(
    events: Iterable[GaussianSumRelease], delta: float, reading: Reading = Reading.PLANNED
) -> Account:
    """The guarantee of a list of releases.

    Args:
        events: Every release, attempts that came to nothing included.
        delta: δ, strictly between 0 and 1.
        reading: How many shares of noise to count on.

    Returns:
        The account; no releases give ε = 0.

    Raises:
        InvalidInput: δ is not admissible.
        PrivacyError: An event is beyond this accountant.
    """
    costs = [cost_of(event, reading) for event in events]
    total = total_cost(costs)
    return Account(
        epsilon=epsilon_of(total, delta),
        delta=delta,
        accountant="gaussian" if total.exact else "zcdp",
        reading=reading,
        releases=len(costs),
        mu=math.sqrt(total.mu_squared),
        tau=total.tau,
        tv_error=total.tv_error,
        lost_variance=total.lost_variance,
        zcdp_epsilon=zcdp_epsilon_of(total, delta),
    )


def _gaussian(cost: Cost) -> Callable[[float], float]:
    """δ to ε by exact composition: (ε₀ + 2τ, e^τ·δ₀)."""
    mu = math.sqrt(cost.mu_squared)
    return lambda delta: gaussian_epsilon(delta * math.exp(-cost.tau), mu) + 2 * cost.tau


def _zcdp(cost: Cost) -> Callable[[float], float]:
    """δ to ε by zCDP."""
    return lambda delta: zcdp_epsilon(delta, cost.rho)


def _with_table_error(cost: Cost, delta: float, ideal: Callable[[float], float]) -> float:
    """The ε of ideal draws at a little less than δ, so that the rest covers (1 + e^ε)·β.

    Infinite where half of δ does not cover it: tables cut off at 13.5 s cannot vouch for an ε of
    fifty.
    """
    if cost.tv_error == 0:
        return ideal(delta)
    for part in _TABLE_SHARES:
        candidate = ideal(delta * (1 - part))
        if math.log(cost.tv_error) + math.log1p(math.exp(min(candidate, 700.0))) <= math.log(
            part * delta
        ):
            return candidate
    return math.inf
