"""A user's integers: their bound, and their independence of everyone else."""

import math
import threading
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from recommons.common.errors import InvalidInput
from recommons.common.privacy.quantization import (
    MAX_MULTIPLICITY,
    MAX_SENSITIVITY,
    _exceeds,
    quantize,
)

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

ANY_FLOAT = st.one_of(
    st.floats(),
    st.floats(-10, 10),
    st.sampled_from([0.0, -0.0, 5e-324, 1e-300, 1.7976931348623157e308, math.inf, -math.inf]),
)
ANY_COUNT = st.one_of(
    st.integers(-2, 500), st.sampled_from([2**31 - 1, 2**31, 2**62, -(2**63), 2**63 - 1])
)
CLIP = st.one_of(st.floats(1e-3, 1e3), st.floats(1e-300, 1e300))
SENSITIVITY = st.one_of(st.integers(1, 100), st.integers(1, MAX_SENSITIVITY))


@st.composite
def batches(draw: st.DrawFn) -> tuple[Floats, Integers]:
    """Users of any content whatever, with any multiplicities."""
    rows, columns = draw(st.integers(0, 5)), draw(st.integers(0, 6))
    size = rows * columns
    values = draw(st.lists(ANY_FLOAT, min_size=size, max_size=size))
    counts = draw(st.lists(ANY_COUNT, min_size=size, max_size=size))
    shape = (rows, columns)
    return np.array(values).reshape(shape), np.array(counts, np.int64).reshape(shape)


def squared_norms(result: Integers, counts: Integers) -> list[int]:
    """Σ count · integer², in Python's integers, which cannot overflow."""
    return [
        sum(int(c) * int(q) ** 2 for q, c in zip(row, count, strict=True))
        for row, count in zip(result, counts, strict=True)
    ]


