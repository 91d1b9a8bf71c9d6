"""A site's own events, read against the catalogue that its federation agreed on."""

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from recommons.client.sources.columns import EVENT_FIELDS, ColumnNames, EventFilter
from recommons.client.sources.events import open_events
from recommons.client.sources.tables import open_table
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.errors import DataError, InvalidInput

__all__ = ["Histories", "read_histories", "write_histories"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Histories:
    """Users and what they touched, in the columns of a given catalogue.

    Attributes:
        user_ids: One id a row, ascending as strings.
        interactions: One row a user; a user who touched only items outside the catalogue has an
            empty row.
        unknown_rows: Number of events on items outside the catalogue, left out.
    """

    user_ids: pl.Series = field(repr=False)
    interactions: Interactions = field(repr=False)
    unknown_rows: int


def read_histories(
    path: Path,
    catalogue: Catalogue,
    *,
    names: ColumnNames | None = None,
    positives: EventFilter | None = None,
    with_order: bool = False,
) -> Histories:
    """Read a file of events (Parquet, CSV, TSV or JSONL).

    Events on items outside the catalogue are left out and counted, not refused: a shop adds
    products between two plans, and what a plan's vectors cannot hold changes neither the sum nor
    its guarantee. If *no* event is on an item of the catalogue, file and catalogue do not belong
    together, and that is an error.

    With `with_order` the interactions carry times and kinds where the file has them, which costs
    ten bytes a pair: only for models that read them.

    Raises:
        DataError: Wrong input, or no known item; file, row and column are named, never a user.
    """
    if not path.is_file():
        raise DataError("data/not-found", f"{path}: no such file; expected a file of events")
    names = names or ColumnNames()
    table = open_table(path, path.name, names.candidates(*EVENT_FIELDS))
    stream = open_events(table, names, positives or EventFilter())
    user_ids = stream.user_ids()
    pairs = stream.pairs(user_ids, pl.Series(catalogue.item_ids), with_order=with_order)
    if not len(pairs.interactions.indices):
        raise DataError(
            "data/unknown-item",
            f"{path.name}: no row has an item of the catalogue; expected its ids",
        )
    return Histories(
        user_ids=user_ids,
        interactions=pairs.interactions,
        unknown_rows=pairs.unknown_rows,
    )


def write_histories(
    path: Path, user_ids: pl.Series, interactions: Interactions, catalogue: Catalogue
) -> None:
    """Write users' pairs as a Parquet file of events (user_id, item_id), by user and item.

    Times are written as moments (``timestamp``). Kinds are not written: their names are gone.

    Raises:
        InvalidInput: The sizes do not agree.
    """
    if (len(user_ids), len(catalogue)) != (interactions.n_users, interactions.n_items):
        raise InvalidInput(
            "input/argument",
            f"interactions are of shape {(interactions.n_users, interactions.n_items)}; "
            f"required: {(len(user_ids), len(catalogue))}, as many users and items as given",
        )
    sizes = pl.Series(interactions.indptr).diff(null_behavior="drop")
    rows = pl.DataFrame({"user_id": user_ids, "n": sizes}).select(
        pl.col("user_id").repeat_by("n").explode(empty_as_null=False)
    )["user_id"]
    items = pl.Series(catalogue.item_ids).gather(interactions.indices)
    frame = pl.DataFrame({"user_id": rows, "item_id": items})
    if interactions.times is not None:
        # A column that says its unit: microseconds soon after 1970 would be read as seconds.
        frame = frame.with_columns(timestamp=pl.Series(interactions.times).cast(pl.Datetime("us")))
    frame.write_parquet(path)
