"""The Gram matrix WᵀW of many users, estimated from what is public about them.

Off the diagonal Ĝ = LLᵀ + κ s_i s_j K_ij (DESIGN section 6): factors L of a release and the kernel
K of public features. EASE's weights follow from Ĝ⁻¹ (Steck 2019).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from recommons.common.models.inverse import GramInverse, dense_inverse, low_rank_inverse
from recommons.common.models.kernel import FeatureKernel

__all__ = ["FactorGram", "GramSource", "KnownGram", "item_spread"]

Floats = npt.NDArray[np.float32]

LEAST_COUNT = 1.0
SPREAD_EXPONENT = 0.25
LEAST_RESIDUAL = 0.3
KERNEL_RIDGE = 0.5


def item_spread(counts: npt.NDArray[np.float64], users: float) -> npt.NDArray[np.float64]:
    """s_i = D_i^{1/4}, scaled so that its mean is that of √D; see `FactorGram`."""
    diagonal = _expected(counts, users)
    spread = diagonal**SPREAD_EXPONENT
    return np.asarray(spread * (np.sqrt(diagonal).mean() / spread.mean()))


def _expected(counts: npt.NDArray[np.float64], users: float) -> npt.NDArray[np.float64]:
    """D_i = n max(c_i, 1)/Σ max(c, 1): the trace of WᵀW is n."""
    positive = np.maximum(counts, LEAST_COUNT)
    return np.asarray(positive * (users / positive.sum()), np.float64)


class GramSource(Protocol):
    """A positive definite estimate Ĝ of a Gram matrix, shape ``(m, m)``."""

    def dense(self) -> npt.NDArray[np.floating]:
        """Ĝ; the caller may overwrite it."""
        ...

    def inverse(self) -> GramInverse:
        """Ĝ⁻¹."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class KnownGram:
    """A Gram matrix that was released as such.

    Attributes:
        matrix: Shape ``(m, m)``.
        ridge: λ, added to the diagonal.
    """

    matrix: npt.NDArray[np.floating]
    ridge: float

    def dense(self) -> npt.NDArray[np.floating]:
        """The matrix plus λI."""
        gram = self.matrix.copy()
        gram[np.diag_indices(len(gram))] += self.ridge
        return gram

    def inverse(self) -> GramInverse:
        """Its inverse, in its own precision."""
        return dense_inverse(self.dense())


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FactorGram:
    """Ĝ from factors, counts and features.

    Attributes:
        counts: Item counts Σ_u w_u, noised or a site's own, shape ``(m,)``.
        users: Number n of users behind them.
        factors: L, shape ``(m, d)``; no columns where WᵀW itself will be added.
        kernel: The kernel of public features.
        kernel_weight: κ.
        ridge: λ.
        exact: Use K itself, and a dense inverse; otherwise its principal features.
    """

    counts: npt.NDArray[np.float64]
    users: float
    factors: Floats
    kernel: FeatureKernel
    kernel_weight: float
    ridge: float
    exact: bool

    def dense(self) -> Floats:
        """Ĝ; see `GramSource`."""
        if not self.exact:
            rest, left = self._low_rank()
            gram: Floats = left @ left.T
            gram[np.diag_indices(len(gram))] += rest
            return gram
        gram = self.kernel.dense()
        gram *= (self.kernel_weight * self._spread)[:, None]
        gram *= self._spread
        gram += self.factors @ self.factors.T
        np.fill_diagonal(gram, self._diagonal)
        return gram

    def inverse(self) -> GramInverse:
        """Ĝ⁻¹; see `GramSource`."""
        return dense_inverse(self.dense()) if self.exact else low_rank_inverse(*self._low_rank())

    def _low_rank(self) -> tuple[Floats, Floats]:
        """Ĝ = diag(first) + second · secondᵀ, with principal features in place of T."""
        likeness = np.sqrt(self.kernel_weight) * self._spread[:, None] * self.kernel.principal
        left = np.hstack([likeness.astype(np.float32), self.factors])
        # What the low-rank part puts on the diagonal comes off what is added to it.
        return np.maximum(self._diagonal - (left**2).sum(axis=1), self.ridge), left

    @cached_property
    def _expected_diagonal(self) -> Floats:
        return np.asarray(_expected(self.counts, self.users), np.float32)

    @cached_property
    def _spread(self) -> Floats:
        return np.asarray(item_spread(self.counts, self.users), np.float32)

    @cached_property
    def _diagonal(self) -> Floats:
        """max(D, diag LLᵀ + .3 D) + λ + κ s²/2; without factors λ + κ s²/2."""
        ridge: Floats = self.ridge + KERNEL_RIDGE * self.kernel_weight * self._spread**2
        if not self.factors.shape[1]:
            return ridge
        explained = (self.factors**2).sum(axis=1)
        least = explained + LEAST_RESIDUAL * self._expected_diagonal
        return np.asarray(np.maximum(self._expected_diagonal, least) + ridge)
