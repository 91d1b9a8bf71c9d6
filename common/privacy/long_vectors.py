"""One user's long vector becomes integers whose norm is bounded exactly.

The same result as `quantization.quantize` promises, for a single user with very many coordinates,
where going column by column would take a Python step each. The user stands alone in the call, so
a NumPy reduction over the vector sees nobody else: its order follows the length, which is public.
"""

import numpy as np
import numpy.typing as npt

from recommons.common.checks import require
from recommons.common.privacy.quantization import MAX_SENSITIVITY

__all__ = ["MAX_LENGTH", "quantize_alone"]

MAX_LENGTH = 2**31
"""Most coordinates: each adds less than one unit to the norm, so squares cannot overflow."""

_LEAST_PEAK = 2.0**-960
_SHRINK_STEPS = 50


def quantize_alone(
    values: npt.NDArray[np.float64], *, clip: float, sensitivity: int
) -> npt.NDArray[np.int64]:
    """Clip one user's vector to L2 norm C, then truncate it toward zero to multiples of C/S.

    ============================================  ==========================================
    a vector                                      becomes
    ============================================  ==========================================
    all below 2^-960 in absolute value            zeros
    holding an infinity or a NaN                  zeros
    of norm above C, however large                scaled to norm C, truncated
    whose truncated norm still exceeds S          scaled down and truncated again, at most 50
                                                  times, the last time by zero
    ============================================  ==========================================

    Args:
        values: float64, shape ``(D,)``, the vector of one user.
        clip: C, positive and finite.
        sensitivity: S, 1 to 2^31 - 1.

    Returns:
        int64, shape ``(D,)``, of L2 norm at most S, checked in integers.

    Raises:
        InvalidInput: C, S, the shape or dtype is not admissible; never because of the values.
    """
    sound = values.ndim == 1 and values.dtype == np.float64 and len(values) <= MAX_LENGTH
    require(sound, "values", (values.dtype, values.shape), "float64, one dimension")
    require(0 < clip < float("inf"), "clip", clip, "a positive, finite number")
    require(1 <= sensitivity <= MAX_SENSITIVITY, "sensitivity", sensitivity, "1 to 2^31 - 1")
    nothing = np.zeros(len(values), np.int64)
    with np.errstate(all="ignore"):
        peak = float(np.max(np.abs(values), initial=0.0))  # not a number, if any is not
        if not (np.isfinite(peak) and peak >= _LEAST_PEAK):
            return nothing
        unit = values / peak
        norm = float(np.sqrt(np.sum(unit * unit)))
        scale = min((peak / clip) * sensitivity, sensitivity / norm)
        for step in range(_SHRINK_STEPS + 1):
            # 1 - 2^-49, 1 - 2^-48, ... 0: the last factor gives zeros, whose norm is 0.
            smaller = scale if step == 0 else scale * (1.0 - 2.0 ** (step - _SHRINK_STEPS))
            integers = np.trunc(unit * smaller)
            held = np.clip(integers, -sensitivity, sensitivity).astype(np.int64)
            if _within(held, sensitivity):
                return held
    return nothing


def _within(integers: npt.NDArray[np.int64], sensitivity: int) -> bool:
    """Whether Σ integer² ≤ S², in integers that cannot overflow.

    Squares are below 2^62. They are added in two halves of 31 bits each, and there are at most
    2^31 of them.
    """
    squares = integers * integers
    high = int(np.sum(squares >> 31))
    low = int(np.sum(squares & (2**31 - 1)))
    return (high << 31) + low <= sensitivity**2
