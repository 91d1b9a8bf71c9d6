"""Keystreams: masks added to vectors at AES speed, and short secrets from a seed.

The generator is AES-256 in counter mode, counter starting at zero, one key per stream (NIST SP
800-38A). A stream is read as little-endian words. Keys are never reused for another purpose: they
come from HKDF under a named domain.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from recommons.common.secagg.ring import RingVector

__all__ = ["add_masks", "keystream"]

# A chunk of keystream, of accumulator and of zeros stay together in a core's second-level cache.
_CHUNK = 1 << 16
_BLOCK = 16
# So many cipher contexts are alive at once; a coordinator may have to expand 10^5 keys.
_BATCH = 512
_ZEROS = np.zeros(_CHUNK, np.uint8)
_ZEROS.flags.writeable = False


def keystream(key: bytes, length: int) -> bytes:
    """The first `length` bytes of the stream of a 32-byte key."""
    return _stream(key, 0).update(bytes(length))


def add_masks(
    words: RingVector, keys: Sequence[bytes], signs: Sequence[int], *, workers: int = 1
) -> None:
    """Adds (sign +1) or subtracts (sign -1) the stream of every key, in place.

    Args:
        words: The accumulator, shape ``(n,)``, contiguous 32- or 64-bit unsigned words.
        keys: 32-byte keys.
        signs: One of +1, -1 for every key.
        workers: Threads. The cipher and the addition release the interpreter's lock.
    """
    signed = tuple(zip(keys, signs, strict=True))
    for start in range(0, len(signed), _BATCH):
        _add_batch(words, signed[start : start + _BATCH], workers)


def _add_batch(words: RingVector, signed: Sequence[tuple[bytes, int]], workers: int) -> None:
    step = _CHUNK // words.itemsize
    if workers <= 1 or words.size <= step:
        _add_range(words, signed, 0)
        return
    part = -(-words.size // (workers * step)) * step
    with ThreadPoolExecutor(workers) as pool:
        tasks = [
            pool.submit(_add_range, words[start : start + part], signed, start * words.itemsize)
            for start in range(0, words.size, part)
        ]
        for task in tasks:
            task.result()


def _add_range(words: RingVector, signed: Sequence[tuple[bytes, int]], offset: int) -> None:
    """Adds the streams from byte `offset` (a multiple of the block) on."""
    streams = [(_stream(key, offset // _BLOCK), sign) for key, sign in signed]
    # `update_into` of some versions wants a block of room beyond what it writes.
    buffer = np.empty(_CHUNK + _BLOCK, np.uint8)
    step = _CHUNK // words.itemsize
    for start in range(0, words.size, step):
        _add_chunk(words[start : start + step], streams, buffer)


def _add_chunk(
    words: RingVector,
    streams: Sequence[tuple[CipherContext, int]],
    buffer: npt.NDArray[np.uint8],
) -> None:
    length = words.nbytes
    zeros = _ZEROS[:length]
    room = buffer[: length + _BLOCK]
    mask = buffer[:length].view(words.dtype)
    for stream, sign in streams:
        stream.update_into(zeros.data, room.data)
        if sign > 0:
            np.add(words, mask, out=words)
        else:
            np.subtract(words, mask, out=words)


def _stream(key: bytes, block: int) -> CipherContext:
    counter = block.to_bytes(_BLOCK, "big")
    return Cipher(algorithms.AES256(key), modes.CTR(counter)).encryptor()
