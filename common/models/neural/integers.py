"""From a float64 sum of clipped gradients to integers of a proved sensitivity.

A neural model's users share matrix products, so a user's floats move a little with the company
they are computed in; `quantize` per user is not to be had at the price of one sum. Instead (proof
in `docs/neural-models.md`): let G(U) be the computed sum over users U, g_u user u's clipped
gradient in exact arithmetic, ‖g_u‖ ≤ C', and ξ a bound on ‖G(U) − Σ_u g_u‖ for every U of at most n
users. One user more moves G by at most C' + 2ξ, and truncation of D coordinates to multiples of γ
adds less than one unit to each, so the integers move by at most

    (C' + 2ξ)/γ + √D  ≤  S.

With γ = C/S, as for every block, C' is the clip that satisfies this: a little below C.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recommons.common.checks import require
from recommons.common.errors import PrivacyError
from recommons.common.privacy.mechanism import BlockMechanism

__all__ = ["UNIT_ROUNDOFF", "SumError", "effective_clip", "relative_error", "truncate"]

UNIT_ROUNDOFF = 2.0**-53
"""u of float64, rounding to nearest."""

_LARGEST_PART = 0.2
"""More of the sensitivity than this is not given to rounding."""

_MARGIN = 1 - 2.0**-40
"""What rounding in this module's own few float operations can never reach."""

_CHUNK_VALUES = 1 << 15
"""Values truncated at a time: 256 KiB of float64, in a core's second-level cache."""


def relative_error(operations: float) -> float:
    """γ_k = k·u/(1 − k·u): k roundings in any order (Higham 2002, section 3.1).

    Raises:
        InvalidInput: k·u is not below 1/2; no bound of use is left.
    """
    product = operations * UNIT_ROUNDOFF
    require(0 <= product < 0.5, "operations", operations, "at most 2^51")
    return product / (1 - product)


@dataclass(frozen=True, kw_only=True)
class SumError:
    """How far the computed sum of clipped gradients may be from the exact one.

    Attributes:
        users: n, most users of a sum.
        gradient: Bound on the error of one user's computed gradient, L2, in the model's units.
        norm: Bound on the error of that gradient's computed norm.
    """

    users: int
    gradient: float
    norm: float

    def __post_init__(self) -> None:
        require(self.users >= 1, "users", self.users, "1 or more")
        for name in ("gradient", "norm"):
            value = getattr(self, name)
            require(0 <= value < math.inf, name, value, "0 or more, finite")

    def bound(self, clip: float) -> float:
        """ξ, for users clipped to at most `clip`."""
        each = self.gradient + self.norm + 8 * UNIT_ROUNDOFF * clip
        # Adding up, and the division by γ in `truncate` (one rounding of each coordinate).
        return self.users * (each + relative_error(self.users + 2) * (clip + each))


def effective_clip(block: BlockMechanism, error: SumError) -> float:
    """C': what users are clipped to, so that the block's integers have sensitivity S.

    Raises:
        PrivacyError: ``model/coarse-grid``: more than a fifth of S would be given to rounding.
    """
    roots = math.isqrt(block.size - 1) + 1  # ⌈√D⌉
    clip = ((block.sensitivity - roots) * block.grid - 2 * error.bound(block.clip)) * _MARGIN
    if not clip >= (1 - _LARGEST_PART) * block.clip:
        raise PrivacyError(
            "model/coarse-grid",
            f"block {block.name!r} has {block.size} coordinates and sensitivity "
            f"{block.sensitivity}; rounding would take more than a fifth of it",
        )
    return clip


def truncate(
    values: npt.NDArray[np.float64],
    block: BlockMechanism,
    out: npt.NDArray[np.signedinteger[Any]] | None = None,
) -> npt.NDArray[np.signedinteger[Any]]:
    """Each coordinate toward zero to a multiple of γ, held within the block's clamp.

    Args:
        values: A computed sum, float64, shape ``(D,)``.
        block: The block; its clamp B bounds the result (and makes not-a-number zero, which
            bounded states never give).
        out: Where to put the result, shape ``(D,)``: signed integers that hold ±B. A fresh array
            of int64 if none is given.

    Returns:
        `out`.
    """
    units = np.empty(block.size, np.int64) if out is None else out
    require(
        values.shape == (block.size,) and values.dtype == np.float64,
        "values",
        (values.dtype, values.shape),
        f"float64 of shape ({block.size},)",
    )
    require(
        units.shape == (block.size,) and block.clamp <= np.iinfo(units.dtype).max,
        "out",
        (units.dtype, units.shape),
        f"integers up to {block.clamp} of shape ({block.size},)",
    )
    most = float(block.clamp)
    if most > block.clamp:  # beyond 2^53 not every integer is a float
        most = math.nextafter(most, 0.0)
    room = np.empty(min(block.size, _CHUNK_VALUES))
    with np.errstate(all="ignore"):
        for start in range(0, block.size, _CHUNK_VALUES):
            part = slice(start, start + _CHUNK_VALUES)
            real = np.divide(values[part], block.grid, out=room[: len(values[part])])
            np.clip(real, -most, most, out=real)
            if np.isnan(real.max()):  # the largest is not a number if any is not
                real[np.isnan(real)] = 0.0
            units[part] = real  # toward zero
    return units
