"""Packed symmetric matrices."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.models.triangles import packed_size, scales, triangle, unpack


@given(st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_packing_keeps_the_norm_and_unpacking_undoes_it(order: int, seed: int) -> None:
    root = np.random.default_rng(seed).standard_normal((order, order))
    matrix = root + root.T
    rows, columns = triangle(order)
    packed = matrix[rows, columns] * scales(order)
    assert len(packed) == packed_size(order)
    np.testing.assert_allclose(np.linalg.norm(packed), np.linalg.norm(matrix))
    np.testing.assert_allclose(unpack(packed, order), matrix)


def test_two_by_two_by_hand() -> None:
    np.testing.assert_allclose(unpack(np.array([1.0, np.sqrt(2) * 5, 3.0]), 2), [[1, 5], [5, 3]])
