"""Inverses against numpy's, and updates against inverting anew."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp

from recommons.common.data.interactions import Interactions
from recommons.common.models.gram import FactorGram, KnownGram
from recommons.common.models.inverse import (
    GramInverse,
    RankUpdate,
    dense_inverse,
    low_rank_inverse,
)
from recommons.common.models.kernel import FeatureKernel
from recommons.common.models.local import local_gram, weighted_rows

M, RANK = 40, 5
RNG = np.random.default_rng(1)
LEFT = RNG.standard_normal((M, RANK))
DIAGONAL = 1 + RNG.random(M)
GRAM = np.diag(DIAGONAL) + LEFT @ LEFT.T


def assert_inverse_of(found: GramInverse, gram: np.ndarray, atol: float) -> None:
    expected = np.linalg.inv(gram)
    rows = sp.csr_array((RNG.random((7, len(gram))) < 0.3).astype(np.float64))
    np.testing.assert_allclose(found.diagonal, np.diag(expected), atol=atol)
    np.testing.assert_allclose(found.product(rows), rows.toarray() @ expected, atol=atol)
    columns = RNG.standard_normal((len(gram), 3))
    np.testing.assert_allclose(found.apply(columns), expected @ columns, atol=10 * atol)


def test_the_dense_inverse() -> None:
    assert_inverse_of(dense_inverse(GRAM.copy()), GRAM, 1e-12)


def test_the_low_rank_inverse() -> None:
    assert_inverse_of(low_rank_inverse(DIAGONAL, LEFT), GRAM, 1e-12)


@pytest.mark.parametrize("weight", [0.01, 1.0, 50.0])
@pytest.mark.parametrize("form", ["dense", "low rank"])
def test_an_update_is_the_inverse_of_the_sum(form: str, weight: float) -> None:
    rows = sp.csr_array(RNG.random((9, M)) * (RNG.random((9, M)) < 0.4))
    base = dense_inverse(GRAM.copy()) if form == "dense" else low_rank_inverse(DIAGONAL, LEFT)
    own = rows.toarray()
    updated = RankUpdate.of(base, rows).weighted(weight)
    assert_inverse_of(updated, GRAM + weight * own.T @ own, 1e-10)


@pytest.mark.parametrize("n_users", [5, 30])
@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_few_users_and_many_users_give_the_same_inverse(
    draw: Callable[..., Interactions], n_users: int, weight: float
) -> None:
    rows = weighted_rows(draw(n_users, seed=3), normalised=True)
    source = KnownGram(matrix=GRAM, ridge=0.5)
    own = rows.toarray().astype(np.float64)
    expected = GRAM + 0.5 * np.eye(M) + weight * own.T @ own
    for dense in (True, False):
        local = local_gram(source, source.inverse(), rows, dense=dense)
        assert_inverse_of(local.inverse(weight), expected, 1e-6)


@pytest.mark.parametrize("factors", [0, 3])
def test_a_gram_estimate_is_what_the_formula_says(factors: int) -> None:
    """Written a second time, densely; exact and low-rank forms agree where the rank is full."""
    rng = np.random.default_rng(4)
    table = sp.csr_array(0.2 * rng.random((M, 12)) * (rng.random((M, 12)) < 0.5))
    counts = rng.normal(4, 3, M)
    left = rng.standard_normal((M, factors)).astype(np.float32)
    spread = np.maximum(counts, 1)
    expected_diagonal = spread * 100 / spread.sum()
    s = expected_diagonal**0.25
    s *= np.sqrt(expected_diagonal).mean() / s.mean()
    kernel = (table @ table.T).toarray()
    np.fill_diagonal(kernel, 0)
    gram = 0.1 * np.outer(s, s) * kernel + left @ left.T
    np.fill_diagonal(gram, 9 + 0.05 * s**2)
    if factors:
        explained = (left.astype(np.float64) ** 2).sum(1)
        floor = np.maximum(expected_diagonal, explained + 0.3 * expected_diagonal)
        gram[np.diag_indices(M)] += floor
    for exact in (True, False):
        estimate = FactorGram(
            counts=counts,
            users=100.0,
            factors=left,
            kernel=FeatureKernel(table=table),
            kernel_weight=0.1,
            ridge=9.0,
            exact=exact,
        )
        np.testing.assert_allclose(estimate.dense(), gram, atol=1e-4)
        assert_inverse_of(estimate.inverse(), gram, 1e-4)
