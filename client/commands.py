"""The site's sub-commands. Only typer is imported here: heavy things wait inside the functions."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["recommend"]


def recommend(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="What `recommons simulate --output` wrote.")
    ],
    items: Annotated[
        str | None,
        typer.Option(metavar="ID,ID,…", help="A basket: item ids, separated by commas."),
    ] = None,
    users: Annotated[
        Path | None,
        typer.Option(metavar="EVENTS", help="A file of users' events: Parquet, CSV, TSV or JSONL."),
    ] = None,
    count: Annotated[int, typer.Option("-k", "--count", min=1, help="Length of each list.")] = 10,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where --users' lists go: .parquet, .csv or .jsonl."),
    ] = None,
    site: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Recommend as this site would, with its own data."),
    ] = None,
    why: Annotated[
        bool, typer.Option("--why", help="Show what in the basket speaks for each item.")
    ] = False,
    columns: Annotated[
        str | None,
        typer.Option(metavar="FIELD=NAME,…", help="Names of --users' columns, where unusual."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Recommend items for a basket, or for a file of users the model has never seen.

    A user's own items are left out. A file of lists has the columns user_id, item_id, rank and
    score.

    Example:
        recommons recommend runs/001 --items 20682,22139 -k 10
        recommons recommend runs/001 --users new-users.csv -k 20 --output recs.parquet
    """
    if (items is None) == (users is None):
        raise typer.BadParameter("give one of them, not both", param_hint="--items, --users")
    if items is not None:
        _refuse_with_items({"--output": output, "--columns": columns})
        from recommons.client.recommend_command import recommend_for_basket

        recommend_for_basket(folder, items, count, site=site, why=why, as_json=as_json)
    elif users is not None:
        if output is None:
            raise typer.BadParameter("--users needs a file to write", param_hint="--output")
        if why:
            raise typer.BadParameter("goes with --items only", param_hint="--why")
        from recommons.client.recommend_command import recommend_for_users

        recommend_for_users(
            folder, users, count, output, site=site, columns=columns, as_json=as_json
        )


def _refuse_with_items(options: Mapping[str, object]) -> None:
    for name, value in options.items():
        if value is not None:
            raise typer.BadParameter("goes with --users only", param_hint=name)
