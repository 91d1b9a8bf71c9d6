"""The kernel of public features: how alike two items look."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recommons.common.models.content import principal_features
from recommons.common.models.interface import Arrays

__all__ = ["FeatureKernel"]

Floats = npt.NDArray[np.float32]

RANK = 256
DENSE_COLUMN = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureKernel:
    """K = T Tᵀ with a zero diagonal, T scaled to a mean squared row length of 1.

    Attributes:
        table: T, CSR, shape ``(m, any)``; no columns where there are no features.
    """

    table: sp.csr_array

    @classmethod
    def from_arrays(cls, arrays: Arrays, n_items: int, n_features: int) -> "FeatureKernel":
        """The kernel that a release carries; `to_arrays` is the way there."""
        parts = tuple(arrays[f"features_{part}"] for part in ("data", "indices", "indptr"))
        return cls(table=sp.csr_array(parts, shape=(n_items, n_features)))

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """T as named arrays."""
        return {
            "features_data": self.table.data.astype(np.float32),
            "features_indices": self.table.indices.astype(np.int32),
            "features_indptr": self.table.indptr.astype(np.int64),
        }

    @cached_property
    def principal(self) -> Floats:
        """P with K ≈ P Pᵀ off the diagonal, shape ``(m, ≤ 256)``."""
        return principal_features(self.table, RANK).astype(np.float32)

    def between(self, one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> Floats:
        """K between two disjoint sets of items, each a mask of shape ``(m,)``; dense."""
        table = self.table.astype(np.float32)
        return np.asarray((table[np.flatnonzero(one)] @ table[np.flatnonzero(other)].T).toarray())

    def dense(self) -> Floats:
        """K, shape ``(m, m)``.

        Columns that many items fill go through a dense product, the others through a sparse one.
        """
        table = self.table.astype(np.float32)
        frequency = np.bincount(table.indices, minlength=table.shape[1])
        filled = frequency > DENSE_COLUMN * table.shape[0]
        sparse = table[:, np.flatnonzero(~filled)]
        dense = table[:, np.flatnonzero(filled)].toarray()
        kernel = np.asarray((sparse @ sparse.T).toarray())
        kernel += dense @ dense.T
        np.fill_diagonal(kernel, 0.0)
        return kernel
