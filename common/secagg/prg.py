"""Keystreams: masks added to vectors at AES speed, and short secrets from a seed.

The generator is AES-256 in counter mode, counter starting at zero, one key per stream (NIST SP
800-38A). A stream is read as little-endian words. Keys are never reused for another purpose: they
come from HKDF under a named domain.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from recommons.common.secagg.ring import RingVector

__all__ = ["Mask", "add_masks", "keystream", "worthwhile_threads"]

Mask = tuple[bytes, int]
"""The 32-byte key of a stream, and +1 where it is added, -1 where it is subtracted."""

# A chunk of keystream and one of the accumulator stay together in a core's second-level cache; a
# call on a smaller one costs too much beside its work.
_CHUNK = 1 << 17
# Threads hand the interpreter's lock over after every call, so theirs are longer.
_LONG_CHUNK = 1 << 19
_BLOCK = 16
_CACHE_LINE = 64
# So many streams go over a chunk while it is in the cache.
_BATCH = 32
# A thread is worth starting for this many bytes of stream, a millisecond or two, and for a slice of
# this many bytes: on a short one it would do little but hand over the lock.
_THREAD_BYTES = 1 << 23
_SLICE_BYTES = 1 << 20
# Never written, so on Linux one page of zeros is mapped all over it, and stays in the first cache.
_ZEROS = np.zeros(_LONG_CHUNK, np.uint8)
_ZEROS.flags.writeable = False


def keystream(key: bytes, length: int) -> bytes:
    """The first `length` bytes of the stream of a 32-byte key."""
    return _stream(key, 0).update(bytes(length))


def worthwhile_threads(words: RingVector, masks: int, most: int) -> int:
    """How many threads, at most `most`, are worth their start for so many masks."""
    by_work, by_size = masks * words.nbytes // _THREAD_BYTES, words.nbytes // _SLICE_BYTES
    return max(1, min(most, by_work, by_size))


def add_masks(words: RingVector, masks: Iterable[Mask], *, threads: int = 1) -> None:
    """Adds (sign +1) or subtracts (sign -1) the stream of every key, in place.

    Every thread takes a slice of the words, and of each stream the part that falls on it: a counter
    may start anywhere. The cipher and the addition release the interpreter's lock.

    Args:
        words: The accumulator, shape ``(n,)``, contiguous 32- or 64-bit unsigned words.
        masks: Taken in the calling thread as they are needed, so that a generator may derive a
            key late, while the threads are busy with those before.
        threads: At most; see `worthwhile_threads`.
    """
    remaining = iter(masks)
    batches = iter(lambda: tuple(islice(remaining, _BATCH)), ())
    slices = tuple(_slices(words, threads))
    if len(slices) < 2:
        for batch in batches:
            for part in slices:
                part.add(batch)
        return
    with ThreadPoolExecutor(len(slices)) as pool:
        busy: list[Future[None]] = []
        for batch in batches:
            _wait(busy)
            busy = [pool.submit(part.add, batch) for part in slices]
        _wait(busy)


def _wait(tasks: Sequence[Future[None]]) -> None:
    for task in tasks:
        task.result()


class _Slice:
    """Words that one thread works on, and its room for keystream."""

    def __init__(self, words: RingVector, first_block: int, chunk: int) -> None:
        self._first_block = first_block
        self._chunks = tuple(_chunks(words, _even_step(words.nbytes, chunk)))

    def add(self, masks: Sequence[Mask]) -> None:
        """All masks on a chunk before the next chunk."""
        steps = [
            (_stream(key, self._first_block).update_into, np.add if sign > 0 else np.subtract)
            for key, sign in masks
        ]
        for words, zeros, room, mask in self._chunks:
            for update_into, combine in steps:
                update_into(zeros, room)
                combine(words, mask, words)


def _slices(words: RingVector, count: int) -> Iterator[_Slice]:
    step = _even_step(words.nbytes, -(-words.nbytes // count))
    chunk = _CHUNK if count == 1 else _LONG_CHUNK
    for start in range(0, words.nbytes, step):
        part = words[start // words.itemsize : (start + step) // words.itemsize]
        yield _Slice(part, start // _BLOCK, chunk)


def _chunks(
    words: RingVector, step: int
) -> Iterator[tuple[RingVector, memoryview, memoryview, npt.NDArray[Any]]]:
    """Parts of the words; of each one's size, zeros, room for keystream, and the room as words."""
    # `update_into` of some versions wants a block of room beyond what it writes.
    room = np.empty(step + _BLOCK, np.uint8)
    for start in range(0, words.nbytes, step):
        part = words[start // words.itemsize : (start + step) // words.itemsize]
        length = part.nbytes
        mask = room[:length].view(words.dtype)
        yield part, _ZEROS[:length].data, room[: length + _BLOCK].data, mask


def _even_step(length: int, most: int) -> int:
    """Bytes of a part: about `most`, none much smaller, a whole number of cache lines."""
    count = max(1, -(-length // max(most, 1)))
    return max(1, -(-length // (count * _CACHE_LINE))) * _CACHE_LINE


def _stream(key: bytes, block: int) -> CipherContext:
    """The stream of a key from its `block`-th 16 bytes on."""
    counter = modes.CTR(block.to_bytes(_BLOCK, "big"))
    return Cipher(algorithms.AES256(key), counter).encryptor()
