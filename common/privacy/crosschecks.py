"""ε by accountants of other hands, beside the headline.

They see the releases as the continuous Gaussian releases these are nearly roundings of (μ_i of each
event), and know nothing of τ or of the noise tables, which are beyond all of them. Each library is
imported only when asked.

Opacus' `GaussianAccountant` is never used: it rests on a central limit theorem and under-reports.
"""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from recommons.common.privacy.accounting import cost_of, total_cost, zcdp_epsilon_of
from recommons.common.privacy.events import GaussianSumRelease, Reading
from recommons.common.privacy.gaussian import check_delta

__all__ = ["cross_checks"]

Multipliers = Counter[float]
"""Noise multiplier 1/μ of a release: how many releases have it."""

_ORDERS = tuple(1 + x / 10 for x in range(1, 100)) + tuple(range(11, 513))
"""Rényi orders: finer than either library's defaults, so that the bound is not needlessly loose."""

_PLD_INTERVAL = 5e-5
"""Grid of the privacy loss as a part of ε."""

_PRV_LARGEST_EPSILON = 30.0


def cross_checks(
    events: Iterable[GaussianSumRelease], delta: float, reading: Reading = Reading.PLANNED
) -> Mapping[str, float]:
    """ε at δ of the releases, by accountant.

    Args:
        events: The releases; see `accounting.account`.
        delta: δ, strictly between 0 and 1.
        reading: How many shares of noise to count on.

    Returns:
        ``zcdp`` and, where noise makes them apply, ``dp-accounting-pld``, ``dp-accounting-rdp``,
        ``opacus-rdp`` and ``opacus-prv`` (the latter for ε up to 30, beyond which its grid grows
        out of hand). All but ``dp-accounting-pld`` and ``opacus-prv`` are looser by nature.

    Raises:
        InvalidInput: δ is not admissible.
        PrivacyError: An event is beyond this accountant.
    """
    check_delta(delta)
    costs = [cost_of(event, reading) for event in events]
    total = total_cost(costs)
    found = {"zcdp": zcdp_epsilon_of(total, delta)}
    if not costs or math.isinf(total.mu_squared):
        return found
    multipliers = Counter(1 / math.sqrt(cost.mu_squared) for cost in costs)
    checks: dict[str, Callable[[Multipliers, float], float]] = {
        "dp-accounting-pld": partial(_google_pld, interval=_PLD_INTERVAL * found["zcdp"]),
        "dp-accounting-rdp": _google_rdp,
        "opacus-rdp": _opacus_rdp,
    }
    if found["zcdp"] <= _PRV_LARGEST_EPSILON:
        checks["opacus-prv"] = _opacus_prv
    for name, check in checks.items():
        found[name] = check(multipliers, delta)
    return found


def _google_pld(multipliers: Multipliers, delta: float, interval: float) -> float:
    """Privacy loss distributions, from above by their discretisation."""
    from dp_accounting import GaussianDpEvent
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant(value_discretization_interval=interval)
    for multiplier, count in multipliers.items():
        accountant.compose(GaussianDpEvent(multiplier), count)
    return float(accountant.get_epsilon(delta))


def _google_rdp(multipliers: Multipliers, delta: float) -> float:
    """Rényi DP with the conversion of Canonne, Kamath and Steinke (2020)."""
    from dp_accounting import GaussianDpEvent
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant(orders=_ORDERS)
    for multiplier, count in multipliers.items():
        accountant.compose(GaussianDpEvent(multiplier), count)
    return float(accountant.get_epsilon(delta))


def _opacus_rdp(multipliers: Multipliers, delta: float) -> float:
    """Rényi DP as in Opacus."""
    from opacus.accountants.analysis import rdp

    total = sum(
        rdp.compute_rdp(q=1.0, noise_multiplier=multiplier, steps=count, orders=list(_ORDERS))
        for multiplier, count in multipliers.items()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the best order is at an end only loosens the bound
        found, _ = rdp.get_privacy_spent(orders=list(_ORDERS), rdp=total, delta=delta)
    return float(found)


def _opacus_prv(multipliers: Multipliers, delta: float) -> float:
    """Privacy random variables (Gopi, Lee and Wutschitz 2021) as in Opacus, from above."""
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    for multiplier in multipliers.elements():
        accountant.step(noise_multiplier=multiplier, sample_rate=1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # logarithms of zero at the ends of its grid
        return float(accountant.get_epsilon(delta, eps_error=1e-3))
