"""Inverses of Gram matrices that score users, and their cheap updates by a site's own users.

A scorer needs of Q = G⁻¹ only products x Q and the diagonal. Three forms give them: dense, diagonal
less low rank, and either of these after a site's own co-occurrence ρ WᵀW was added to G
(Woodbury): Q' = Q − Q Wᵀ (I/ρ + W Q Wᵀ)⁻¹ W Q. Some hold what a site's users did, so none shows its
numbers in `repr`.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

__all__ = [
    "DenseInverse",
    "GramInverse",
    "LowRankInverse",
    "RankUpdate",
    "UpdatedInverse",
    "dense_inverse",
    "low_rank_inverse",
]

Matrix = npt.NDArray[np.floating]


class GramInverse(Protocol):
    """Q, the inverse of a symmetric positive definite m × m matrix."""

    @property
    def diagonal(self) -> Matrix:
        """Q_jj, shape ``(m,)``."""
        ...

    def product(self, rows: sp.csr_array) -> Matrix:
        """X Q, dense, shape ``(n, m)``."""
        ...

    def apply(self, columns: Matrix) -> Matrix:
        """Q times dense columns, shape ``(m, k)``."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DenseInverse:
    """Q itself, shape ``(m, m)``."""

    matrix: Matrix

    @property
    def diagonal(self) -> Matrix:
        """Q_jj."""
        return np.diagonal(self.matrix)

    def product(self, rows: sp.csr_array) -> Matrix:
        """X Q."""
        return np.asarray(rows.astype(self.matrix.dtype) @ self.matrix)

    def apply(self, columns: Matrix) -> Matrix:
        """Q times dense columns."""
        return np.asarray(self.matrix @ columns.astype(self.matrix.dtype))


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LowRankInverse:
    """Q = diag(shape) − H Hᵀ, for catalogues too large for a dense inverse.

    Attributes:
        plain: Shape ``(m,)``.
        left: H, shape ``(m, k)``.
    """

    plain: Matrix
    left: Matrix

    @property
    def diagonal(self) -> Matrix:
        """Q_jj."""
        return self.plain - _row_squares(self.left)

    def product(self, rows: sp.csr_array) -> Matrix:
        """X Q."""
        result = -(rows.astype(self.left.dtype) @ self.left) @ self.left.T
        row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
        result[row, rows.indices] += rows.data * self.plain[rows.indices]
        return result

    def apply(self, columns: Matrix) -> Matrix:
        """Q times dense columns."""
        given = columns.astype(self.left.dtype)
        return np.asarray(self.plain[:, None] * given - self.left @ (self.left.T @ given))


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RankUpdate:
    """Q and a site's rows W, ready for any weight ρ.

    Attributes:
        base: Q.
        reached: W Q, shape ``(n, m)``.
        inner: W Q Wᵀ, float64, shape ``(n, n)``.
    """

    base: GramInverse
    reached: Matrix
    inner: npt.NDArray[np.float64]

    @classmethod
    def of(cls, base: GramInverse, rows: sp.csr_array) -> "RankUpdate":
        """Prepare Q for adding rows W, shape ``(n, m)``."""
        reached = base.product(rows)
        inner = np.asarray((reached @ rows.T).astype(np.float64))
        return cls(base=base, reached=reached, inner=(inner + inner.T) / 2)

    def weighted(self, weight: float) -> "UpdatedInverse":
        """(G + ρ WᵀW)⁻¹ for ρ = `weight` > 0; costs O(n³ + n² m)."""
        factor = np.linalg.cholesky(self.inner + np.eye(len(self.inner)) / weight)
        root = np.linalg.inv(factor).T.astype(self.reached.dtype)
        return UpdatedInverse(base=self.base, left=self.reached.T @ root)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class UpdatedInverse:
    """Q − H Hᵀ.

    Attributes:
        base: Q.
        left: H, shape ``(m, n)``.
    """

    base: GramInverse
    left: Matrix

    @property
    def diagonal(self) -> Matrix:
        """Q_jj − Σ_k H_jk²."""
        return self.base.diagonal - _row_squares(self.left)

    def product(self, rows: sp.csr_array) -> Matrix:
        """X Q − (X H) Hᵀ."""
        result = self.base.product(rows)
        result -= (rows.astype(self.left.dtype) @ self.left) @ self.left.T
        return result

    def apply(self, columns: Matrix) -> Matrix:
        """Q times dense columns."""
        given = columns.astype(self.left.dtype)
        return np.asarray(self.base.apply(columns) - self.left @ (self.left.T @ given))


def dense_inverse(gram: Matrix) -> DenseInverse:
    """The inverse by Cholesky, in the precision of `gram`, which is overwritten."""
    import torch  # here: whoever only plans does not wait for it

    factor = torch.linalg.cholesky(torch.from_numpy(gram))
    # LAPACK's result lies column by column; of a symmetric matrix the transpose is the same.
    return DenseInverse(matrix=torch.cholesky_inverse(factor).numpy().T)


def low_rank_inverse(diagonal: Matrix, left: Matrix) -> LowRankInverse:
    """(diag(d) + A Aᵀ)⁻¹ for d > 0 and A of shape ``(m, k)`` with k much below m (Woodbury)."""
    scaled = left / diagonal[:, None]
    inner = np.eye(left.shape[1]) + np.asarray(left.T @ scaled, np.float64)
    root = np.linalg.inv(np.linalg.cholesky(inner)).T.astype(left.dtype)
    return LowRankInverse(plain=1 / diagonal, left=scaled @ root)


def _row_squares(matrix: Matrix) -> Matrix:
    return np.asarray(np.einsum("ij,ij->i", matrix, matrix))
