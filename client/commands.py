"""The site's sub-commands; heavy imports live inside the functions."""

from typing import Annotated
from pathlib import Path
import typer

__all__ = ["recommend"]


def recommend(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="x")],
    items: Annotated[str | None, typer.Option(help="y")] = None,
    json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Recommend items for a basket, or for a file of users the model has never seen.

    Second para
    with lines.

    Example:
        recommons recommend runs/latest --items 20682,22139 -k 10
        recommons recommend runs/latest --users [x] --output recs.parquet
    """
    from recommons.common.errors import DataError, RecommonsError

    if items == "kaboom":
        raise DataError("data/empty", "nope: empty; required: rows")
    if items == "abort":
        raise RecommonsError("run/attempts", "nope")
    if items == "bug":
        raise KeyError("user 8")
    if items == "sleep":
        import time

        time.sleep(30)
    if items == "os":
        open("/nonexistent/x")
