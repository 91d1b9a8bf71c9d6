"""The integers of a summed block: sensitivity, and what rounding takes from the clip."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.errors import InvalidInput, PrivacyError
from recommons.common.models.neural.integers import (
    SumError,
    effective_clip,
    relative_error,
    truncate,
)
from recommons.common.privacy.mechanism import BlockMechanism


def block(size: int, sensitivity: int, clip: float = 0.5) -> BlockMechanism:
    return BlockMechanism(
        name="update",
        size=size,
        clip=clip,
        sensitivity=sensitivity,
        clamp=2**40,
        noise_stddev=4096.0,
    )


ERROR = SumError(users=1000, gradient=1e-9, norm=1e-9)


@given(
    size=st.integers(1, 300),
    sensitivity=st.integers(200, 2**22),
    seed=st.integers(0, 2**32 - 1),
    adversarial=st.booleans(),
)
def test_one_user_more_moves_the_integers_by_at_most_the_sensitivity(
    size: int, sensitivity: int, seed: int, adversarial: bool
) -> None:
    """The others' sum may be anything, and may move by what rounding can do to it."""
    chosen = block(size, sensitivity)
    clip, xi = effective_clip(chosen, ERROR), ERROR.bound(chosen.clip)
    draws = np.random.default_rng(seed)
    others = draws.normal(size=size) * 10
    own = draws.normal(size=size)
    if adversarial:  # every coordinate just below a multiple of γ, and a push over the edge
        others = (np.round(others / chosen.grid) - 1e-9) * chosen.grid
        own = np.abs(own)
    own *= clip / np.linalg.norm(own)
    moved = draws.normal(size=size)
    moved *= 2 * xi / np.linalg.norm(moved)
    difference = truncate(others + own + moved, chosen) - truncate(others, chosen)
    assert sum(int(value) ** 2 for value in difference) <= sensitivity**2


def test_without_the_root_of_the_size_the_bound_would_be_broken() -> None:
    """Many coordinates just below the grid, each pushed over by next to nothing."""
    chosen = block(90_000, 2000)
    clip = effective_clip(chosen, ERROR)
    own = np.zeros(chosen.size)
    own[0] = math.sqrt(1 - 0.01**2) * clip
    own[1:] = 0.01 * clip / math.sqrt(chosen.size - 1)
    others = np.full(chosen.size, (7 - 1e-9) * chosen.grid)
    difference = truncate(others + own, chosen) - truncate(others, chosen)
    norm = np.linalg.norm(difference.astype(float))
    plain = clip / chosen.grid
    assert plain * 1.01 < norm <= chosen.sensitivity


def test_the_clip_is_a_little_below_the_blocks() -> None:
    for size, sensitivity in ((1, 1000), (480_000, 30_000), (10_000_000, 2**20)):
        chosen = block(size, sensitivity)
        clip = effective_clip(chosen, ERROR)
        roots = math.isqrt(size - 1) + 1
        taken = 1 - clip / chosen.clip
        assert roots / sensitivity < taken < roots / sensitivity + 1e-4


def test_a_grid_too_coarse_for_the_size_is_refused() -> None:
    with pytest.raises(PrivacyError) as caught:
        effective_clip(block(1_000_000, 4000), ERROR)
    assert caught.value.code == "model/coarse-grid"
    with pytest.raises(PrivacyError, match="fifth"):
        effective_clip(block(100, 10**6), SumError(users=10**6, gradient=1e-7, norm=0.0))


def test_truncation_is_toward_zero_and_within_the_clamp() -> None:
    chosen = BlockMechanism(
        name="update", size=6, clip=1.0, sensitivity=10, clamp=50, noise_stddev=0.0
    )
    values = np.array([0.19, -0.19, 0.2, 99.0, -np.inf, np.nan])
    assert truncate(values, chosen).tolist() == [1, -1, 2, 50, -50, 0]
    for wrong in (values.astype(np.float32), values[:5], values[None]):
        with pytest.raises(InvalidInput, match="values"):
            truncate(wrong, chosen)  # type: ignore[arg-type]


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=20),
    st.sampled_from([2.0**-20, 0.5, 1.0, 3.0]),
    st.sampled_from([1, 1000, 2**53 + 1, 2**63 - 1]),
)
def test_coordinates_are_clamped_multiples_toward_zero(
    values: list[float], grid: float, clamp: int
) -> None:
    chosen = BlockMechanism(
        name="update", size=len(values), clip=grid, sensitivity=1, clamp=clamp, noise_stddev=0.0
    )
    most = next(bound for bound in (clamp, clamp - 1, clamp - 1023) if float(bound) == bound)
    expected = [
        0 if math.isnan(v) else int(max(-most, min(most, v / grid)))  # int is toward zero
        for v in values
    ]
    assert truncate(np.array(values), chosen).tolist() == expected


def test_integers_go_where_they_are_wanted_beyond_one_chunk_too() -> None:
    values = np.arange(-40_000, 40_000, dtype=np.float64) * 0.3
    values[33_333] = math.nan
    expected = np.trunc(values / 0.7)
    expected[33_333] = 0
    chosen = block(80_000, 1000, clip=700.0)
    narrow = replace(chosen, clamp=10**6)
    out = np.empty(80_000, np.int32)
    assert truncate(values, narrow, out) is out
    assert np.array_equal(out, expected)
    assert np.array_equal(truncate(values, chosen), expected)
    with pytest.raises(InvalidInput, match="out"):
        truncate(values, chosen, out)  # its clamp is beyond int32
    with pytest.raises(InvalidInput, match="out"):
        truncate(values, narrow, out[:-1])


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60), st.integers(0, 1000))
def test_the_order_of_a_sum_matters_by_no_more_than_the_relative_error(
    numbers: list[float], seed: int
) -> None:
    exact = math.fsum(numbers)
    found = 0.0
    for place in np.random.default_rng(seed).permutation(len(numbers)):
        found += numbers[place]
    allowed = relative_error(len(numbers)) * sum(abs(number) for number in numbers)
    assert abs(found - exact) <= allowed


def test_bounds_that_bound_nothing_are_refused() -> None:
    with pytest.raises(InvalidInput):
        relative_error(2**53)
    for wrong in ({"users": 0}, {"gradient": -1.0}, {"norm": math.inf}, {"norm": math.nan}):
        with pytest.raises(InvalidInput):
            SumError(**({"users": 1, "gradient": 0.0, "norm": 0.0} | wrong))
