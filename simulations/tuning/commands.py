"""`recommons tune`. Only typer is imported here: heavy things wait inside."""

from pathlib import Path
from typing import Annotated

import typer

from recommons.common.options import Json

__all__ = ["tune"]


def tune(
    plan: Annotated[
        Path, typer.Argument(metavar="PLAN.toml", help="A plan file, as for `recommons budget`.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Public data to try settings on; by default made-up users over the plan's items.",
        ),
    ] = None,
    only: Annotated[
        str, typer.Option(metavar="NAME,…", help="Which settings to vary, in this order.")
    ] = "learning_rate,clip,steps,rate",
    users: Annotated[
        int | None,
        typer.Option(min=50, help="Made-up users; by default the declared ones, at most 4000."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Trainings of each candidate.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of made-up users and of the split.")] = 0,
    as_json: Json = False,
) -> None:
    """Rate, rounds and clip for a plan's budget, by simulation without anybody's data.

    Example:
        recommons tune plan.toml --data ml-1m --only learning_rate,steps
    """
    from recommons.simulations.tuning.tuning import tune as run

    run(
        plan,
        data=data,
        names=tuple(name for name in only.split(",") if name),
        users=users,
        repeats=repeats,
        seed=seed,
        as_json=as_json,
    )
