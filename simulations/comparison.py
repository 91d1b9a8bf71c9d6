"""`recommons compare`: several plans at several ε, by whole runs, and one picture of them all.

A plan is a settings file of `recommons simulate`, the plan file of a deployment, or the name of a
model for its defaults. Split, sites and everything a model draws follow from the seed; noise, keys
and masks never do, so that two comparisons differ by what noise does.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table

from recommons.common.errors import InvalidInput
from recommons.common.models.registry import MODEL_NAMES
from recommons.common.units import byte_size, duration
from recommons.simulations.benchmarks.quality import whole_run
from recommons.simulations.benchmarks.results_folder import writable_folder
from recommons.simulations.comparison_point import Point
from recommons.simulations.settings import SimulationSettings

__all__ = ["METRICS", "Contender", "compare", "contenders"]

METRICS = ("recall@20", "ndcg@20", "ndcg@100")
_DOCUMENT, _PICTURE = "comparison.json", "comparison.svg"


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One plan.

    Attributes:
        name: By which the picture knows it.
        plan: Its settings or plan file, None for a model's defaults.
        model: The model.
    """

    name: str
    plan: Path | None
    model: str


def contenders(plans: Sequence[str]) -> tuple[Contender, ...]:
    """The plans by name.

    Raises:
        InvalidInput: ``run/settings``: neither a model nor a readable file, or two of one name;
            ``plan/file``.
    """
    found = []
    for text in plans:
        if text in MODEL_NAMES:
            found.append(Contender(name=text, plan=None, model=text))
            continue
        path = Path(text)
        if not path.exists():
            models = ", ".join(MODEL_NAMES)
            said = f"PLAN: {text} is neither a model ({models}) nor a plan file that is there"
            raise InvalidInput("run/settings", said)
        settings = SimulationSettings.load(path, {})
        found.append(Contender(name=path.stem, plan=path, model=settings.model))
    names = [contender.name for contender in found]
    if len(set(names)) != len(names):
        raise InvalidInput("run/settings", f"PLAN is {plans}; required: no two of one name")
    return tuple(found)


def compare(
    plans: Sequence[str],
    *,
    data: Path | None,
    epsilons: Sequence[str],
    delta: float | None,
    metric: str,
    runs: int,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Run, average, print and draw; see the command for the arguments.

    Raises:
        RecommonsError: ``run/settings``, ``bench/output``, before the first run; ``bench/run``.
    """
    if metric not in METRICS:
        raise InvalidInput(
            "run/settings", f"--metric is {metric!r}; required: one of {', '.join(METRICS)}"
        )
    against, output = contenders(plans), writable_folder(output)
    cases = [(contender, epsilon.strip()) for contender in against for epsilon in epsilons]
    for contender, epsilon in cases:
        SimulationSettings.load(contender.plan, {"epsilon": epsilon, "delta": delta})
    progress, points = _Progress(Console(stderr=True), len(cases) * runs), []
    for contender, epsilon in cases:
        reports = []
        for run in range(runs):
            progress.begin(f"{contender.name}, ε = {epsilon}")
            options = {"--epsilon": epsilon, "--delta": delta, "--data": data}
            options |= {"--seed": seed + run}
            if contender.plan is None:
                options |= {"--model": contender.model}
            reports.append(whole_run(options, contender.plan))
        points.append(_point(contender, epsilon, reports, metric))
        _write(points, metric, output)  # after every point: a comparison may be cut short
    if as_json:
        sys.stdout.write(_document(points, metric))
    else:
        Console().print(_table(points, metric))
    if output is not None:
        written = f"written: {output / _DOCUMENT} and {output / _PICTURE}"
        progress.console.print(written, soft_wrap=True)


class _Progress:
    """Says which of all runs begins, and how long they took so far."""

    def __init__(self, console: Console, runs: int) -> None:
        self.console, self._runs = console, runs
        self._begun, self._since = 0, time.monotonic()

    def begin(self, what: str) -> None:
        self._begun += 1
        took = f" ({duration(time.monotonic() - self._since)} so far)" if self._begun > 1 else ""
        self.console.print(f"run {self._begun} of {self._runs}{took}: {what}", style="dim")


def _point(
    contender: Contender, epsilon: str, reports: Sequence[dict[str, Any]], metric: str
) -> Point:
    served = [report["metrics"]["served"][metric] for report in reports]
    sums = [report["secure_aggregation"] for report in reports]
    return Point(
        name=contender.name,
        epsilon=epsilon,
        runs=len(reports),
        alone=mean(report["baselines"]["site_alone"][metric] for report in reports),
        global_model=mean(report["metrics"]["global"][metric] for report in reports),
        served=mean(served),
        served_deviation=stdev(served) if len(served) > 1 else None,
        bytes_up=mean(found["bytes_up_per_site"] for found in sums),
        bytes_down=mean(found["bytes_down_per_site"] for found in sums),
        rounds=sums[0]["rounds"],
        training_seconds=mean(report["seconds_by_stage"]["training"] for report in reports),
    )


def _document(points: Sequence[Point], metric: str) -> str:
    return json.dumps({"metric": metric, "results": [asdict(p) for p in points]}, indent=2) + "\n"


def _write(points: Sequence[Point], metric: str, output: Path | None) -> None:
    if output is None:
        return
    from recommons.simulations.comparison_picture import draw

    (output / _DOCUMENT).write_text(_document(points, metric))
    (output / _PICTURE).write_text(draw(points, metric), encoding="utf-8")


def _table(points: Sequence[Point], metric: str) -> Table:
    table = Table(
        title=f"{metric} on test users; bytes of one site",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="dim",
    )
    table.add_column("plan", overflow="fold")
    for name in ("ε", "alone", "global", "served", "sent", "received", "rounds", "training"):
        table.add_column(name, justify="right", no_wrap=True)
    for point in points:
        deviation = "" if point.served_deviation is None else f" ± {point.served_deviation:.3f}"
        table.add_row(
            point.name,
            point.epsilon,
            f"{point.alone:.3f}",
            f"{point.global_model:.3f}",
            f"{point.served:.3f}{deviation}",
            byte_size(point.bytes_up),
            byte_size(point.bytes_down),
            str(point.rounds),
            duration(point.training_seconds),
        )
    return table
