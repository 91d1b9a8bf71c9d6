"""Recovery's expansion of masks: one thread, threads, and processes over shared memory.

The work is that of `recovery`: for every site that dropped out and every survivor an X25519
exchange, a key derived from it, and that key's stream subtracted from the sum.
"""

import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
import numpy.typing as npt

from recommons.common.errors import RecommonsError
from recommons.common.secagg.derivation import pair_mask_key, private_key, public_key
from recommons.common.secagg.prg import Mask, add_masks

__all__ = ["ExpansionCost", "measure_expansion"]


@dataclass(frozen=True, kw_only=True)
class ExpansionCost:
    """One way to remove the same masks.

    Attributes:
        way: ``one thread``, ``threads`` or ``processes``.
        workers: Threads or processes.
        dropped: Sites whose mask key was recovered.
        survivors: Sites they share a mask with.
        coordinates: Of the vector, 32 bits each.
        wall_seconds: By the clock, without the start of processes.
        cpu_seconds: Of everyone who worked.
        start_seconds: Until the processes could begin; they import this package anew.
    """

    way: str
    workers: int
    dropped: int
    survivors: int
    coordinates: int
    wall_seconds: float
    cpu_seconds: float
    start_seconds: float


@dataclass(frozen=True, kw_only=True)
class _Job:
    """Public and private keys of a recovery; `repr` shows sizes alone.

    Attributes:
        full: The attempt's.
        dropped: Their private mask keys.
        survivors: Their public ones.
        coordinates: Of the vector.
    """

    full: bytes
    dropped: tuple[bytes, ...]
    survivors: tuple[bytes, ...]
    coordinates: int

    def __repr__(self) -> str:
        return f"_Job({len(self.dropped)} x {len(self.survivors)}, {self.coordinates})"

    def masks(self, start: int, step: int) -> Iterator[Mask]:
        """Every `step`-th dropped site's masks, from `start`."""
        for place in range(start, len(self.dropped), step):
            private = private_key(self.dropped[place])
            for rank, peer in enumerate(self.survivors):
                other = len(self.dropped) + rank
                yield pair_mask_key(private, peer, self.full, place, other), -1


def measure_expansion(
    *, dropped: int, survivors: int, coordinates: int, workers: int
) -> list[ExpansionCost]:
    """The three ways at one job, in turn.

    Raises:
        RecommonsError: ``bench/wrong``: their sums differ.
    """
    job = _Job(
        full=secrets.token_bytes(32),
        dropped=tuple(secrets.token_bytes(32) for _ in range(dropped)),
        survivors=tuple(public_key(private_key(secrets.token_bytes(32))) for _ in range(survivors)),
        coordinates=coordinates,
    )
    sums, costs = [], []
    for way, count, work in (
        ("one thread", 1, _in_threads),
        ("threads", workers, _in_threads),
        ("processes", workers, _in_processes),
    ):
        total, wall, cpu, start = work(job, count)
        sums.append(total)
        costs.append(
            ExpansionCost(
                way=way,
                workers=count,
                dropped=dropped,
                survivors=survivors,
                coordinates=coordinates,
                wall_seconds=wall,
                cpu_seconds=cpu,
                start_seconds=start,
            )
        )
    if not all(np.array_equal(sums[0], other) for other in sums[1:]):
        raise RecommonsError("bench/wrong", "threads and processes removed different masks")
    return costs


_Sum = npt.NDArray[np.uint32]
_Measured = tuple[_Sum, float, float, float]


def _in_threads(job: _Job, workers: int) -> _Measured:
    words = np.zeros(job.coordinates, np.uint32)
    wall, cpu = time.perf_counter(), time.process_time()
    add_masks(words, job.masks(0, 1), threads=workers)
    return words, time.perf_counter() - wall, time.process_time() - cpu, 0.0


def _in_processes(job: _Job, workers: int) -> _Measured:
    length = 4 * job.coordinates
    before = time.perf_counter()
    memory = SharedMemory(create=True, size=workers * length)
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            list(pool.map(_ready, range(workers)))
            wall, cpu = time.perf_counter(), time.process_time()
            tasks = [
                pool.submit(_fill, memory.name, job, start, workers) for start in range(workers)
            ]
            others = sum(task.result() for task in tasks)
            words = np.zeros(job.coordinates, np.uint32)
            for start in range(workers):
                words += _row(memory, job.coordinates, start)
            return (
                words,
                time.perf_counter() - wall,
                time.process_time() - cpu + others,
                wall - before,
            )
    finally:
        memory.close()
        memory.unlink()


def _ready(_: int) -> None:
    """By the time this has run the process has imported everything."""
    time.sleep(0.05)  # or one process would answer for all


def _fill(name: str, job: _Job, start: int, workers: int) -> float:
    """In a process of its own: sums its part in its row of the shared memory; CPU seconds."""
    cpu = time.process_time()
    memory = SharedMemory(name=name)
    try:
        add_masks(_row(memory, job.coordinates, start), job.masks(start, workers))
    finally:
        memory.close()
    return time.process_time() - cpu


def _row(memory: SharedMemory, coordinates: int, row: int) -> npt.NDArray[Any]:
    return np.ndarray((coordinates,), np.uint32, memory.buf, 4 * coordinates * row)
