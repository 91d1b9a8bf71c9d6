"""`recommons simulate`: options in, files and a summary out."""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from recommons.common.bundle import COORDINATOR_SETTING, SITES_SETTING
from recommons.common.errors import InvalidInput
from recommons.server.operating.display import open_display
from recommons.simulations.report.schema import report_json
from recommons.simulations.report.summary import print_summary
from recommons.simulations.run_folders import calm_flower, next_folder
from recommons.simulations.settings import SimulationSettings

__all__ = ["run_simulation"]


def run_simulation(
    plan: Path | None,
    options: Mapping[str, Any],
    *,
    output: Path | None,
    resume: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run the command.

    Args:
        plan: A settings file, or None.
        options: Options by the name of their setting; None where not given.
        output: The output folder, or None for the next free one.
        resume: Go on with the run in `output`.
        as_json: Print the report instead of the summary.
        quiet: Show no progress.

    Raises:
        RecommonsError: The options are not admissible, or the run failed.
    """
    calm_flower()
    from recommons.simulations.simulate import found, open_output, simulate

    command = shlex.join(_command_line())
    if resume:
        given = [name for name, value in options.items() if value is not None]
        if output is None or plan is not None or given:
            raise InvalidInput("run/resume", "--resume goes with --output alone")
        folder = output
        settings = open_output(folder, None)
    else:
        folder = output or next_folder()
        settings = open_output(folder, SimulationSettings.load(plan, _values(options)))
        if settings.engine == "flower":
            found(settings, folder, command=command)
            sys.stdout.write(_for_flower(folder.absolute(), settings.sites, as_json=as_json))
            return
    # With --json, standard output is the report alone; progress goes to standard error anyway.
    with open_display(Console(stderr=True), quiet=quiet or as_json) as display:
        outcome = simulate(settings, folder, display, command=command)
    if as_json:
        sys.stdout.write(report_json(outcome.report))
        return
    print_summary(
        outcome.report,
        Console(),
        folder=folder,
        example_items=",".join(outcome.example_items),
    )


def _for_flower(folder: Path, sites: int, *, as_json: bool) -> str:
    """What to type for `flwr run`, and then to see the report."""
    place = f'{COORDINATOR_SETTING}="{folder / "coordinator"}" {SITES_SETTING}="{folder / "sites"}"'
    words = {
        "run-config": place,
        "federation-config": f"num-supernodes={sites}",
    }
    if as_json:
        return json.dumps({"folder": str(folder), "flwr": words}, indent=2) + "\n"
    options = " ".join(f"--{name} {shlex.quote(value)}" for name, value in words.items())
    return (
        "recommons coordinator bundle thin\n"
        f"flwr run thin local --stream {options}\n"
        f"recommons simulate --resume --output {shlex.quote(str(folder))}\n"
    )


def _values(options: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(options)
    if values.get("columns") is not None:
        values["columns"] = _columns(values["columns"])
    if values.get("settings") is not None:
        values["settings"] = dict(_setting(text) for text in values["settings"])
    return values


def _setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE with the value as JSON, or as text where it is none."""
    name, sign, value = text.partition("=")
    if not name or not sign:
        raise InvalidInput("run/settings", f"--set is {text!r}; required: NAME=VALUE")
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value.strip()


def _columns(text: str) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(name and sign and column for name, sign, column in pairs):
        raise InvalidInput(
            "run/settings", f"--columns is {text!r}; required: FIELD=NAME, separated by commas"
        )
    return {name.strip(): column.strip() for name, _, column in pairs}


def _command_line() -> list[str]:
    return ["recommons", *sys.argv[1:]]
