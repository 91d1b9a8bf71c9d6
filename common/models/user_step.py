"""A user's vector from the public item vectors, bit for bit the same whatever the company.

Ridge regression of a binary history on public item vectors v_i (Hu, Koren and Volinsky 2008):
z = (Σ_{i∈u} v_i v_iᵀ + R)⁻¹ Σ_{i∈u} v_i, scaled to length one.

Neighbouring inputs of the privacy proof differ by one user, so a user's vector must not depend on
who else is in the batch. Products and factorisations of BLAS and LAPACK do depend on shapes, on
alignment and on threads; what is used here does not:

* SciPy's product of a sparse row with a dense table adds the row's items one after another, in the
  row's own order, element by element;
* the Cholesky factorisation runs over the batch with NumPy's elementwise +, −, ×, / and √, each of
  which IEEE 754 rounds correctly, in an order fixed by the rank alone.

Where a plan adds no noise nothing is promised to anyone, and `plain_user_vectors` asks LAPACK: tens
of times faster at high ranks.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recommons.common.data.interactions import Interactions

__all__ = [
    "UserBatch",
    "cholesky_solve",
    "history_lengths",
    "plain_user_vectors",
    "unit_user_vectors",
    "user_batches",
]

Floats = npt.NDArray[np.float64]

BATCH_USERS = 512
TABLE_CELLS = 1 << 22  # 32 MiB of float64: the largest table of item products held at once


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class UserBatch:
    """Some users, with their histories over the items that occur among them.

    Attributes:
        items: int64, catalogue positions of the items that occur, ascending.
        matrix: float64 CSR of ones, shape ``(n_users, len(items))``, ascending within each row.
        lengths: int64, distinct items of each user.
    """

    items: npt.NDArray[np.int64]
    matrix: sp.csr_array
    lengths: npt.NDArray[np.int64]


def history_lengths(users: Interactions) -> npt.NDArray[np.int64]:
    """Distinct items of each user, int64."""
    return np.diff(users.indptr).astype(np.int64)


def user_batches(users: Interactions, size: int = BATCH_USERS) -> Iterator[UserBatch]:
    """The users in batches of at most `size`, in order."""
    for part in users.batches(size):
        items, positions = np.unique(part.indices, return_inverse=True)
        data = np.ones(len(positions), np.float64)
        yield UserBatch(
            items=items.astype(np.int64),
            matrix=sp.csr_array(
                (data, positions.astype(np.int64), part.indptr), shape=(part.n_users, len(items))
            ),
            lengths=history_lengths(part),
        )


def unit_user_vectors(batch: UserBatch, items: Floats, ridge: Floats) -> Floats:
    """Each user's vector, scaled to length one.

    Args:
        batch: The users.
        items: Public item vectors, float64, shape ``(n_items, d)``.
        ridge: R, symmetric and positive definite, float64, shape ``(d, d)``.

    Returns:
        float64, shape ``(n_users, d)``; zero for an empty history and where the public vectors
        are so large that the result is not finite.
    """
    own = np.ascontiguousarray(items[batch.items])
    with np.errstate(all="ignore"):  # hostile public vectors must not show which user met them
        matrices = _normal_matrices(batch, own, ridge, len(items))
        solved = cholesky_solve(matrices, (batch.matrix @ own).T.copy())
        length = np.sqrt(_sum_of_squares(solved))
        unit = solved / length
    unit[:, ~((length > 0) & np.isfinite(length))] = 0.0
    return np.ascontiguousarray(unit.T)


def plain_user_vectors(batch: UserBatch, items: Floats, ridge: Floats) -> Floats:
    """What `unit_user_vectors` gives, up to rounding; never for a sum that will have noise.

    With V the user's rows and fewer of them than columns,
    (VᵀV + R)⁻¹Vᵀ1 = R⁻¹Vᵀ(V R⁻¹Vᵀ + I)⁻¹1: a system as large as the history.
    """
    own = np.ascontiguousarray(items[batch.items])
    spread = _solved(ridge, own.T).T
    vectors = np.zeros((len(batch.lengths), own.shape[1]))
    bounds = zip(batch.matrix.indptr[:-1], batch.matrix.indptr[1:], strict=True)
    for user, (start, stop) in enumerate(bounds):
        rows = batch.matrix.indices[start:stop]
        seen = own[rows]
        if len(rows) < own.shape[1]:
            near = spread[rows]
            weights = _solved(seen @ near.T + np.eye(len(rows)), np.ones(len(rows)))
            found = weights @ near
        else:
            found = _solved(seen.T @ seen + ridge, seen.sum(axis=0))
        length = np.sqrt(found @ found)
        if 0 < length < np.inf:
            vectors[user] = found / length
    return vectors


def _solved(matrix: Floats, right: Floats) -> Floats:
    """LAPACK's answer, not a number where there is none."""
    try:
        return np.asarray(np.linalg.solve(matrix, right), np.float64)
    except np.linalg.LinAlgError:
        return np.full_like(right, np.nan)


def cholesky_solve(matrices: Floats, right: Floats) -> Floats:
    """Solve many small symmetric positive definite systems by elementwise operations.

    Args:
        matrices: float64, shape ``(d, d, n)``, the batch last; the lower triangles are read and
            overwritten.
        right: float64, shape ``(d, n)``; overwritten.

    Returns:
        float64, shape ``(d, n)``; not a number where a matrix is not positive definite.
    """
    order = len(right)
    for k in range(order):
        pivot = np.sqrt(matrices[k, k])
        matrices[k, k] = pivot
        matrices[k + 1 :, k] /= pivot
        for j in range(k + 1, order):
            matrices[j:, j] -= matrices[j:, k] * matrices[j, k]
    for k in range(order):  # L y = b
        right[k] /= matrices[k, k]
        right[k + 1 :] -= matrices[k + 1 :, k] * right[k]
    for k in reversed(range(order)):  # Lᵀ z = y
        right[k] /= matrices[k, k]
        right[:k] -= matrices[k, :k] * right[k]
    return right


def _normal_matrices(batch: UserBatch, items: Floats, ridge: Floats, n_items: int) -> Floats:
    """Σ_{i∈u} v_i v_iᵀ + R for each user, lower triangles, shape ``(d, d, n_users)``."""
    order = items.shape[1]
    matrices = np.empty((order, order, len(batch.lengths)))
    step = max(2, TABLE_CELLS // n_items)
    for i in range(order):
        for start in range(0, i + 1, step):
            j = slice(
                start, min(start + step, i + 1)
            )  # slices: gathered columns take thrice as long
            products = batch.matrix @ (items[:, i : i + 1] * items[:, j])
            matrices[i, j] = products.T + ridge[i, j][:, None]
    return matrices


def _sum_of_squares(vectors: Floats) -> Floats:
    """Squared length of each column, added row by row (a reduction's order may vary)."""
    total = np.zeros(vectors.shape[1])
    for row in vectors:
        total += row * row
    return total
