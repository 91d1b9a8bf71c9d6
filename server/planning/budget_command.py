"""`recommons budget`: what a plan will cost. Only typer is imported at the top."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["budget"]

budget = typer.Typer(
    help="See what a plan costs in privacy and in noise, before anything runs.\n\n"
    "Example:\n    recommons budget plan PLAN.toml --picture budget.svg",
    no_args_is_help=True,
)


@budget.callback()
def _budget() -> None:
    """Keep `plan` a sub-command though it is the only one."""


@budget.command()
def plan(
    file: Annotated[
        Path,
        typer.Argument(metavar="PLAN.toml", help="The plan file; docs/plan.md lists its keys."),
    ],
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE.svg", help="Also draw it, as an SVG file."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every figure as JSON.")] = False,
) -> None:
    """Show ε by release, released and reserved, in three readings, and what c, M and attempts cost.

    It reads the plan file alone: no data, no site and no key.

    Example:
        recommons budget plan PLAN.toml
        recommons budget plan PLAN.toml --picture budget.svg --json
    """
    from recommons.server.planning.budget_display import show_budget

    show_budget(file, picture=picture, as_json=as_json)
