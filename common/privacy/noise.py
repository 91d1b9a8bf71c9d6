"""A site's share of noise: discrete Gaussian integers from explicit random bits.

Draws come by inversion of a table with 128-bit thresholds (`noise_table`): the upper 64 bits decide
unless they equal those of a threshold, and only then are the lower 64 bits drawn. Random bits are
AES-256 in counter mode under a 32-byte key, or whatever callable is given; never NumPy's
generators. A key serves one attempt of one round and is dropped after use.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from recommons.common.errors import InvalidInput
from recommons.common.privacy.mechanism import BlockMechanism, RoundSpec
from recommons.common.privacy.noise_table import (
    NoiseTable,
    noise_reach,
    noise_table,
    table_error,
)

__all__ = [
    "Entropy",
    "clamp_and_add_noise",
    "fits_ring",
    "keystream",
    "noise_reach",
    "sample",
    "table_error",
]

Entropy = bytes | Callable[[int], bytes]
"""A 32-byte key, or a callable that returns as many uniform random bytes as it is asked for."""

_CHUNK_DRAWS = 1 << 16
_KEY_BYTES = 32
_WORD_BYTES = 8

Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


def keystream(key: bytes) -> Callable[[int], bytes]:
    """AES-256-CTR from counter 0 under a key that is used for nothing else.

    Returns:
        A callable: the next so many bytes of the stream.

    Raises:
        InvalidInput: The key is not 32 bytes (its value is never in the message).
    """
    if len(key) != _KEY_BYTES:
        raise InvalidInput(
            "input/argument", f"the entropy key has {len(key)} bytes; required: {_KEY_BYTES}"
        )
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    return lambda count: encryptor.update(bytes(count))


def sample(size: int, stddev: float, entropy: Entropy) -> Integers:
    """Draw from the discrete Gaussian N_Z(0, s²).

    Each draw is within `table_error(stddev)` of the exact law in total variation, draws are
    independent given ideal random bits, and none exceeds `noise_reach(stddev)`.

    Args:
        size: How many.
        stddev: s, 0.5 to 65536; 0 gives zeros and uses no random bits.
        entropy: A fresh 32-byte key, or a source of bytes that continues.

    Returns:
        int64, shape ``(size,)``.

    Raises:
        InvalidInput: s or the key is not admissible, or the source returned too few bytes.
    """
    result = np.zeros(size, np.int64)
    _add_noise(result, stddev, _reader(entropy))
    return result


def clamp_and_add_noise(
    sums: Mapping[str, Integers], spec: RoundSpec, entropy: Entropy
) -> Integers:
    """One site's vector of a round: each coordinate clamped to ±B, plus the site's noise.

    Clamping a coordinate never increases the distance between the sums of two neighbouring sets of
    users, so a user's part keeps its bound.

    Args:
        sums: By block name, int64, shape ``(block.size,)``: the exact sums over the site's users.
        spec: The round.
        entropy: A key fresh for this attempt (noise is never drawn twice from one key).

    Returns:
        int64, shape ``(spec.size,)``, blocks in the order of `spec`; take it modulo 2^k next.

    Raises:
        InvalidInput: Names, shapes or dtypes of `sums` are not those of `spec`.
    """
    if set(sums) != {block.name for block in spec.blocks}:
        raise InvalidInput(
            "input/argument",
            f"sums has blocks {sorted(sums)}; "
            f"required: {sorted(block.name for block in spec.blocks)}",
        )
    read = _reader(entropy)
    result = np.empty(spec.size, np.int64)
    for block, place in spec.slices():
        _check_sum(sums[block.name], block)
        np.clip(sums[block.name], -block.clamp, block.clamp, out=result[place])
        _add_noise(result[place], block.noise_stddev, read)
    return result


def fits_ring(spec: RoundSpec, sites: int) -> bool:
    """The wrap rule: 2^k > 2·N·(B + K) in every block.

    K is the largest share of noise that can be drawn at all, so a sum that obeys the rule never
    wraps round: the tail has probability zero, not merely a small one.
    """
    return all(
        2**spec.ring_bits > 2 * sites * (block.clamp + noise_reach(block.noise_stddev))
        for block in spec.blocks
    )


def _check_sum(values: Integers, block: BlockMechanism) -> None:
    if values.shape != (block.size,) or values.dtype != np.int64:
        raise InvalidInput(
            "input/argument",
            f"sums[{block.name!r}] has shape {values.shape} and dtype {values.dtype}; "
            f"required: ({block.size},) of int64",
        )


def _reader(entropy: Entropy) -> Callable[[int], Words]:
    """Reads words of 64 bits, the same on every machine."""
    source = entropy if callable(entropy) else keystream(entropy)

    def read(count: int) -> Words:
        data = source(count * _WORD_BYTES)
        if len(data) != count * _WORD_BYTES:
            raise InvalidInput(
                "input/argument",
                f"entropy returned {len(data)} bytes; required: {count * _WORD_BYTES}",
            )
        return np.frombuffer(data, np.dtype("<u8")).astype(np.uint64, copy=False)

    return read


def _add_noise(values: Integers, stddev: float, read: Callable[[int], Words]) -> None:
    """Add a draw to each value, in place and a chunk at a time."""
    if not stddev:
        return
    table = noise_table(stddev)
    for start in range(0, len(values), _CHUNK_DRAWS):
        chunk = values[start : start + _CHUNK_DRAWS]
        chunk += _invert(table, read(len(chunk)), read)


def _invert(table: NoiseTable, words: Words, read: Callable[[int], Words]) -> Integers:
    """The draws whose upper 64 bits are `words`: how many thresholds are not above each."""
    bucket = (words >> np.uint64(table.shift)).view(np.int64)
    rank = table.guide.take(bucket).astype(np.int64)
    following = table.high.take(rank)
    tied = words == following
    # Right where a bucket holds at most one threshold; the others are looked up.
    rank += words >= following
    crowded = np.flatnonzero(table.crowded.take(bucket))
    if len(crowded):
        high = table.high[:-1]
        rank[crowded] = np.searchsorted(high, words[crowded], side="right")
        tied[crowded] |= np.searchsorted(high, words[crowded], side="left") != rank[crowded]
    for index in np.flatnonzero(tied):
        rank[index] = _rank_of_tie(table, words[index], read(1)[0])
    return rank + table.lowest


def _rank_of_tie(table: NoiseTable, word: np.uint64, low: np.uint64) -> int:
    """How many thresholds are at most (word, low), by their lower halves among equal upper ones."""
    high = table.high[:-1]
    first = int(np.searchsorted(high, word, side="left"))
    last = int(np.searchsorted(high, word, side="right"))
    return first + int(np.searchsorted(table.low[first:last], low, side="right"))
