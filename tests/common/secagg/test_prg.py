"""Masks against AES in a second mode: counter blocks enciphered one by one in ECB."""

from collections.abc import Iterator

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from recommons.common.errors import InvalidInput
from recommons.common.secagg.prg import Mask, add_masks, keystream, worthwhile_threads

KEY = bytes(range(32))


def second_keystream(key: bytes, length: int) -> bytes:
    blocks = -(-length // 16)
    counters = b"".join(i.to_bytes(16, "big") for i in range(blocks))
    encryptor = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()  # noqa: S305 - the reference
    return encryptor.update(counters)[:length]


def test_the_stream_is_nist_sp_800_38a_from_counter_zero() -> None:
    # AES-256 of the zero block under the key 000102…1f, derived here by the block cipher itself.
    assert keystream(KEY, 100) == second_keystream(KEY, 100)
    assert keystream(KEY, 0) == b""


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize("size", [0, 1, 3, 4, 1000, 8192, 16384, 16385, 40003, 100_001])
@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_masks_are_the_streams_words_with_their_signs(width: int, size: int, threads: int) -> None:
    dtype = np.dtype(f"<u{width}")
    masks = [(bytes([i]) * 32, sign) for i, sign in enumerate((1, -1, 1))]
    words = np.arange(size, dtype=dtype)
    add_masks(words, masks, threads=threads)
    expected = np.arange(size, dtype=dtype)
    for key, sign in masks:
        mask = np.frombuffer(second_keystream(key, size * width), dtype)
        expected = expected + mask if sign > 0 else expected - mask
    assert words.tolist() == expected.tolist()


@pytest.mark.parametrize("threads", [1, 2])
def test_more_keys_than_are_expanded_at_once(threads: int) -> None:
    keys = [i.to_bytes(32, "big") for i in range(1100)]
    words = np.zeros(50, np.uint32)
    add_masks(words, ((key, 1) for key in keys), threads=threads)
    expected = [0] * 50
    for key in keys:
        for i, word in enumerate(np.frombuffer(second_keystream(key, 200), "<u4").tolist()):
            expected[i] += word
    assert words.tolist() == [value % 2**32 for value in expected]


def test_opposite_signs_cancel() -> None:
    words = np.arange(100000, dtype=np.uint64)
    add_masks(words, [(KEY, 1), (KEY, -1)])
    assert words.tolist() == list(range(100000))


@pytest.mark.parametrize("threads", [1, 2])
def test_masks_that_cannot_be_had_fail_all(threads: int) -> None:
    def masks() -> Iterator[Mask]:
        yield KEY, 1
        raise InvalidInput("input/argument", "no more keys")

    with pytest.raises(InvalidInput, match="no more keys"):
        add_masks(np.zeros(64, np.uint32), masks(), threads=threads)


@pytest.mark.parametrize(
    ("size", "masks", "most", "expected"),
    [
        (10**6, 1000, 4, 3),  # slices of a mebibyte
        (10**7, 1000, 4, 4),
        (10**6, 1000, 1, 1),
        (10**3, 3, 4, 1),  # too little work
        (10**6, 6, 4, 2),  # 24 MB of stream
        (10**5, 90_000, 4, 1),  # slices too short
        (0, 5, 4, 1),
    ],
)
def test_threads_are_worth_their_start(size: int, masks: int, most: int, expected: int) -> None:
    words = np.broadcast_to(np.uint32(0), (size,))  # of that size, without its memory
    assert worthwhile_threads(words, masks, most) == expected
