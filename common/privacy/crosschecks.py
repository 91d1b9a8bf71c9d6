"""ε by accountants of other hands, beside the headline, and what counts as a disagreement.

They see the releases as the continuous Gaussian releases these are nearly roundings of (μ of each
block, or of each attempt that was sampled), and know nothing of τ or of the noise tables, which are
beyond all of them. Each library is imported only when asked.

Opacus' `GaussianAccountant` is never used: it rests on a central limit theorem and under-reports.
"""

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from recommons.common.privacy.accounting import (
    Totals,
    cost_of,
    epsilon_of,
    spending_of,
    zcdp_epsilon_of,
)
from recommons.common.privacy.events import GaussianSumRelease, Reading
from recommons.common.privacy.gaussian import check_delta
from recommons.common.privacy.sampled import composes_at
from recommons.common.privacy.spending import Spending

__all__ = [
    "LOOSE_AT_MOST",
    "LOOSE_ROOM",
    "TIGHT",
    "TOLERANCE",
    "contradicts_exact",
    "cross_checks",
    "cross_checks_of",
    "disagreements",
]

TIGHT = frozenset({"dp-accounting-pld", "opacus-prv"})
"""Accountants whose ε is exact up to a grid: they must come to the headline itself. All others give
upper bounds: they must not come below the headline, nor far above it."""

TOLERANCE = 0.003
"""Part of ε (of 1, where ε is smaller) by which figures may differ: for the grids, and no more.

Measured for ε from 0.001 to 40 and δ from 1e-9 to 0.01: Opacus' PRV is within 0.0025 and on a grid
of 0.001; dp-accounting's PLD is within 1e-6 of ε, and 0.2 % where the tables' error nears δ.
"""

LOOSE_AT_MOST = 2.0
"""A bound may be so many times the headline, and `LOOSE_ROOM` more, where ε is tiny.

Measured over the same range: 1.5 times for ε from 0.1 on; 0.026 more below that.
"""

LOOSE_ROOM = 0.1

Releases = Counter[tuple[float, float]]
"""Sampling rate and noise multiplier 1/μ of a release: how many releases have them."""

_ORDERS = (*(1 + x / 10 for x in range(1, 100)), *range(11, 513))
"""Rényi orders: finer than either library's defaults, so that the bound is not needlessly loose."""

_SAMPLED_ORDERS = tuple(range(2, 513))
"""Of sampled releases: for a fraction of an order both libraries sum series that may not end."""

_PLD_INTERVAL = 5e-5
"""Grid of the privacy loss as a part of ε."""

_PRV_LARGEST_EPSILON = 30.0


def cross_checks(
    events: Iterable[GaussianSumRelease], delta: float, reading: Reading = Reading.PLANNED
) -> Mapping[str, float]:
    """ε at δ of the releases of one run, by accountant: `cross_checks_of` for one run."""
    return cross_checks_of([events], delta, reading)


def cross_checks_of(
    runs: Iterable[Iterable[GaussianSumRelease]],
    delta: float,
    reading: Reading = Reading.PLANNED,
) -> Mapping[str, float]:
    """ε at δ of the releases of several runs together, by accountant.

    Args:
        runs: The releases of each run; see `accounting.account`.
        delta: δ, strictly between 0 and 1.
        reading: How many shares of noise to count on.

    Returns:
        Where noise makes them apply, ``dp-accounting-rdp``, ``opacus-rdp`` and ``opacus-prv`` (for
        ε up to 30, beyond which its grid grows out of hand); and, unless some releases are sampled,
        ``zcdp``, which gains nothing from sampling, and ``dp-accounting-pld``, which would be the
        headline's own.

    Raises:
        InvalidInput: δ is not admissible.
        PrivacyError: Events that no account can be given of.
    """
    check_delta(delta)
    by_run = [list(events) for events in runs]
    listed = [event for events in by_run for event in events]
    spending = Spending.total(spending_of(events, reading) for events in by_run)
    totals = Totals.of(spending)
    zcdp = zcdp_epsilon_of(spending, delta)
    found = {} if totals.sampled else {"zcdp": zcdp}
    headline = epsilon_of(spending, delta)
    applies = totals.exact and composes_at(delta, dict(totals.sampled))
    if not listed or not applies or math.isinf(headline):
        return found
    full = (cost_of(event, reading) for event in listed if event.sampling in (None, 1.0))
    releases: Releases = Counter((1.0, 1 / math.sqrt(cost.mu_squared)) for cost in full)
    for (rate, mu), count in totals.sampled:
        releases[rate, 1 / mu] += count
    checks: dict[str, Callable[[Releases, float], float]] = {
        "dp-accounting-rdp": _google_rdp,
        "opacus-rdp": _opacus_rdp,
    }
    if not totals.sampled:
        checks["dp-accounting-pld"] = partial(_google_pld, interval=_PLD_INTERVAL * zcdp)
    if headline <= _PRV_LARGEST_EPSILON:
        checks["opacus-prv"] = _opacus_prv
    for name, check in checks.items():
        found[name] = check(releases, delta)
    return found


