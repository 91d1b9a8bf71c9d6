"""A Gram matrix plus a site's own users, for any weight of theirs.

G + ρ WᵀW, inverted by a low-rank update where the site's users are few beside the catalogue's
items, and outright where they are many.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recommons.common.data.interactions import Interactions
from recommons.common.models.gram import GramSource
from recommons.common.models.inverse import GramInverse, RankUpdate, dense_inverse

__all__ = ["LocalGram", "dense_gram", "local_gram", "weighted_rows"]

MOST_ROWS = 0.25
"""Users as a share of items, above which a dense inverse costs less than an update."""


class LocalGram(Protocol):
    """G + ρ WᵀW."""

    def inverse(self, weight: float) -> GramInverse:
        """Its inverse for ρ = `weight` ≥ 0."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class _FewRows:
    update: RankUpdate

    def inverse(self, weight: float) -> GramInverse:
        return self.update.weighted(weight) if weight > 0 else self.update.base


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class _ManyRows:
    source: GramSource
    base: GramInverse
    rows: sp.csr_array

    def inverse(self, weight: float) -> GramInverse:
        if weight == 0:
            return self.base
        return dense_inverse(dense_gram(self.source, self.rows, weight))


def dense_gram(source: GramSource, rows: sp.csr_array, weight: float) -> npt.NDArray[np.floating]:
    """G + ρ WᵀW itself, shape ``(m, m)``, of the source's dtype; a copy."""
    gram = source.dense()
    if weight:
        own = (rows.T @ rows).tocoo()
        gram[own.row, own.col] += weight * own.data
    return gram


def local_gram(
    source: GramSource, base: GramInverse, rows: sp.csr_array, *, dense: bool
) -> LocalGram:
    """Prepare G + ρ WᵀW.

    Args:
        source: G.
        base: G⁻¹.
        rows: W, shape ``(n, m)``.
        dense: Whether dense m × m matrices are allowed.
    """
    if dense and rows.shape[0] > MOST_ROWS * rows.shape[1]:
        return _ManyRows(source=source, base=base, rows=rows)
    return _FewRows(update=RankUpdate.of(base, rows))


def weighted_rows(users: Interactions, *, normalised: bool) -> sp.csr_array:
    """W: each history, scaled to length one if `normalised`; float32 CSR."""
    rows = users.matrix(np.float32)
    if normalised:
        lengths = np.diff(users.indptr)
        rows.data /= np.repeat(np.sqrt(lengths), lengths).astype(np.float32)
    return rows
