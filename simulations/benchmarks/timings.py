"""The clock of a side-by-side measurement, on a machine that has other work to do as well.

Wall clock and CPU seconds (of all threads together) both bound from above what the work takes on an
idle machine: the first is the tighter where threads run at once, the second where other programs
disturb. So the least of both counts, over several repetitions.
"""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Timings", "Work", "cpu_with_children", "in_turn"]

Work = Callable[[], object]


@dataclass(frozen=True)
class Timings:
    """Seconds of every repetition of one thing.

    Attributes:
        cpu: Of the process, all threads together.
        wall: By the clock.
    """

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def take(self, work: Work) -> None:
        """Run once more."""
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)

    @property
    def least(self) -> float:
        """Seconds that the work takes on an idle machine, at most."""
        return min(*self.cpu, *self.wall)


def in_turn(sides: dict[str, Work], repetitions: int) -> dict[str, Timings]:
    """Every repetition of every side; they take turns, so that all meet the same disturbance.

    Each turn runs the work twice and measures the second: after the first the caches hold its own
    data, not those of the side before.
    """
    samples = {side: Timings() for side in sides}
    for work in sides.values():
        work()  # imports, page faults and caches are nobody's work
    for _ in range(repetitions):
        for side, work in sides.items():
            work()
            samples[side].take(work)
    return samples


def cpu_with_children() -> float:
    """CPU seconds of this process and of those it started that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
