"""The leading directions of EASE's weights, as users see them.

With Q = Ĝ⁻¹ and D = diag Q the weights are W = I − Q D⁻¹. Of all matrices of rank d, W V Vᵀ with V
the leading eigenvectors of M = Wᵀ Ĝ W = Ĝ − 2 D⁻¹ + D⁻¹ Q D⁻¹ is nearest to W for users of Gram
matrix Ĝ, in E‖x W − x Ŵ‖² (reduced-rank regression: Izenman 1975).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from recommons.common.models.inverse import GramInverse

__all__ = ["EaseWeights", "tower_tables"]

Floats = npt.NDArray[np.float64]

_SCALE = 80.0
_STRAIGHT = 0.5
_LEAST_SQUARE = 1e-8


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class EaseWeights:
    """W of a Gram matrix's inverse; see the module.

    Attributes:
        inverse: Q.
        gram: Ĝ, shape ``(m, m)``, or its diagonal, shape ``(m,)``, where the catalogue is too large
            for it: M is then Wᵀ diag(Ĝ) W.
    """

    inverse: GramInverse
    gram: npt.NDArray[np.floating]

    @cached_property
    def diagonal(self) -> Floats:
        """D, shape ``(m,)``."""
        return np.asarray(self.inverse.diagonal, np.float64)

    def weights(self, columns: Floats) -> Floats:
        """W times columns, shape ``(m, k)``."""
        return np.asarray(columns - self._product(columns / self.diagonal[:, None]))

    def metric(self, columns: Floats) -> Floats:
        """M times columns, shape ``(m, k)``."""
        diagonal = self.diagonal[:, None]
        if self.gram.ndim == 1:
            seen = self.gram[:, None] * self.weights(columns)
            return np.asarray(seen - self._product(seen) / diagonal)
        seen = np.asarray(self.gram @ columns.astype(self.gram.dtype), np.float64)
        scaled = columns / diagonal
        return np.asarray(seen - 2 * scaled + self._product(scaled) / diagonal)

    def _product(self, columns: Floats) -> Floats:
        return np.asarray(self.inverse.apply(columns), np.float64)


def tower_tables(left: Floats, right: Floats, squares: Floats) -> tuple[Floats, Floats]:
    """Rows of the in and out tables whose scores are 80·x W V Vᵀ/√n, but for tanh.

    in = W V S and out = 80·V S⁻¹, with the diagonal S giving h_k a root mean square of
    .5·√(ρ_k/ρ_1) over users, ρ_k what it is by V alone, so that tanh is nearly straight.

    Args:
        left: W V, shape ``(m, k)``.
        right: V, shape ``(m, k)``.
        squares: Users' mean squares of x W V/√n by column, largest first.
    """
    spread = np.sqrt(np.maximum(squares, squares[0] * _LEAST_SQUARE))
    scale = _STRAIGHT * np.sqrt(spread / spread[0]) / spread
    return left * scale, _SCALE * right / scale
