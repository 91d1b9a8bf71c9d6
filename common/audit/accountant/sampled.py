"""Poisson-sampled Gaussian releases, composed: own privacy loss distributions.

One attempt at rate q is dominated by the pair A = (1-q)·N(0, 1) + q·N(μ, 1) and B = N(0, 1), taken
as (A, B) for a user removed and as (B, A) for one added; each way composes by itself (Zhu, Dong and
Wang 2022). With D(x) = δ(x; μ) of the plain Gaussian mechanism, their hockey-stick curves are

    removed:  H(ε) = q·D(ε'), where q·e^{ε'} = e^ε - 1 + q
    added:    H(ε) = 1 - e^ε + e^ε·H_removed(-ε)

The curve is replaced by straight lines (in e^ε) between the points of a grid of ε. It is convex, so
the lines lie above it and belong to a distribution on the grid that is at least as revealing
(Doroshenko et al. 2022): composing those by fast Fourier transform bounds ε from above, with an
error that falls with the square of the grid's step.

A line from l to l + h stands for a loss between them by putting it at both ends: to the variance of
that loss it adds at most h²/4, on average h²/6, whatever the attempt. So N attempts together gain
N·h²/6, which is the same part of their whole variance V wherever h is the same part of √(V/N): the
grid follows the attempts' root mean square, never the narrowest of them, whose own distribution may
be a few points. What a release of μ² = 10^-8 beside one of 9 costs is found on a grid for the 9.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import expm1, inf, log, log1p, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import erfcx, ndtr

__all__ = ["Composition", "compose", "resolves"]

Floats = npt.NDArray[np.float64]
Sampled = tuple[tuple[tuple[float, float], int], ...]
"""((rate, μ²), how many), ascending."""

_LARGEST_GRID = 1 << 20
"""It binds where some loss is wide and rare beside the rest: fifty attempts at rate 10^-6 and
μ = 10 with ten at rate 0.1 and μ = 0.01 come out six per cent too large at δ = 10^-4."""
_LEAST_GRID = 1 << 12
_STEPS_IN_DEVIATION = 48
"""Points of the grid in the attempts' root mean square of the standard deviation of the loss. The
variance of their sum grows by one part in 6·48², ε by half that."""

_NUMERIC_BASE, _NUMERIC_EACH = 1e-13, 1e-15
"""Allowance for rounding in the transforms; the largest part of δ it may take is a hundredth."""

_TAIL = 1e-15
"""Probability of losses beyond the grid, counted as revealed altogether."""


def resolves(delta: float, sampled: Sampled) -> bool:
    """Whether rounding in the transforms is small beside δ."""
    return 100 * _rounding(sampled) <= delta


def _rounding(sampled: Sampled) -> float:
    return _NUMERIC_BASE + _NUMERIC_EACH * sum(count for _, count in sampled)


@dataclass(frozen=True, kw_only=True, eq=False)
class Composition:
    """Both ways' composed distributions of the privacy loss.

    Attributes:
        step: Of the grid.
        ways: For each way the probabilities of the losses (i - n/2)·step, i = 0 … n-1.
        beyond: For each way the probability that everything is revealed, with all allowances.
    """

    step: float
    ways: tuple[Floats, Floats]
    beyond: tuple[float, float]

    def delta(self, epsilon: float) -> float:
        """δ(ε), the larger of the two ways'."""
        return max(
            beyond + _hockey_stick(masses, self.step, epsilon)
            for masses, beyond in zip(self.ways, self.beyond, strict=True)
        )

    def epsilon(self, delta: float) -> float:
        """The least ε ≥ 0 with δ(ε) ≤ δ; infinite where no ε of the grid has."""
        low, high = 0.0, self.step * len(self.ways[0]) / 2
        if self.delta(low) <= delta:
            return 0.0
        if self.delta(high) > delta:
            return inf
        while high - low > 1e-6 * high:
            middle = (low + high) / 2
            low, high = (low, middle) if self.delta(middle) <= delta else (middle, high)
        return high


def _hockey_stick(masses: Floats, step: float, epsilon: float) -> float:
    """Σ p·(1 - e^{ε-loss}) over losses above ε."""
    middle = len(masses) // 2
    first = min(len(masses), middle + int(epsilon / step) + 1)
    losses = (np.arange(first, len(masses)) - middle) * step
    return float(np.dot(masses[first:], -np.expm1(epsilon - losses)))


