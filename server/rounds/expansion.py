"""Recovery spread over processes, where a thousand sites leave tens of thousands of masks.

Keys are derived under Python's lock, so threads cannot share that work (`docs/decisions/0013`).
Each process is this module, run anew: it reads what it needs from a pipe and answers with the sum
of its masks. Secrets are in no argument, file or environment.
"""

import os
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from recommons.common.errors import RecommonsError
from recommons.common.secagg.expansion import Expansion, in_threads
from recommons.common.secagg.prg import add_masks
from recommons.common.secagg.ring import RingVector

__all__ = ["in_processes", "on_all_cores"]

_HEAD = struct.Struct(">BQHH")
"""Bytes of a word, coordinates, and which part of how many is wanted."""

_PROCESS_MASKS = 30_000
"""From so many masks on, a second or two of deriving keys, processes are worth their start."""


def on_all_cores(words: RingVector, expansion: Expansion) -> None:
    """The coordinator's `Expander`: processes for very many masks, threads otherwise."""
    cores = os.cpu_count() or 1
    if cores > 1 and len(expansion) >= _PROCESS_MASKS:
        in_processes(words, expansion, processes=cores)
    else:
        in_threads(words, expansion, threads=cores)


def in_processes(words: RingVector, expansion: Expansion, *, processes: int) -> None:
    """Adds the masks of an expansion, each part summed by a process of its own.

    Raises:
        RecommonsError: ``run/expansion``: a process did not answer.
    """
    job = expansion.to_bytes()
    with ThreadPoolExecutor(processes) as pool:
        heads = [_HEAD.pack(words.itemsize, len(words), k, processes) for k in range(processes)]
        for answer in pool.map(lambda head: _asked(head + job), heads):
            if len(answer) != words.nbytes:
                raise _failed(f"it answered {len(answer)} bytes")
            words += np.frombuffer(answer, words.dtype)


def _asked(job: bytes) -> bytes:
    """What another process of this module answers."""
    command = [sys.executable, "-m", __spec__.name]
    try:
        done = subprocess.run(command, input=job, stdout=subprocess.PIPE, check=True)  # noqa: S603 - our own module
    except (OSError, subprocess.CalledProcessError) as error:
        raise _failed(type(error).__name__) from None
    return done.stdout


def _failed(how: str) -> RecommonsError:
    return RecommonsError("run/expansion", f"a process that expands masks failed: {how}")


def _answer(job: bytes) -> bytes:
    """The work of the other process."""
    itemsize, size, part, parts = _HEAD.unpack_from(job)
    words = np.zeros(size, f"<u{itemsize}")
    expansion = Expansion.from_bytes(job[_HEAD.size :])
    add_masks(words, expansion.masks(part, parts))
    return words.tobytes()


if __name__ == "__main__":
    sys.stdout.buffer.write(_answer(sys.stdin.buffer.read()))
