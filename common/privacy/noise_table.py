r"""Cumulative tables of the discrete Gaussian, and how far they are from it.

The discrete Gaussian N_Z(0, s²) gives an integer k the probability exp(-k²/2s²)/Z
(Canonne, Kamath and Steinke 2020, Definition 1). A table holds thresholds
T_k = ⌊2^128·P[X ≤ k | |X| ≤ K]⌋ for -K ≤ k < K (the upper half by symmetry), so that the number of
thresholds not above a uniform 128-bit integer, less K, is a draw.

**Error of one draw** in total variation is at most (2K + 1)·2^-128 with K = ⌈13.5 s⌉ + 1, since

1. cutting the tail off moves P[|X| > K] ≤ 2·Q(13.5) < 2^-135, where Q is the upper tail of a
   standard normal: Σ_{k>K} exp(-k²/2s²) is at most the integral from K on, and Z ≥ s√(2π) by
   Poisson summation;
2. each of the 2K thresholds is off by less than (1 + 2^-60)·2^-128: one unit of rounding, and less
   than 2^-190 from the fixed-point arithmetic (`_weights`); moving one threshold by e changes the
   law by e in total variation;
3. 2K·(1 + 2^-60) + 2^-7 < 2K + 1.

`docs/accounting.md` carries the proof into δ.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from recommons.common.errors import InvalidInput

__all__ = ["MAX_STDDEV", "MIN_STDDEV", "NoiseTable", "noise_reach", "noise_table", "table_error"]

MIN_STDDEV = 0.5
MAX_STDDEV = 65536.0

_BITS = 128
_WORD = 64
_FRACTION = 256  # bits after the point in the fixed-point arithmetic
_GUARD = 64  # further bits while an exponential is computed
_REACH = Fraction(27, 2)  # K/s


@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseTable:
    """Thresholds of one width, ready for inversion; a value, never changed.

    Attributes:
        stddev: s.
        lowest: The value of a draw below every threshold.
        high: uint64, ascending: the upper 64 bits of each threshold, and one sentinel, 2^64 - 1.
        low: uint64: the lower 64 bits of each threshold (no sentinel).
        shift: A word's leading ``64 - shift`` bits name its bucket.
        guide: int32: for each bucket, how many thresholds lie below it.
        crowded: bool: whether a bucket holds more than one threshold.
    """

    stddev: float
    lowest: int
    high: npt.NDArray[np.uint64]
    low: npt.NDArray[np.uint64]
    shift: int
    guide: npt.NDArray[np.int32]
    crowded: npt.NDArray[np.bool_]

    def thresholds(self) -> list[int]:
        """The 128-bit thresholds as integers, ascending."""
        pairs = zip(self.high[:-1].tolist(), self.low.tolist(), strict=True)
        return [(high << _WORD) | low for high, low in pairs]


def noise_reach(stddev: float) -> int:
    """K: no draw of width `stddev` is ever larger in absolute value; 0 for no noise."""
    return math.ceil(_REACH * Fraction(stddev)) + 1 if stddev else 0


def table_error(stddev: float) -> float:
    """Bound on the total-variation distance between one draw and N_Z(0, s²); 0 for no noise."""
    return (2 * noise_reach(stddev) + 1) * 2.0**-_BITS if stddev else 0.0


@lru_cache(maxsize=16)
def noise_table(stddev: float) -> NoiseTable:
    """The table of width s: a pure function of s, remembered.

    Args:
        stddev: s, 0.5 to 65536; taken as the exact rational number the float is.

    Raises:
        InvalidInput: s is outside that range.
    """
    if not MIN_STDDEV <= stddev <= MAX_STDDEV:
        raise InvalidInput(
            "input/argument",
            f"stddev is {stddev}; required: {MIN_STDDEV} to {MAX_STDDEV}",
        )
    lower = _lower_thresholds(stddev)
    thresholds = [*lower, *((1 << _BITS) - t for t in reversed(lower))]
    mask = (1 << _WORD) - 1
    high = np.array([t >> _WORD for t in thresholds], np.uint64)
    low = np.array([t & mask for t in thresholds], np.uint64)
    # 64 buckets a standard deviation: where the density matters, at most one threshold each.
    bucket_bits = min(max(math.ceil(math.log2(stddev)) + 6, 8), 20)
    starts = np.arange(1 << bucket_bits, dtype=np.uint64) << np.uint64(_WORD - bucket_bits)
    guide = np.searchsorted(high, starts, side="left").astype(np.int32)
    return NoiseTable(
        stddev=stddev,
        lowest=-len(lower),
        high=np.append(high, np.uint64(2**64 - 1)),
        low=low,
        shift=_WORD - bucket_bits,
        guide=guide,
        crowded=np.diff(np.append(guide, np.int32(len(high)))) > 1,
    )


def _lower_thresholds(stddev: float) -> list[int]:
    """Ascending T_k = ⌊2^128·P[X ≤ k]⌋ for k < 0, without the zeros no draw can be below."""
    weights = _weights(stddev)
    total = weights[0] + 2 * sum(weights[1:])
    result = []
    cumulative = 0
    for weight in reversed(weights[1:]):
        cumulative += weight
        threshold = (cumulative << _BITS) // total
        if threshold:
            result.append(threshold)
    return result


def _weights(stddev: float) -> list[int]:
    """exp(-k²/2s²)·2^256 for k = 0 ... K, each within 1.5·(k+1)² units.

    The weights obey a_{k+1} = a_k·r_k and r_{k+1} = r_k·c with r_0 = exp(-1/2s²), c = exp(-1/s²).
    All true values are at most 1, so a product of two adds up their errors and one unit of
    truncation: r_k is within 3k + 2 units, a_k within Σ(3j + 3). For K < 2^20 the sum of all
    weights is within 2^60 units of 2^-256.
    """
    inverse = 1 / Fraction(stddev)
    ratio = _exp_minus(inverse * inverse / 2)
    factor = _exp_minus(inverse * inverse)
    weights = [1 << _FRACTION]
    for _ in range(noise_reach(stddev)):
        weights.append((weights[-1] * ratio) >> _FRACTION)
        ratio = (ratio * factor) >> _FRACTION
    return weights


def _exp_minus(x: Fraction) -> int:
    """exp(-x)·2^256 within two units, for 0 < x ≤ 4, from its Taylor series in integers.

    Each term is floored at 2^-320; the errors of some hundred terms, each carried on by factors
    x/j of product at most e^4, stay far below 2^-256.
    """
    term = total = 1 << (_FRACTION + _GUARD)
    j = 0
    while term:
        j += 1
        term = term * x.numerator // (x.denominator * j)
        total += -term if j % 2 else term
    return total >> _GUARD
