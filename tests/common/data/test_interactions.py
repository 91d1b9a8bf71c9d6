"""Interactions: the canonical sparse form."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput

Case = tuple[int, int, list[tuple[int, int]]]
SHAPES = st.tuples(st.integers(1, 8), st.integers(1, 9))


@st.composite
def pairs(draw: st.DrawFn) -> Case:
    users, items = draw(SHAPES)
    pair = st.tuples(st.integers(0, users - 1), st.integers(0, items - 1))
    return users, items, draw(st.lists(pair, max_size=30))


def build(users: int, items: int, given_pairs: list[tuple[int, int]]) -> Interactions:
    array = np.array(given_pairs, np.int64).reshape(-1, 2)
    return Interactions.from_pairs(array[:, 0], array[:, 1], n_users=users, n_items=items)


def rows_of(interactions: Interactions) -> list[list[int]]:
    bounds = interactions.indptr
    return [interactions.indices[a:b].tolist() for a, b in pairwise(bounds)]


@given(pairs())
def test_pairs_come_back_distinct_and_in_order(
    case: Case,
) -> None:
    users, _, given_pairs = case
    expected = [sorted({i for u, i in given_pairs if u == row}) for row in range(users)]
    assert rows_of(build(*case)) == expected


@given(pairs())
def test_the_matrix_holds_exactly_the_pairs(case: Case) -> None:
    users, items, given_pairs = case
    dense = np.zeros((users, items))
    for user, item in given_pairs:
        dense[user, item] = 1
    assert np.array_equal(build(*case).matrix().toarray(), dense)


@given(pairs(), st.data())
def test_taking_rows_keeps_each_row_whatever_the_order(case: Case, data: st.DataObject) -> None:
    interactions = build(*case)
    chosen = data.draw(st.lists(st.integers(0, case[0] - 1), max_size=12))
    taken = interactions.take(np.array(chosen, np.int64))
    whole = rows_of(interactions)
    assert rows_of(taken) == [whole[k] for k in chosen]
    assert taken.n_items == interactions.n_items


@given(pairs(), st.integers(1, 5))
def test_batches_put_together_are_the_whole(case: Case, size: int) -> None:
    interactions = build(*case)
    parts = list(interactions.batches(size))
    assert [row for part in parts for row in rows_of(part)] == rows_of(interactions)
    assert all(part.n_users <= size for part in parts)


@pytest.mark.parametrize(("user", "item"), [(2, 0), (-1, 0), (0, 3), (0, -1)])
def test_an_index_outside_the_sizes_is_refused(user: int, item: int) -> None:
    with pytest.raises(InvalidInput):
        Interactions.from_pairs(np.array([user]), np.array([item]), n_users=2, n_items=3)


def test_no_user_data_is_in_the_text_form() -> None:
    text = repr(build(1, 1000, [(0, 731)]))
    assert "731" not in text