@lru_cache(maxsize=64)
def compose(full: float, sampled: Sampled) -> Composition:
    """The composition of full-participation releases of μ² = `full` and of sampled attempts.

    Args:
        full: μ² of all releases in which everybody took part; 0 for none.
        sampled: At least one; every μ² finite.
    """
    parts = [_Part(rate=rate, mu=sqrt(mu2), count=n) for (rate, mu2), n in sampled if mu2 > 0]
    if full > 0:
        parts.append(_Part(rate=1.0, mu=sqrt(full), count=1))
    if not parts:
        return Composition(step=1.0, ways=(np.zeros(2), np.zeros(2)), beyond=(0.0, 0.0))
    typical = _spread(parts) / sqrt(sum(part.count for part in parts))
    widest = max(part.reach(added=added) for part in parts for added in (False, True))
    # With less no grid would hold the whole, or one part by itself.
    step = max(typical / _STEPS_IN_DEVIATION, 4 * max(_spread(parts), widest) / _LARGEST_GRID)
    while True:
        ways = [[part.distribution(step, added=added) for part in parts] for added in (False, True)]
        reach = max(_reach(way, parts, step) for way in ways)
        size = 1 << max(_LEAST_GRID.bit_length() - 1, (int(2 * reach / step) + 2).bit_length())
        if size <= _LARGEST_GRID:
            break
        step *= 2  # coarser, hence a larger bound, never a smaller one
    masses = [_convolved(way, parts, size) for way in ways]
    allowance = _TAIL + _rounding(sampled)
    beyond = [allowance + _any_beyond(way, parts) for way in ways]
    return Composition(step=step, ways=(masses[0], masses[1]), beyond=(beyond[0], beyond[1]))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Distribution:
    """Masses at losses -n·step … n·step, and the probability that everything is revealed."""

    masses: Floats
    beyond: float

    @cached_property
    def _logs(self) -> Floats:
        """Logarithms of the masses, minus infinity where there is none but rounding."""
        logs = np.full(len(self.masses), -inf)
        return np.log(self.masses, out=logs, where=self.masses > 0)

    def log_moment(self, power: float, step: float) -> float:
        """The logarithm of E[e^{power·loss}]."""
        half = len(self.masses) // 2
        exponents = power * step * np.arange(-half, half + 1) + self._logs
        largest = float(exponents.max())
        return largest + log(float(np.exp(exponents - largest).sum()))


@dataclass(frozen=True, kw_only=True)
class _Part:
    """`count` attempts at one rate and one μ."""

    rate: float
    mu: float
    count: int

    @cached_property
    def deviation(self) -> float:
        """Standard deviation of one attempt's loss, by quadrature; only the grid depends on it."""
        if self.rate == 1.0:
            return self.mu  # the loss is N(±μ²/2, μ²)
        x = np.linspace(-10, 10, 4001)
        weights = np.exp(-x * x / 2)
        weights /= weights.sum()
        losses = np.log1p(self.rate * np.expm1(np.clip(self.mu * x - self.mu**2 / 2, -700, 700)))
        mean = float(np.dot(weights, losses))
        return sqrt(float(np.dot(weights, (losses - mean) ** 2)))

    def distribution(self, step: float, *, added: bool) -> _Distribution:
        """One attempt's losses on the grid, by straight lines between the curve's points."""
        half = max(2, int(self.reach(added=added) / step) + 1)
        grid = step * np.arange(-half, half + 1)
        upper, lower = self._curves(grid, added)
        # Second differences in e^ε, from whichever curve is small there: H, or H - 1 + e^ε.
        by_upper, by_lower = _second_differences(upper, step), _second_differences(lower, step)
        masses = np.where(np.arange(-half, half + 1) < 0, by_lower, by_upper)
        masses[0] = (lower[1] - lower[0]) / expm1(step) - lower[0]
        masses[-1] = (upper[-2] - upper[-1]) / -expm1(-step)
        return _Distribution(masses=masses, beyond=float(upper[-1]))

    def reach(self, *, added: bool) -> float:
        """A loss beyond which, either side, the curve is below `_TAIL` over `count`."""
        reach = 4 * self.deviation
        while reach < 600:
            upper, _ = self._curves(np.array([reach]), added)
            _, lower = self._curves(np.array([-reach]), added)
            if max(upper[0], lower[0]) <= _TAIL / self.count:
                break
            reach *= 1.2
        return reach

    def _curves(self, grid: npt.NDArray[Any], added: bool) -> tuple[Floats, Floats]:
        """H(ε) and H(ε) - 1 + e^ε on a grid of ε."""
        if not added:
            return self._removed(grid)
        upper, lower = self._removed(-grid)
        return np.exp(grid) * lower, np.exp(grid) * upper

    def _removed(self, grid: Floats) -> tuple[Floats, Floats]:
        # q·e^{ε'}, each side of e^ε = 1/2 without cancellation; none below zero is attained.
        small = np.exp(np.minimum(grid, 0.0)) - (1 - self.rate)
        ratio = np.where(grid < -log(2), small, np.expm1(grid) + self.rate)
        attained = ratio > 0
        shifted = np.log(np.where(attained, ratio, 1.0) / self.rate)
        upper = np.where(attained, self.rate * _plain(shifted, self.mu), -np.expm1(grid))
        lower = np.where(attained, np.maximum(ratio, 0.0) * _plain(-shifted, self.mu), 0.0)
        return upper, lower


