"""Inverses of Gram matrices that score users, and their cheap updates by a site's own users.

A scorer needs of Q = G⁻¹ only products x Q and the diagonal. Three forms give them: dense, diagonal
less low rank, and either of these after a site's own co-occurrence ρ WᵀW was added to G
(Woodbury): Q' = Q − Q Wᵀ (I/ρ + W Q Wᵀ)⁻¹ W Q.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import torch

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


@dataclass(frozen=True, kw_only=True, eq=False)
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


@dataclass(frozen=True, kw_only=True, eq=False)
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
        return self.plain - (self.left**2).sum(axis=1)

    def product(self, rows: sp.csr_array) -> Matrix:
        """X Q."""
        result = -(rows.astype(self.left.dtype) @ self.left) @ self.left.T
        row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
        result[row, rows.indices] += rows.data * self.plain[rows.indices]
        return result


@dataclass(frozen=True, kw_only=True, eq=False)
class RankUpdate:
    """Q and a site's rows W in the eigenbasis of W Q Wᵀ, ready for any weight ρ.

    Attributes:
        base: Q.
        left: Q Wᵀ E, shape ``(m, n)``.
        values: Eigenvalues of W Q Wᵀ, shape ``(n,)``.
    """

    base: GramInverse
    left: Matrix
    values: Matrix

    @classmethod
    def of(cls, base: GramInverse, rows: sp.csr_array) -> "RankUpdate":
        """Prepare Q for adding rows W, shape ``(n, m)``; costs O(n nnz + n² m)."""
        reached = base.product(rows)
        inner = np.asarray(rows.astype(reached.dtype) @ reached.T, np.float64)
        values, vectors = np.linalg.eigh((inner + inner.T) / 2)
        left = reached.T @ vectors.astype(reached.dtype)
        return cls(base=base, left=left, values=np.maximum(values, 0.0).astype(reached.dtype))

    def weighted(self, weight: float) -> "UpdatedInverse":
        """(G + ρ WᵀW)⁻¹ for ρ = `weight` ≥ 0."""
        return UpdatedInverse(update=self, shrink=weight / (1 + weight * self.values))


@dataclass(frozen=True, kw_only=True, eq=False)
class UpdatedInverse:
    """Q − left · diag(shrink) · leftᵀ."""

    update: RankUpdate
    shrink: Matrix

    @property
    def diagonal(self) -> Matrix:
        """Q_jj."""
        return self.update.base.diagonal - (self.update.left**2) @ self.shrink

    def product(self, rows: sp.csr_array) -> Matrix:
        """X Q."""
        inner = (rows.astype(self.update.left.dtype) @ self.update.left) * self.shrink
        result = self.update.base.product(rows)
        result -= inner @ self.update.left.T
        return result


def dense_inverse(gram: Matrix) -> DenseInverse:
    """The inverse by Cholesky, in the precision of `gram`, which is overwritten."""
    factor = torch.linalg.cholesky(torch.from_numpy(gram))
    return DenseInverse(matrix=torch.cholesky_inverse(factor).numpy())


def low_rank_inverse(diagonal: Matrix, left: Matrix) -> LowRankInverse:
    """(diag(d) + A Aᵀ)⁻¹ for d > 0 and A of shape ``(m, k)`` with k much below m (Woodbury)."""
    scaled = left / diagonal[:, None]
    inner = np.eye(left.shape[1]) + np.asarray(left.T @ scaled, np.float64)
    values, vectors = np.linalg.eigh(inner)
    root = (vectors / np.sqrt(values)).astype(left.dtype)
    return LowRankInverse(plain=1 / diagonal, left=scaled @ root)