def users(seed: int, rows: int, columns: int) -> tuple[Floats, Integers]:
    """Ordinary and extreme users mixed: long and short vectors, and a few that are not finite."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((rows, columns)) * 10.0 ** rng.integers(-4, 3, (rows, 1))
    values[rng.random((rows, columns)) < 0.3] = 0
    values[::17] *= 1e250
    values[5::19, 0] = math.nan
    return values, rng.integers(0, 300, rows)


@given(batch=batches(), clip=CLIP, sensitivity=SENSITIVITY)
def test_no_input_whatever_exceeds_the_bound_or_raises(
    batch: tuple[Floats, Integers], clip: float, sensitivity: int
) -> None:
    values, counts = batch
    result = quantize(values, clip=clip, sensitivity=sensitivity, multiplicity=counts)
    assert result.shape == values.shape
    assert result.dtype == np.int64
    usable = np.where((counts < 0) | (counts >= 2**31), 0, counts)
    assert all(norm <= sensitivity**2 for norm in squared_norms(result, usable))
    bad = ~np.isfinite(values) | (counts < 0) | (counts >= 2**31)
    assert not result[bad.any(axis=1)].any()


@given(
    row=st.lists(st.floats(-1, 1), min_size=1, max_size=8),
    clip=st.floats(1e-2, 1e2),
    sensitivity=st.integers(1, 2**24),
)
@example(row=[1.0], clip=1.0, sensitivity=2**24)
def test_a_row_within_the_clip_loses_less_than_one_grid_unit_and_never_grows(
    row: list[float], clip: float, sensitivity: int
) -> None:
    inside = np.array([row]) * (clip / (2 * max(1.0, math.sqrt(len(row)))))
    result = quantize(inside, clip=clip, sensitivity=sensitivity)[0]
    for value, integer in zip(inside[0], result, strict=True):
        exact = abs(Fraction(float(value)) * sensitivity / Fraction(clip))
        slack = exact / 2**50
        assert abs(int(integer)) <= exact + slack
        assert abs(int(integer)) > exact - 1 - slack
        assert integer == 0 or (integer > 0) == (value > 0)


def test_a_long_row_keeps_its_direction_and_nearly_the_whole_norm() -> None:
    values, counts = users(1, 200, 6)
    values, counts = np.nan_to_num(values * 1e9, nan=1.0), np.maximum(counts, 1)
    result = quantize(values, clip=2.0, sensitivity=10**6, multiplicity=counts)
    norms = np.sqrt((counts[:, None] * result.astype(float) ** 2).sum(1))
    lost = np.sqrt(6 * counts) + 1
    zero = ~values.any(axis=1)
    assert ((norms >= 10**6 - lost) | zero).all()
    with np.errstate(over="ignore"):
        assert (np.sign(result) * np.sign(values) >= 0).all()


@pytest.mark.parametrize("bound", [MAX_SENSITIVITY, 2**30 + 1, 94_906_267])
def test_a_row_that_rounds_up_to_more_than_the_bound_is_scaled_down_again(bound: int) -> None:
    """(S, 1) has squared norm S² + 1, and floats cannot tell its norm from S."""
    result = quantize(np.array([[float(bound), 1.0]]), clip=float(bound), sensitivity=bound)
    (norm,) = squared_norms(result, np.ones((1, 2), np.int64))
    assert norm <= bound**2
    assert norm >= (bound - 4) ** 2


def test_the_largest_bound_with_the_largest_multiplicity_does_not_overflow() -> None:
    counts = np.full((4, 8), 2**31 - 1)
    values = np.array([[1.0] * 8, [1e308] * 8, [1.0] + [0.0] * 7, [1e-5] * 8])
    result = quantize(values, clip=1.0, sensitivity=MAX_SENSITIVITY, multiplicity=counts)
    assert all(norm <= MAX_SENSITIVITY**2 for norm in squared_norms(result, counts))
    assert result[0].all()


@given(
    terms=st.lists(
        st.tuples(st.integers(-MAX_SENSITIVITY, MAX_SENSITIVITY), st.integers(0, MAX_MULTIPLICITY)),
        min_size=1,
        max_size=6,
    ),
    bound=SENSITIVITY,
)
@example(terms=[(MAX_SENSITIVITY, 1), (1, 0)], bound=MAX_SENSITIVITY)
@example(terms=[(MAX_SENSITIVITY, 1), (1, 1)], bound=MAX_SENSITIVITY)
@example(terms=[(2**16, 2**31 - 1), (2**31 - 1, 3)], bound=MAX_SENSITIVITY)
@example(terms=[(MAX_SENSITIVITY, MAX_MULTIPLICITY)] * 6, bound=1)
@example(terms=[(2**16, 2**31 - 1), (2**16, 2**31 - 1), (2**16, 2)], bound=1)  # 2^64
@example(terms=[(2**16, 2**31 - 1), (2**16, 1)], bound=MAX_SENSITIVITY)  # 2^63
def test_the_integer_check_is_right_where_64_bits_would_overflow(
    terms: list[tuple[int, int]], bound: int
) -> None:
    integers, counts = np.array(terms).T[:, :, None]
    exact = sum(count * integer**2 for integer, count in terms) > bound**2
    assert _exceeds(integers, counts, bound).tolist() == [exact]


def test_the_integer_check_of_a_user_is_the_same_beside_users_that_would_overflow() -> None:
    rng = np.random.default_rng(8)
    bound = 94_906_267  # its square is odd and above 2^53
    integers = rng.integers(-bound, bound, (3, 200)) // 2
    integers[:, ::2] = [[bound], [0], [0]]
    integers[1, ::4] = 1  # one above the bound
    counts = np.ones((3, 200), np.int64)
    exact = [norm > bound**2 for norm in squared_norms(integers.T, counts.T)]
    assert {True, False} == set(exact)
    assert _exceeds(integers, counts, bound).tolist() == exact
    huge = np.full((3, 1), MAX_SENSITIVITY), np.full((3, 1), MAX_MULTIPLICITY)
    beside = _exceeds(np.hstack([integers, huge[0]]), np.hstack([counts, huge[1]]), bound)
    assert beside.tolist() == [*exact, True]


def test_permuting_splitting_and_padding_the_batch_change_no_users_integers() -> None:
    values, counts = users(2, 500, 7)
    whole = quantize(values, clip=1.0, sensitivity=20_000, multiplicity=counts)
    order = np.random.default_rng(3).permutation(500)

    def again(rows: npt.NDArray[np.integer]) -> Integers:
        return quantize(values[rows], clip=1.0, sensitivity=20_000, multiplicity=counts[rows])

    assert (again(order) == whole[order]).all()
    for size in (1, 2, 3, 7, 64, 499):
        parts = [again(np.arange(500)[i : i + size]) for i in range(0, 500, size)]
        assert (np.concatenate(parts) == whole).all()
    padded = np.concatenate([order, order[:33], order])
    assert (again(padded)[:500] == whole[order]).all()


def test_memory_layout_threads_and_float_settings_change_no_integers() -> None:
    values, counts = users(4, 300, 9)
    values[3] = 1e-310  # subnormal
    values[4] = [1e-290] + [1e-309] * 8
    arguments = {"clip": 1.0, "sensitivity": 12_345, "multiplicity": counts}
    plain = quantize(values, **arguments)  # type: ignore[arg-type]
    strided = np.zeros((600, 18))[::2, ::2]
    strided[:] = values
    results = {
        "fortran": quantize(np.asfortranarray(values), **arguments),  # type: ignore[arg-type]
        "strided": quantize(strided, **arguments),  # type: ignore[arg-type]
    }
    with np.errstate(all="raise"):
        results["errstate"] = quantize(values, **arguments)  # type: ignore[arg-type]

    def flushed() -> None:
        torch.set_flush_denormal(True)
        results["flushed"] = quantize(values, **arguments)  # type: ignore[arg-type]

    thread = threading.Thread(target=flushed)  # the setting is the thread's own
    thread.start()
    thread.join()
    assert len(results) == 4
    for name, result in results.items():
        assert (result == plain).all(), name


def test_a_large_batch_is_the_same_as_its_rows_one_by_one() -> None:
    values, counts = users(5, 90_000, 7)  # more than one internal chunk
    whole = quantize(values, clip=0.5, sensitivity=999, multiplicity=counts)
    rows = np.r_[0:50, 74_850:74_950, 89_990:90_000]
    for row in rows:
        single = quantize(
            values[row : row + 1], clip=0.5, sensitivity=999, multiplicity=counts[row : row + 1]
        )
        assert (single == whole[row]).all()


def test_one_multiplicity_a_row_stands_for_every_coordinate() -> None:
    values, counts = users(6, 50, 4)
    spread = np.repeat(counts[:, None], 4, axis=1)
    by_row = quantize(values, clip=1.0, sensitivity=500, multiplicity=counts)
    assert (by_row == quantize(values, clip=1.0, sensitivity=500, multiplicity=spread)).all()
    ones = quantize(values, clip=1.0, sensitivity=500, multiplicity=1)
    assert (ones == quantize(values, clip=1.0, sensitivity=500)).all()
    assert (ones != by_row).any()


def test_a_coordinate_that_stands_nowhere_becomes_zero_and_scales_nothing() -> None:
    values = np.array([[1e200, 0.25]])
    result = quantize(values, clip=1.0, sensitivity=1000, multiplicity=np.array([[0, 1]]))
    assert result.tolist() == [[0, 250]]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"clip": 0.0}, "clip"),
        ({"clip": math.inf}, "clip"),
        ({"clip": math.nan}, "clip"),
        ({"sensitivity": 0}, "sensitivity"),
        ({"sensitivity": 2**31}, "sensitivity"),
        ({"multiplicity": np.ones((2, 3), np.int64)}, "multiplicity"),
        ({"multiplicity": np.ones(2)}, "multiplicity"),
        ({"values": np.zeros(2)}, "values"),
        ({"values": np.zeros((2, 2), np.float32)}, "values"),
    ],
)
def test_a_callers_mistake_is_named(change: dict[str, object], named: str) -> None:
    arguments = {"values": np.zeros((2, 2)), "clip": 1.0, "sensitivity": 5} | change
    with pytest.raises(InvalidInput, match=named):
        quantize(**arguments)  # type: ignore[arg-type]