def contradicts_exact(ours: float, theirs: float) -> bool:
    """Whether two ε of the same releases, each exact up to a grid, cannot both be true.

    Finite ones must lie within `TOLERANCE` of each other. Infinity agrees with itself alone; what
    is no number agrees with nothing.

    Args:
        ours: The headline; infinite for no guarantee.
        theirs: Another exact accountant's ε.
    """
    if math.isinf(ours) or math.isinf(theirs):
        return ours != theirs
    return not abs(theirs - ours) <= _slack(ours)


def _slack(headline: float) -> float:
    return TOLERANCE * max(1.0, headline)


def disagreements(headline: float | None, checks: Mapping[str, float | None]) -> tuple[str, ...]:
    """The accountants whose ε cannot be true of the same releases as the headline.

    A tight one must lie within `TOLERANCE` of it. A bound may lie above, up to twice the headline,
    but not below: the headline would then claim more than is needed, or the bound be wrong. One
    that is not known disagrees with everything.

    Args:
        headline: ε; None or infinite for no guarantee.
        checks: ε by accountant, as `cross_checks` names them; None or infinite for no guarantee.

    Returns:
        Their names, in the order of `checks`.
    """
    return tuple(name for name, found in checks.items() if _disagrees(name, headline, found))


def _disagrees(name: str, headline: float | None, found: float | None) -> bool:
    ours, theirs = (math.inf if value is None else value for value in (headline, found))
    if name in TIGHT or math.isinf(ours) or math.isinf(theirs):
        return contradicts_exact(ours, theirs)
    return not ours - _slack(ours) <= theirs <= LOOSE_AT_MOST * ours + LOOSE_ROOM


def _orders(releases: Releases) -> tuple[float, ...]:
    return _ORDERS if all(rate == 1 for rate, _ in releases) else _SAMPLED_ORDERS


def _google_pld(releases: Releases, delta: float, interval: float) -> float:
    """Privacy loss distributions, from above by their discretisation."""
    from dp_accounting import GaussianDpEvent
    from dp_accounting.pld import PLDAccountant

    accountant = PLDAccountant(value_discretization_interval=interval)
    for (_, multiplier), count in releases.items():
        accountant.compose(GaussianDpEvent(multiplier), count)
    return float(accountant.get_epsilon(delta))


def _google_rdp(releases: Releases, delta: float) -> float:
    """Rényi DP with the conversion of Canonne, Kamath and Steinke (2020)."""
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant(orders=_orders(releases))
    for (rate, multiplier), count in releases.items():
        accountant.compose(PoissonSampledDpEvent(rate, GaussianDpEvent(multiplier)), count)
    return float(accountant.get_epsilon(delta))


def _opacus_rdp(releases: Releases, delta: float) -> float:
    """Rényi DP as in Opacus."""
    from opacus.accountants.analysis import rdp

    orders = list(_orders(releases))
    total = sum(
        rdp.compute_rdp(q=rate, noise_multiplier=multiplier, steps=count, orders=orders)
        for (rate, multiplier), count in releases.items()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the best order is at an end only loosens the bound
        found, _ = rdp.get_privacy_spent(orders=orders, rdp=total, delta=delta)
    return float(found)


def _opacus_prv(releases: Releases, delta: float) -> float:
    """Privacy random variables (Gopi, Lee and Wutschitz 2021) as in Opacus, from above."""
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    # Its history is (noise multiplier, sample rate, steps), which `step` would build one by one.
    accountant.history = [(each, rate, count) for (rate, each), count in releases.items()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # logarithms of zero at the ends of its grid
        return float(accountant.get_epsilon(delta, eps_error=1e-3))
