"""Users' histories as a sparse binary matrix, in a canonical order."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recommons.common.errors import InvalidInput

__all__ = ["Interactions"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Interactions:
    """Which user touched which item: one row a user, distinct items, ascending item index.

    The ascending order is what makes a user's float sums the same whatever the batch.

    Attributes:
        indptr: int64, shape ``(n_users + 1,)``; row u is ``indices[indptr[u]:indptr[u + 1]]``.
        indices: int32, item indices, strictly ascending within a row.
        n_items: Size of the catalogue.
    """

    indptr: npt.NDArray[np.int64] = field(repr=False)
    indices: npt.NDArray[np.int32] = field(repr=False)
    n_items: int

    @property
    def n_users(self) -> int:
        """Number of rows."""
        return len(self.indptr) - 1

    @classmethod
    def from_pairs(
        cls,
        users: npt.NDArray[np.integer],
        items: npt.NDArray[np.integer],
        *,
        n_users: int,
        n_items: int,
    ) -> "Interactions":
        """Build from (user index, item index) pairs in any order; repeated pairs count once.

        Raises:
            InvalidInput: An index is outside the given sizes.
        """
        for name, values, size in (("users", users, n_users), ("items", items, n_items)):
            if len(values) and (values.min() < 0 or values.max() >= size):
                raise InvalidInput("input/argument", f"{name} holds an index outside 0..{size - 1}")
        keys = np.unique(users.astype(np.int64) * n_items + items)
        rows, columns = np.divmod(keys, max(n_items, 1))
        indptr = np.zeros(n_users + 1, np.int64)
        np.cumsum(np.bincount(rows, minlength=n_users), out=indptr[1:])
        return cls(indptr=indptr, indices=columns.astype(np.int32), n_items=n_items)

    def take(self, rows: npt.NDArray[np.integer]) -> "Interactions":
        """The given rows, in the given order (repeats allowed)."""
        taken = self.matrix()[rows]
        return Interactions(
            indptr=taken.indptr.astype(np.int64),
            indices=taken.indices.astype(np.int32),
            n_items=self.n_items,
        )

    def batches(self, size: int) -> Iterator["Interactions"]:
        """Consecutive rows, at most `size` at a time, without copying."""
        for start in range(0, self.n_users, size):
            stop = min(start + size, self.n_users)
            first, last = self.indptr[start], self.indptr[stop]
            yield Interactions(
                indptr=self.indptr[start : stop + 1] - first,
                indices=self.indices[first:last],
                n_items=self.n_items,
            )

    def matrix(self, dtype: npt.DTypeLike = np.float32) -> sp.csr_array:
        """A SciPy CSR array of ones, shape ``(n_users, n_items)``."""
        data = np.ones(len(self.indices), dtype)
        return sp.csr_array((data, self.indices, self.indptr), shape=(self.n_users, self.n_items))
