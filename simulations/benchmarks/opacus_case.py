"""One measurement of `recommons bench opacus`, in a process of its own: seconds and peak memory.

    python -m recommons.simulations.benchmarks.opacus_case '{"way": "ghost", "items": 1000, …}'

Ways:

| way | what is computed |
|---|---|
| ``ghost`` | the clipped sum as `two-tower` computes it: Opacus, norms by ghost clipping |
| ``hooks`` | the same sum with every user's gradient in memory |
| ``plain`` | the sum without clipping: PyTorch alone, no privacy |

Users have 50 random items each; losses are the sampled softmax with 512 negatives, or the full
softmax. Batches are those of the model: what a step holds in memory does not grow with its users.
"""

import json
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
import torch

from recommons.common.data.interactions import Interactions
from recommons.common.models.neural.batches import Negatives, tower_batches
from recommons.common.models.neural.clipping import Batch, clipped_sum
from recommons.common.models.neural.histories import Reading
from recommons.common.models.neural.shapes import TowerShape
from recommons.common.models.neural.towers import blank_towers
from recommons.common.models.neural.two_tower import BATCH_CELLS, BATCH_SCORES

__all__ = ["Case", "Figures", "measure"]

Way = Literal["ghost", "hooks", "plain"]
HISTORY, NEGATIVES, FEATURES = 50, 512, 64
MEBIBYTE = 1 << 20
_CLIP = 0.1


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is measured.

    Attributes:
        way: How.
        loss: ``full-softmax`` or ``sampled-softmax``.
        items: m.
        users: Users of the step.
        dim: d.
        device: ``cpu`` or ``cuda``.
        repeats: Steps after a first one; the fastest counts.
    """

    way: Way
    loss: str
    items: int
    users: int
    dim: int = 64
    device: str = "cpu"
    repeats: int = 1

    @property
    def gradients_bytes(self) -> int:
        """What every user's gradient of a batch takes at once under ``hooks``, at least."""
        parameters = self.items * (2 * self.dim + 1)
        return 8 * parameters * min(self.users, self.batch_users)

    @property
    def batch_users(self) -> int:
        """Users of one batch."""
        cells = self.items
        if self.loss != "full-softmax":
            cells = (NEGATIVES + HISTORY) * self.dim
        return max(1, BATCH_SCORES // cells)

    @classmethod
    def of_json(cls, text: str) -> Self:
        """Read what `json.dumps(asdict(case))` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was found.

    Attributes:
        seconds: One step.
        peak_mb: Largest memory of the process, in MiB; on a GPU, of the GPU.
        base_mb: The same before the first step: libraries, tables, histories.
    """

    seconds: float
    peak_mb: float
    base_mb: float


def measure(case: Case) -> Figures:
    """Take the steps."""
    draws = np.random.default_rng(0)
    rows = np.repeat(np.arange(case.users), HISTORY)
    users = Interactions.from_pairs(
        rows, draws.integers(case.items, size=len(rows)), n_users=case.users, n_items=case.items
    )
    features = draws.standard_normal((case.items, FEATURES)) / np.sqrt(FEATURES)
    shape = TowerShape(items=case.items, dim=case.dim, features=FEATURES)
    on_device = torch.from_numpy(features).to(case.device)
    module = blank_towers(shape, on_device, case.loss).to(case.device)
    for parameter in module.parameters():
        parameter.data.normal_(0.0, 0.1)
    base, best = _memory(case.device), float("inf")
    for _ in range(1 + case.repeats):
        start = time.perf_counter()
        _step(module, _batches(case, users, features), case.way)
        if case.device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return Figures(seconds=best, peak_mb=_memory(case.device), base_mb=base)


def _batches(
    case: Case, users: Interactions, features: np.ndarray[Any, np.dtype[np.float64]]
) -> Iterator[Batch]:
    reading = Reading(
        most_items=HISTORY,
        most_targets=HISTORY,
        hide=0.5,
        batch_cells=BATCH_CELLS,
        batch_users=case.batch_users,
        seed=0,
        round=1,
    )
    negatives = None
    if case.loss != "full-softmax":
        negatives = Negatives.draw(np.ones(case.items), NEGATIVES, seed=(0, 0))
    for batch in tower_batches(users, features, reading, negatives):
        yield tuple(tensor.to(case.device) for tensor in batch)


def _step(module: torch.nn.Module, batches: Iterable[Batch], way: Way) -> None:
    if way != "plain":
        clipped_sum(module, batches, clip=_CLIP, clipping=way)
        return
    module.zero_grad()
    for batch in batches:
        module(*batch).sum().backward()


def _memory(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / MEBIBYTE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEBIBYTE


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.stdout.write(json.dumps(asdict(measure(Case.of_json(sys.argv[1])))) + "\n")
