"""Z/2^k against plain Python integers."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.errors import InvalidInput
from recommons.common.secagg.ring import Ring, VectorShape

WIDTHS = range(8, 65, 8)
int64 = st.integers(-(2**63), 2**63 - 1)


def centred(value: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return (value + half) % (2 * half) - half


@given(st.sampled_from(WIDTHS), st.lists(int64, max_size=20), st.lists(int64, max_size=20))
def test_sums_in_the_ring_are_plain_sums_modulo_its_size(
    bits: int, first: list[int], second: list[int]
) -> None:
    ring = Ring(bits)
    n = min(len(first), len(second))
    a, b = (ring.wrap(np.array(v[:n], np.int64)) for v in (first, second))
    total = a + ring.decode(ring.encode(b))
    assert ring.centre(total).tolist() == [centred(first[i] + second[i], bits) for i in range(n)]
    assert ring.reduce(total).tolist() == [(first[i] + second[i]) % 2**bits for i in range(n)]


@given(st.sampled_from(WIDTHS), st.lists(int64, max_size=20))
def test_the_wire_holds_each_coordinate_little_endian(bits: int, values: list[int]) -> None:
    ring = Ring(bits)
    words = ring.wrap(np.array(values, np.int64))
    wire = b"".join((v % 2**bits).to_bytes(bits // 8, "little") for v in values)
    assert ring.encode(words) == wire
    assert ring.decode(wire).tolist() == [v % 2**bits for v in values]
    assert ring.decode(memoryview(wire)).dtype == ring.dtype


def test_wrapping_copies_and_leaves_the_input_alone() -> None:
    values = np.array([1, -1], np.int64)
    words = Ring(64).wrap(values)
    words += np.uint64(1)
    assert values.tolist() == [1, -1]
    again = Ring(64).wrap(words)
    again += np.uint64(1)
    assert words.tolist() == [2, 0]


@pytest.mark.parametrize("bits", [0, 7, 12, 72, -8])
def test_a_width_that_is_not_whole_bytes_up_to_64_is_refused(bits: int) -> None:
    with pytest.raises(InvalidInput):
        Ring(bits)


@pytest.mark.parametrize("size", [0, -1, 2**31 + 1])
def test_an_impossible_size_is_refused(size: int) -> None:
    with pytest.raises(InvalidInput):
        VectorShape(size=size, bits=32)


def test_half_a_coordinate_is_refused() -> None:
    with pytest.raises(InvalidInput):
        Ring(32).decode(bytes(6))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "u4", "u1", "?", "O", ">i8"])
def test_only_int64_and_the_rings_own_words_are_wrapped(dtype: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        Ring(64).wrap(np.zeros(2, dtype))
    assert caught.value.code == "secagg/vector"


def test_the_wire_bytes_of_a_shape_are_its_encodings_length() -> None:
    for bits in WIDTHS:
        shape = VectorShape(size=7, bits=bits)
        assert len(shape.ring.encode(shape.ring.zeros(7))) == shape.wire_bytes == 7 * bits // 8
