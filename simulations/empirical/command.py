"""`recommons audit empirical`: options in, files, tables and an exit status out."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from recommons.common.checks import describe_validation
from recommons.common.errors import InvalidInput
from recommons.server.operating.display import open_display
from recommons.simulations.empirical.settings import LEAST_CANARIES, EmpiricalSettings
from recommons.simulations.run_folders import calm_flower, next_folder

__all__ = ["run_empirical"]


def run_empirical(
    options: Mapping[str, Any],
    *,
    controls: bool,
    output: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run the command.

    Args:
        options: Options by the name of their setting; None where not given.
        controls: Audit the audit.
        output: The output folder, or None for the next free one.
        as_json: Print the result instead of the tables.
        quiet: Show no progress.

    Returns:
        0 where the audit (or every control) passed, else 1.

    Raises:
        RecommonsError: The options are not admissible, or the run failed.
    """
    calm_flower()
    from recommons.simulations.empirical.audit import audit_by_experiment, control_audit
    from recommons.simulations.empirical.page import render_controls, render_result
    from recommons.simulations.empirical.result import Controls, result_json
    from recommons.simulations.empirical.summary import print_controls, print_result

    settings, folder = _settings(options, controls=controls), output or next_folder()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInput("run/output", f"--output is {folder}; required: an empty folder")
    command = shlex.join(["recommons", *sys.argv[1:]])
    carry_out = control_audit if controls else audit_by_experiment
    with open_display(Console(stderr=True), quiet=quiet or as_json) as display:
        display.stage("training with canaries")
        found = carry_out(settings, folder, display.round, command=command)
    document = result_json(found)
    page = folder / "empirical.html"
    (folder / "empirical.json").write_text(document, encoding="utf-8")
    if isinstance(found, Controls):
        page.write_text(render_controls(found), encoding="utf-8")
    else:
        page.write_text(render_result(found), encoding="utf-8")
    if as_json:
        sys.stdout.write(document)
    elif isinstance(found, Controls):
        print_controls(found, Console(), page=page)
    else:
        print_result(found, Console(), page=page)
    return 0 if found.verdict == "passed" else 1


def _settings(options: Mapping[str, Any], *, controls: bool) -> EmpiricalSettings:
    """The settings.

    Raises:
        InvalidInput: A value is not admissible; names each.
    """
    given = {name: value for name, value in options.items() if value is not None}
    try:
        settings = EmpiricalSettings.model_validate(given)
    except ValidationError as error:
        raise InvalidInput("run/settings", describe_validation("options", error)) from error
    if settings.canaries < LEAST_CANARIES:
        raise InvalidInput(
            "run/settings",
            f"--canaries is {settings.canaries}; required: {LEAST_CANARIES} or more",
        )
    if controls and settings.epsilon > 1:
        raise InvalidInput(
            "run/settings",
            f"--epsilon is {settings.epsilon:g}; required with --controls: 1 or less, since one "
            "run can prove only so much",
        )
    return settings
