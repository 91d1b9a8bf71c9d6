"""One long vector to integers: the laws of `quantize`, and the same integers on short ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.errors import InvalidInput
from recommons.common.privacy.long_vectors import quantize_alone
from recommons.common.privacy.quantization import MAX_SENSITIVITY, quantize

VALUES = st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64), min_size=1, max_size=40)


def squares(integers: np.ndarray) -> int:
    return sum(int(value) ** 2 for value in integers)


@given(VALUES, st.floats(1e-6, 1e6), st.integers(1, MAX_SENSITIVITY))
def test_the_norm_never_exceeds_the_sensitivity(
    values: list[float], clip: float, sensitivity: int
) -> None:
    found = quantize_alone(np.array(values), clip=clip, sensitivity=sensitivity)
    assert squares(found) <= sensitivity**2


@given(VALUES, st.integers(1, 2**20))
def test_it_is_quantize_of_one_row_but_for_the_last_unit(
    values: list[float], sensitivity: int
) -> None:
    row = np.array(values)
    expected = quantize(row[None], clip=1.0, sensitivity=sensitivity)[0]
    found = quantize_alone(row, clip=1.0, sensitivity=sensitivity)
    assert np.abs(found - expected).max() <= 1
    assert (found == 0).all() == (expected == 0).all() or np.abs(expected).max() <= 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_becomes_zeros(bad: float) -> None:
    values = np.ones(5)
    values[3] = bad
    assert not quantize_alone(values, clip=1.0, sensitivity=100).any()


def test_a_long_vector_is_cut_to_the_clip_and_keeps_its_direction() -> None:
    values = np.random.default_rng(0).standard_normal(100_000)
    found = quantize_alone(values, clip=1.0, sensitivity=2**24)
    assert 0.98 * 2**24 < np.linalg.norm(found.astype(float)) <= 2**24
    assert found @ values / np.linalg.norm(found) / np.linalg.norm(values) > 0.999


def test_the_largest_sensitivity_does_not_overflow() -> None:
    found = quantize_alone(np.full(9, 1e200), clip=1.0, sensitivity=MAX_SENSITIVITY)
    assert 0.999 * MAX_SENSITIVITY**2 < squares(found) <= MAX_SENSITIVITY**2


def test_a_vector_of_two_dimensions_or_a_bad_clip_is_refused() -> None:
    for wrong in (
        {"values": np.ones((2, 2))},
        {"values": np.ones(3, np.float32)},
        {"clip": 0.0},
        {"clip": float("nan")},
        {"sensitivity": 0},
        {"sensitivity": MAX_SENSITIVITY + 1},
    ):
        arguments = {"values": np.ones(3), "clip": 1.0, "sensitivity": 5} | wrong
        with pytest.raises(InvalidInput):
            quantize_alone(**arguments)  # type: ignore[arg-type]
