"""`recommons compare`. Only typer is imported here: heavy things wait inside."""

from pathlib import Path
from typing import Annotated

import typer

from recommons.common.options import Json

__all__ = ["compare"]


def compare(
    plans: Annotated[
        list[str],
        typer.Argument(
            metavar="PLAN…",
            help="Plan files, settings files of `recommons simulate`, or names of models for their "
            "defaults. Of a plan file are taken the model and its settings, the number of sites, "
            "c, M, spare attempts, sites per person, ring and, without --delta, δ; users and "
            "catalogue are those of the data, ε is that of --epsilons.",
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="As in `recommons simulate`; by default embedded data."),
    ] = None,
    epsilons: Annotated[
        str, typer.Option(metavar="ε,ε,…", help="Target ε of each run; inf adds no noise.")
    ] = "1,4,8,inf",
    delta: Annotated[float | None, typer.Option(help="δ, as in `recommons simulate`.")] = None,
    metric: Annotated[
        str, typer.Option(metavar="recall@20|ndcg@20|ndcg@100", help="What is compared.")
    ] = "recall@20",
    runs: Annotated[int, typer.Option(min=1, help="Whole runs of each plan at each ε.")] = 1,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the first run; of split, sites and models.")
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write comparison.json and comparison.svg there."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Several plans at several ε, by whole runs: quality, bytes and seconds in one picture.

    Example:
        recommons compare als two-tower --epsilons 4,8 --output comparison/
        recommons compare plan.toml small.toml --data ml-1m --runs 3
    """
    from recommons.simulations.comparison import compare as run

    run(
        plans,
        data=data,
        epsilons=tuple(epsilons.split(",")),
        delta=delta,
        metric=metric,
        runs=runs,
        seed=seed,
        output=output,
        as_json=as_json,
    )
