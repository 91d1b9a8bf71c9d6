"""Users' histories as a sparse binary matrix, in a canonical order."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recommons.common.errors import InvalidInput

__all__ = ["Interactions"]

_ROWS_AT_ONCE = 1 << 16  # positions take eight bytes a pair: twice what they point to


@dataclass(frozen=True, kw_only=True, eq=False)
class Interactions:
    """Which user touched which item: one row a user, distinct items, ascending item index.

    The ascending order is what makes a user's float sums the same whatever the batch.

    Attributes:
        indptr: int64, shape ``(n_users + 1,)``; row u is ``indices[indptr[u]:indptr[u + 1]]``.
        indices: int32, item indices, strictly ascending within a row.
        n_items: Size of the catalogue.
        times: int64, aligned with `indices`: when the pair last occurred, in microseconds since
            1970; None where events have no time. Models without order ignore it.
        kinds: int16, aligned with `indices`: the type of that event, 0 for none; None where events
            have no types.
    """

    indptr: npt.NDArray[np.int64] = field(repr=False)
    indices: npt.NDArray[np.int32] = field(repr=False)
    n_items: int
    times: npt.NDArray[np.int64] | None = field(default=None, repr=False)
    kinds: npt.NDArray[np.int16] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("times", "kinds"):
            values = getattr(self, name)
            if values is not None and values.shape != self.indices.shape:
                raise InvalidInput(
                    "input/argument",
                    f"{name} has shape {values.shape}; required: {self.indices.shape}, one a pair",
                )

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
        """The given rows, in the given order (repeats allowed), copied a few rows at a time."""
        starts, lengths = self.indptr[rows], np.diff(self.indptr)[rows]
        indptr = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=indptr[1:])
        pairs = int(indptr[-1])
        columns = {
            name: (values, np.empty(pairs, values.dtype))
            for name in ("indices", "times", "kinds")
            if (values := getattr(self, name)) is not None
        }
        for first in range(0, len(lengths), _ROWS_AT_ONCE):
            part = slice(first, first + _ROWS_AT_ONCE)
            begin, end = indptr[first], indptr[min(first + _ROWS_AT_ONCE, len(lengths))]
            moved = np.repeat(starts[part] - indptr[:-1][part], lengths[part])
            positions = np.arange(begin, end) + moved
            for source, target in columns.values():
                target[begin:end] = source[positions]
        taken = {name: target for name, (_, target) in columns.items()}
        return Interactions(indptr=indptr, n_items=self.n_items, **taken)

    def where(self, keep: npt.NDArray[np.bool_]) -> "Interactions":
        """The same users with the marked pairs only; `keep` is aligned with `indices`."""
        kept_before = np.concatenate(([0], np.cumsum(keep)))
        return self._of(np.flatnonzero(keep), kept_before[self.indptr])

    def _of(
        self, positions: npt.NDArray[np.int64], indptr: npt.NDArray[np.int64]
    ) -> "Interactions":
        return Interactions(
            indptr=indptr,
            indices=self.indices[positions],
            n_items=self.n_items,
            times=None if self.times is None else self.times[positions],
            kinds=None if self.kinds is None else self.kinds[positions],
        )

    def batches(self, size: int) -> Iterator["Interactions"]:
        """Consecutive rows, at most `size` at a time, without copying."""
        for start in range(0, self.n_users, size):
            stop = min(start + size, self.n_users)
            pairs = slice(self.indptr[start], self.indptr[stop])
            yield Interactions(
                indptr=self.indptr[start : stop + 1] - self.indptr[start],
                indices=self.indices[pairs],
                n_items=self.n_items,
                times=None if self.times is None else self.times[pairs],
                kinds=None if self.kinds is None else self.kinds[pairs],
            )

    def matrix(self, dtype: npt.DTypeLike = np.float32) -> sp.csr_array:
        """A SciPy CSR array of ones, shape ``(n_users, n_items)``."""
        data = np.ones(len(self.indices), dtype)
        return sp.csr_array((data, self.indices, self.indptr), shape=(self.n_users, self.n_items))
