"""A user's vector: right, and the same bits whatever the company."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.data.interactions import Interactions
from recommons.common.models import user_step
from recommons.common.models.user_step import (
    cholesky_solve,
    plain_user_vectors,
    unit_user_vectors,
    user_batches,
)

N_ITEMS, DIM = 40, 6
RNG = np.random.default_rng(0)
ITEMS = RNG.standard_normal((N_ITEMS, DIM))
RIDGE = 0.2 * ITEMS.T @ ITEMS + np.eye(DIM)


def vectors(users: Interactions, size: int = 512) -> np.ndarray:
    parts = [unit_user_vectors(batch, ITEMS, RIDGE) for batch in user_batches(users, size)]
    return np.concatenate(parts) if parts else np.zeros((0, DIM))


@given(st.integers(1, 7), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_the_elementwise_solver_agrees_with_numpy(order: int, number: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    roots = rng.standard_normal((number, order, order))
    systems = roots @ roots.transpose(0, 2, 1) + np.eye(order)
    right = rng.standard_normal((number, order))
    expected = np.linalg.solve(systems, right[:, :, None])[:, :, 0]
    found = cholesky_solve(systems.transpose(1, 2, 0).copy(), right.T.copy())
    np.testing.assert_allclose(found.T, expected, rtol=1e-8, atol=1e-10)


def test_a_users_vector_is_the_ridge_regression_scaled_to_length_one(users: Interactions) -> None:
    found = vectors(users)
    history = users.matrix(np.float64).toarray()
    for row, vector in zip(history, found, strict=True):
        liked = ITEMS[row > 0]
        expected = np.linalg.solve(liked.T @ liked + RIDGE, liked.sum(0))
        length = np.linalg.norm(expected)
        np.testing.assert_allclose(vector, expected / length if length else 0.0, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 7, 33, 4096])
def test_a_users_vector_does_not_depend_on_the_size_of_the_batch(
    users: Interactions, size: int
) -> None:
    np.testing.assert_array_equal(vectors(users, size), vectors(users))


@given(st.permutations(range(30)), st.integers(1, 30))
def test_a_users_vector_does_not_depend_on_order_or_company(order: list[int], kept: int) -> None:
    rng = np.random.default_rng(5)
    rows, columns = np.nonzero(rng.random((30, N_ITEMS)) < 0.3)
    users = Interactions.from_pairs(rows, columns, n_users=30, n_items=N_ITEMS)
    among_all = vectors(users)
    some = np.array(order[:kept])
    np.testing.assert_array_equal(vectors(users.take(some), 7), among_all[some])


def test_a_table_cut_into_columns_gives_the_same_bits(
    users: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = vectors(users)
    monkeypatch.setattr(user_step, "TABLE_CELLS", 1)
    np.testing.assert_array_equal(vectors(users), whole)


def test_nobody_and_nothing_give_zeros(draw: Callable[..., Interactions]) -> None:
    nobody = draw(0, seed=1)
    assert vectors(nobody).shape == (0, DIM)
    empty = np.flatnonzero(np.diff(draw(60, seed=1).indptr) == 0)
    assert len(empty)
    np.testing.assert_array_equal(vectors(draw(60, seed=1))[empty], 0.0)


@pytest.mark.parametrize("size", [1e200, np.inf, np.nan])
def test_hostile_item_vectors_give_zeros_and_no_error(users: Interactions, size: float) -> None:
    batch = next(user_batches(users))
    found = unit_user_vectors(batch, ITEMS * size, RIDGE)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, 0.0)


def test_without_noise_vectors_are_the_same_up_to_rounding(users: Interactions) -> None:
    """Histories shorter and longer than the rank, and empty ones."""
    lengths = np.diff(users.indptr)
    assert (lengths == 0).any()
    assert (lengths >= DIM).any()
    assert ((lengths > 0) & (lengths < DIM)).any()
    found = [plain_user_vectors(batch, ITEMS, RIDGE) for batch in user_batches(users, 33)]
    np.testing.assert_allclose(np.concatenate(found), vectors(users), rtol=1e-9, atol=1e-12)


def test_without_noise_vectors_that_cannot_be_solved_for_are_zero(users: Interactions) -> None:
    (batch,) = user_batches(users)
    found = plain_user_vectors(batch, np.zeros((N_ITEMS, DIM)), np.zeros((DIM, DIM)))
    np.testing.assert_array_equal(found, 0.0)
