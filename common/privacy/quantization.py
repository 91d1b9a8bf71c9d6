"""A user's real vector becomes integers whose norm is bounded exactly.

The guarantee rests on two laws, both tested:

* the integer vector of a user has L2 norm at most S, checked exactly, whatever the input;
* it depends on that user's row alone, bit for bit: every float operation that an integer comes of
  is an elementwise IEEE 754 operation (+, x, /, sqrt, max), and sums run over the columns in order,
  one addition at a time. NumPy's reductions and matrix products do not have this property: their
  order of summation follows the shape of the batch. So they are used only where no order changes
  the result: for a maximum, for sums of integers, and where `_exceeds` asks of a sum no more than
  on which side of a wide gap it is.

Notation: C clip, S sensitivity, γ = C/S grid.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from recommons.common.errors import InvalidInput

__all__ = ["MAX_MULTIPLICITY", "MAX_SENSITIVITY", "quantize"]

MAX_SENSITIVITY = 2**31 - 1
"""Largest S: S² stays below 2^62, from which `_exceeds` can tell sums that 64 bits do not hold."""

MAX_MULTIPLICITY = 2**31 - 1
"""Largest number of times one coordinate may stand in a user's vector."""

_CHUNK_VALUES = 1 << 19
"""Values handled at a time: 4 MiB of float64, whatever the batch."""

_LEAST_PEAK = 2.0**-960
"""Rows of smaller values become zero. Above it, a subnormal number is below 2^-62 of the row's
largest and truncates to zero, so a thread that flushes subnormals gets the same integers."""

_SHRINK_STEPS = 50
"""Rescalings of a row before it becomes zero."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def quantize(
    values: Floats,
    *,
    clip: float,
    sensitivity: int,
    multiplicity: Integers | int = 1,
) -> Integers:
    """Clip each user's vector to L2 norm C, then truncate it toward zero to multiples of C/S.

    A row is a user. Coordinate k of row u stands ``multiplicity[u, k]`` times in that user's
    vector, so that ``Σ_k multiplicity[u, k] · result[u, k]²`` is at most S², exactly. (In `als` a
    user's vector repeats the same ``d`` values for each of the user's items.)

    ============================================  ==========================================
    a row                                         becomes
    ============================================  ==========================================
    all below 2^-960 in absolute value            zeros
    holding an infinity or a NaN                  zeros
    with a multiplicity below 0 or above 2^31-1   zeros
    of norm above C, however large                the row scaled to norm C, truncated
    whose truncated norm still exceeds S          scaled down and truncated again, at most 50
                                                  times, the last time by zero
    ============================================  ==========================================

    Args:
        values: float64, shape ``(n, d)``: rows of users, in the model's units.
        clip: C, positive and finite.
        sensitivity: S, 1 to 2^31 - 1.
        multiplicity: int64, shape ``(n, d)``, or ``(n,)`` for one number a row, or one number.

    Returns:
        int64, shape ``(n, d)``: multiples of γ = C/S.

    Raises:
        InvalidInput: C, S, a shape or a dtype is not admissible; never because of what a user's
            row holds.
    """
    _validate(values, clip, sensitivity)
    counts = _counts_like(values, multiplicity)
    rows, columns = values.shape
    result = np.zeros((rows, columns), np.int64)
    step = max(1, _CHUNK_VALUES // max(columns, 1))
    # Overflow and underflow are expected, and a caller's np.seterr must not make them errors.
    with np.errstate(all="ignore"):
        for start in range(0, rows, step):
            chunk = slice(start, start + step)
            # Columns become contiguous: each is one vector over the chunk's users.
            result[chunk] = _quantize_columns(
                np.ascontiguousarray(values[chunk].T),
                np.ascontiguousarray(counts[chunk].T),
                clip,
                sensitivity,
            ).T
    return result


def _validate(values: Floats, clip: float, sensitivity: int) -> None:
    if values.ndim != 2 or values.dtype != np.float64:
        raise InvalidInput(
            "input/argument",
            f"values has shape {values.shape} and dtype {values.dtype}; "
            "required: two dimensions (users, coordinates) of float64",
        )
    if not 0 < clip < float("inf"):
        raise InvalidInput("input/argument", f"clip is {clip}; required: a positive, finite number")
    if not isinstance(sensitivity, int) or not 1 <= sensitivity <= MAX_SENSITIVITY:
        raise InvalidInput(
            "input/argument",
            f"sensitivity is {sensitivity}; required: an integer, 1 to {MAX_SENSITIVITY}",
        )


def _counts_like(values: Floats, multiplicity: Integers | int) -> Integers:
    """The multiplicities as int64, one a value or, shape ``(n, 1)``, one a row."""
    counts = np.asarray(multiplicity)
    if counts.dtype.kind not in "iu":
        raise InvalidInput(
            "input/argument", f"multiplicity has dtype {counts.dtype}; required: int64"
        )
    rows, columns = values.shape
    if counts.shape not in ((), (rows,), (rows, columns)):
        raise InvalidInput(
            "input/argument",
            f"multiplicity has shape {counts.shape}; "
            f"required: one number, ({rows},) or ({rows}, {columns})",
        )
    # uint64 beyond int64 wraps to a negative number, which empties the row like any other.
    counts = counts.astype(np.int64, copy=False)
    return counts if counts.ndim == 2 else np.broadcast_to(counts, rows)[:, None]


def _quantize_columns(values: Floats, counts: Integers, clip: float, bound: int) -> Integers:
    """`quantize` on columns: `values` has shape ``(d, users)``, `counts` that or ``(1, users)``."""
    peak, usable = _peak_and_usable(values, counts)
    # Dividing by the row's largest value keeps squares away from overflow and underflow.
    unit = np.where(usable & (counts > 0), values, 0.0)
    unit /= np.where(usable, peak, 1.0)
    norm = np.where(usable, _weighted_norm(unit, np.where(usable, counts, 0)), 1.0)
    scale = np.where(usable, np.minimum((peak / clip) * bound, bound / norm), 0.0)
    result = _truncate(unit, scale, bound)
    over = np.flatnonzero(_exceeds(result, counts, bound))
    for step in range(1, _SHRINK_STEPS + 1):
        if not len(over):
            break
        # 1 - 2^-49, 1 - 2^-48, ... 0: the last factor gives zeros, whose norm is 0.
        smaller = scale[over] * (1.0 - 2.0 ** (step - _SHRINK_STEPS))
        result[:, over] = _truncate(unit[:, over], smaller, bound)
        over = over[_exceeds(result[:, over], counts[:, over], bound)]
    return result


def _peak_and_usable(values: Floats, counts: Integers) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Each user's largest absolute value, and whether the row is finite, countable and not tiny.

    The peak of a row that is not usable means nothing. A maximum is the same in any order.
    """
    magnitudes = np.abs(values)
    most = magnitudes.max(axis=0, initial=0.0)  # not finite where any value is not
    usable = np.isfinite(most) & ((counts >= 0) & (counts <= MAX_MULTIPLICITY)).all(axis=0)
    if len(counts) == 1:
        peak = np.where(counts[0] > 0, most, 0.0)
    else:
        peak = np.where(counts > 0, magnitudes, 0.0).max(axis=0, initial=0.0)
    usable &= peak >= _LEAST_PEAK
    return peak, usable


