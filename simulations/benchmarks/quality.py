"""Quality against ε, by whole runs: real apps, real sums, real noise; each in its own process."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table

from recommons.common.errors import RecommonsError
from recommons.simulations.benchmarks.results_folder import writable_file

__all__ = ["measure_quality", "whole_run"]

_METRIC = "recall@20"
_COLUMNS = ("popularity", "site alone", "global", "served", "centralised EASE")


def measure_quality(
    *,
    data: Path | None,
    model: str,
    epsilons: tuple[str, ...],
    delta: float | None,
    sites: int,
    colluding: int,
    runs: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Run, average and print; see `commands.quality` for the arguments.

    Raises:
        RecommonsError: ``bench/output``, before the first run; ``bench/run``: a run ended with an
            error, which is shown.
    """
    output = writable_file(output)
    console = Console(stderr=True)
    rows: list[dict[str, Any]] = []
    for epsilon in epsilons:
        reports = []
        for seed in range(runs):
            console.print(f"ε = {epsilon}: run {seed + 1} of {runs}", style="dim")
            options = {"--model": model, "--epsilon": epsilon, "--sites": sites, "--seed": seed}
            options |= {"--colluding": colluding, "--delta": delta, "--data": data}
            reports.append(whole_run(options))
        rows.append(_row(epsilon, reports))
        if output is not None:  # after every row: a long measurement may be cut short
            output.write_text(json.dumps({"results": rows}, indent=2) + "\n")
    if as_json:
        sys.stdout.write(json.dumps({"results": rows}, indent=2) + "\n")
    else:
        Console().print(_table(rows))


def whole_run(options: Mapping[str, Any], plan: Path | None = None) -> dict[str, Any]:
    """The report of one `recommons simulate` in a process and a folder of its own.

    Args:
        options: Values by option; those that are None are left out.
        plan: A settings file, which the options override.

    Raises:
        RecommonsError: ``bench/run``.
    """
    given = [text for name, v in options.items() if v is not None for text in (name, str(v))]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "recommons.common.commandline", "simulate"]
        command += ([] if plan is None else [str(plan)]) + given
        command += ["--output", folder, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if done.returncode:
        raise RecommonsError("bench/run", f"a run failed: {done.stdout.strip()}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _row(epsilon: str, reports: list[dict[str, Any]]) -> dict[str, Any]:
    ways = [
        [
            report["baselines"]["popularity"],
            report["baselines"]["site_alone"],
            report["metrics"]["global"],
            report["metrics"]["served"],
            report["baselines"]["ease_centralised"],
        ]
        for report in reports
    ]
    figures = {
        name: [way[place][_METRIC] for way in ways if way[place] is not None]
        for place, name in enumerate(_COLUMNS)
    }
    return {
        "epsilon": epsilon,
        "runs": len(reports),
        "recall@20": figures,
        "mean": {name: mean(values) if values else None for name, values in figures.items()},
        "stdev": {
            name: stdev(values) if len(values) > 1 else None for name, values in figures.items()
        },
        "seconds": [report["seconds"] for report in reports],
        "peak_memory_mb": [report["peak_memory_mb"] for report in reports],
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table("ε", *_COLUMNS, "seconds", title="Recall@20 on test users, mean ± deviation")
    for row in rows:
        cells = [_cell(row["mean"][name], row["stdev"][name]) for name in _COLUMNS]
        table.add_row(row["epsilon"], *cells, f"{mean(row['seconds']):.0f}")
    return table


def _cell(value: float | None, deviation: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if deviation is None else f"{value:.4f} ± {deviation:.4f}"
