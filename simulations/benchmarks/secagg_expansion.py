"""Recovery's expansion of masks: one thread, threads, and processes.

The work is that of `recovery`: for every site that dropped out and every survivor an X25519
exchange, a key derived from it, and that key's stream subtracted from the sum.
"""

import secrets
import time
from dataclasses import dataclass

import numpy as np

from recommons.common.errors import RecommonsError
from recommons.common.secagg.derivation import private_key, public_key
from recommons.common.secagg.expansion import Expansion
from recommons.common.secagg.prg import add_masks
from recommons.common.secagg.ring import RingVector
from recommons.server.rounds.expansion import in_processes
from recommons.simulations.benchmarks.timings import cpu_with_children

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
        wall_seconds: By the clock, the start of processes included.
        cpu_seconds: Of everyone who worked.
    """

    way: str
    workers: int
    dropped: int
    survivors: int
    coordinates: int
    wall_seconds: float
    cpu_seconds: float


def measure_expansion(
    *, dropped: int, survivors: int, coordinates: int, workers: int
) -> list[ExpansionCost]:
    """The three ways at one job, in turn.

    Raises:
        RecommonsError: ``bench/wrong``: their sums differ.
    """
    places = range(dropped, dropped + survivors)
    job = Expansion(
        full=secrets.token_bytes(32),
        seeds={},
        mask_keys={i: public_key(private_key(secrets.token_bytes(32))) for i in places},
        private_keys={i: secrets.token_bytes(32) for i in range(dropped)},
    )
    sums, costs = [], []
    for way, count, work in (
        ("one thread", 1, _in_threads),
        ("threads", workers, _in_threads),
        ("processes", workers, _in_processes),
    ):
        total = np.zeros(coordinates, np.uint32)
        wall, cpu = work(total, job, count)
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
            )
        )
    if not all(np.array_equal(sums[0], other) for other in sums[1:]):
        raise RecommonsError("bench/wrong", "threads and processes removed different masks")
    return costs


def _in_threads(words: RingVector, job: Expansion, threads: int) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    add_masks(words, job.masks(), threads=threads)
    return time.perf_counter() - wall, time.process_time() - cpu


def _in_processes(words: RingVector, job: Expansion, processes: int) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), cpu_with_children()
    in_processes(words, job, processes=processes)
    return time.perf_counter() - wall, cpu_with_children() - cpu