def _weighted_norm(unit: Floats, counts: Integers) -> Floats:
    """√(Σ count · unit²), added column by column in order."""
    squares = unit * unit
    squares *= counts.astype(np.float64)  # exact, being below 2^53
    total = np.zeros(unit.shape[1])
    for column in squares:
        total += column
    return np.sqrt(total)


def _truncate(unit: Floats, scale: Floats, bound: int) -> Integers:
    """Integers toward zero, each within ±S."""
    scaled = unit * scale
    np.trunc(scaled, out=scaled)
    np.clip(scaled, -bound, bound, out=scaled)
    return scaled.astype(np.int64)


def _exceeds(integers: Integers, counts: Integers, bound: int) -> npt.NDArray[np.bool_]:
    """Whether Σ count · integer² > S²: exactly, and so of each column (a user) by itself.

    Where a count is not admissible all its user's integers are 0, and the sum is. Otherwise no term
    is negative, and no integer is above S < 2^31, no count above 2^31.

    * A sum T in integers is T mod 2^64, whatever wrapped on the way: T itself where T < 2^64.
    * A sum F in float64 is wrong by less than d·2^-51 of T, in whatever order its d terms are added
      (each is rounded at most d + 1 times), and so by less than a quarter, as d < 2^49.
    * F > 2^62.5 means T > 2^62 > S²: too much, whatever the integers say. F <= 2^62.5 means
      T < 2^63: the integers are T and decide.

    F is not needed where d times the largest possible term stays below 2^63. That looks at the
    whole batch, and costs or saves time only: both ways decide T > S².
    """
    # Unsigned, for which wrapping is defined.
    unsigned = integers.view(np.uint64), counts.view(np.uint64)
    over = _sum_of_squares(*unsigned) > bound * bound
    most = int(np.abs(integers).max(initial=0))
    if len(integers) * most * most * int(counts.max(initial=0)) >= 2**63:
        over |= _sum_of_squares(integers.astype(np.float64), counts) > 2.0**62.5
    return over


def _sum_of_squares(values: npt.NDArray[Any], counts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Σ count · value² over the coordinates, in no stated order; integers wrap."""
    if len(counts) == 1:
        once: npt.NDArray[Any] = np.einsum("ij,ij->j", values, values)
        total: npt.NDArray[Any] = once * counts[0]
        return total
    weighted: npt.NDArray[Any] = np.einsum("ij,ij,ij->j", values, values, counts)
    return weighted