def _plain(epsilon: Floats, mu: float) -> Floats:
    """δ(ε; μ) of the Gaussian mechanism, for any real ε."""
    below, above = epsilon / mu - mu / 2, epsilon / mu + mu / 2
    right = np.maximum(below, 0.0)
    tails = np.exp(-right * right / 2) * (_mills(right) - _mills(np.maximum(above, 0.0)))
    middle = ndtr(-below) - np.exp(np.minimum(epsilon, mu * mu / 2)) * ndtr(-above)
    return np.where(below > 0, tails / sqrt(2 * np.pi), middle)


def _mills(x: Floats) -> Floats:
    """Φ(-x)/φ(x) for x ≥ 0."""
    values: Floats = sqrt(np.pi / 2) * erfcx(x / sqrt(2))
    return values


def _second_differences(curve: Floats, step: float) -> Floats:
    """e^ε times the change of slope (in e^ε) at each inner point; zero at the ends."""
    slopes = np.diff(curve)
    masses = np.zeros_like(curve)
    masses[1:-1] = slopes[1:] / expm1(step) + slopes[:-1] / expm1(-step)
    return masses


def _any_beyond(way: Sequence[_Distribution], parts: Sequence[_Part]) -> float:
    """Probability that some attempt reveals everything."""
    logs = [part.count * log1p(-each.beyond) for part, each in zip(parts, way, strict=True)]
    return -expm1(sum(logs))


def _spread(parts: Sequence[_Part]) -> float:
    """Standard deviation of the losses of all attempts together."""
    return sqrt(sum(part.count * part.deviation**2 for part in parts))


def _reach(way: Sequence[_Distribution], parts: Sequence[_Part], step: float) -> float:
    """A loss beyond which, either side, the composition has at most `_TAIL` (Chernoff's bound)."""
    best = sqrt(-2 * log(_TAIL)) / _spread(parts)  # the best power for a normal law of that spread
    widest = step * max(len(distribution.masses) // 2 for distribution in way)
    powers = np.geomspace(min(best / 512, 1 / widest), 4 * best, 16)  # the least: of a heavy tail
    support = sum(
        part.count * (len(distribution.masses) // 2)
        for part, distribution in zip(parts, way, strict=True)
    )
    found = 2 * step
    for sign in (1, -1):
        bounds = []
        for power in powers:
            moments = [
                part.count * distribution.log_moment(sign * power, step)
                for part, distribution in zip(parts, way, strict=True)
            ]
            bounds.append((sum(moments) - log(_TAIL)) / power)
        found = max(found, min(bounds))
    return min(found, support * step)


def _convolved(way: Sequence[_Distribution], parts: Sequence[_Part], size: int) -> Floats:
    """The composed masses, on a circle of `size` points with loss 0 at the middle."""
    spectrum = np.ones(size // 2 + 1, np.complex128)
    for distribution, part in zip(way, parts, strict=True):
        half = len(distribution.masses) // 2
        circle = np.zeros(size)
        np.add.at(circle, np.arange(-half, half + 1) % size, distribution.masses)
        spectrum *= np.fft.rfft(circle) ** part.count
    return np.roll(np.fft.irfft(spectrum, size), size // 2)
