"""`recommons bench opacus`: what clipping each user costs, as catalogue and batch grow.

Every measurement runs in a process of its own, so that peak memory is that of one step. Where a
way would hold more than the limit in users' gradients alone, that figure is given instead.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from recommons.common.errors import RecommonsError
from recommons.simulations.benchmarks.opacus_case import MEBIBYTE, Case, Figures, Way
from recommons.simulations.benchmarks.results_folder import writable_folder

__all__ = ["FULL", "QUICK", "Extent", "Row", "measure_opacus"]

WAYS: tuple[Way, ...] = ("plain", "ghost", "hooks")
MOST_FULL_SOFTMAX = 10_000


@dataclass(frozen=True, kw_only=True)
class Extent:
    """What is measured.

    Attributes:
        catalogues: Sizes of the catalogue, at `users` users.
        users: Users of a step where the catalogue grows.
        batches: Users of a step, at `items` items.
        items: Size of the catalogue where the batch grows.
        limit_mb: Users' gradients that would take more are not tried.
    """

    catalogues: tuple[int, ...]
    users: int
    batches: tuple[int, ...]
    items: int
    limit_mb: int = 4096


FULL = Extent(
    catalogues=(1_000, 10_000, 100_000), users=200, batches=(10, 100, 1_000), items=100_000
)
QUICK = Extent(catalogues=(200,), users=20, batches=(5,), items=500)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement.

    Attributes:
        case: Of what.
        figures: What was found, or None where it was not tried.
    """

    case: Case
    figures: Figures | None

    def to_json(self) -> dict[str, object]:
        """A JSON object."""
        return {
            **asdict(self.case),
            "gradients_mb": self.case.gradients_bytes / MEBIBYTE,
            "figures": None if self.figures is None else asdict(self.figures),
        }


def measure_opacus(*, extent: Extent, output: Path | None, as_json: bool) -> None:
    """Measure and print; see `commands.opacus`.

    Raises:
        RecommonsError: ``bench/output``; ``bench/run``: a measurement ended with an error.
    """
    output = writable_folder(output)
    console, rows = Console(stderr=True), []
    for case in _cases(extent, _devices()):
        console.print(
            f"{case.way}, {case.loss}, {case.items:,} items, {case.users:,} users, {case.device}",
            style="dim",
        )
        rows.append(_measured(case, extent))
    text = json.dumps({"results": [row.to_json() for row in rows]}, indent=2) + "\n"
    if output is not None:
        from recommons.simulations.benchmarks.opacus_picture import draw

        (output / "opacus.json").write_text(text)
        (output / "opacus.svg").write_text(draw(rows), encoding="utf-8")
    if as_json:
        sys.stdout.write(text)
    else:
        Console().print(_table(rows))


def _devices() -> tuple[str, ...]:
    import torch

    return ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


def _cases(extent: Extent, devices: Sequence[str]) -> Iterator[Case]:
    sizes = [(items, extent.users) for items in extent.catalogues]
    sizes += [(extent.items, users) for users in extent.batches]
    for device in devices:
        for items, users in dict.fromkeys(sizes):
            losses = ["sampled-softmax"]
            if items <= MOST_FULL_SOFTMAX:
                losses.append("full-softmax")
            for loss in losses:
                for way in WAYS:
                    yield Case(way=way, loss=loss, items=items, users=users, device=device)


def _measured(case: Case, extent: Extent) -> Row:
    if case.way == "hooks" and case.gradients_bytes > extent.limit_mb * MEBIBYTE:
        return Row(case=case, figures=None)
    command = [sys.executable, "-m", "recommons.simulations.benchmarks.opacus_case"]
    command.append(json.dumps(asdict(case)))
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if done.returncode:
        raise RecommonsError("bench/run", f"a measurement failed: {done.stderr.strip()[-500:]}")
    return Row(case=case, figures=Figures(**json.loads(done.stdout)))


def _table(rows: Sequence[Row]) -> Table:
    table = Table("loss", "items", "users", "device", "way", "seconds", "peak MB", "of it before")
    for row in rows:
        case, found = row.case, row.figures
        cells = [f"not tried: over {case.gradients_bytes / MEBIBYTE:,.0f} MB of gradients", "", ""]
        if found is not None:
            cells = [f"{found.seconds:.2f}", f"{found.peak_mb:,.0f}", f"{found.base_mb:,.0f}"]
        table.add_row(
            case.loss, f"{case.items:,}", f"{case.users:,}", case.device, case.way, *cells
        )
    return table
