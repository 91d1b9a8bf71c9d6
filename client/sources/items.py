"""The public item table, and the catalogue it makes together with the items of events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from recommons.client.sources.columns import ColumnNames
from recommons.client.sources.features import typed_column
from recommons.client.sources.tables import ROW, Table, open_table
from recommons.common.data.catalogue import Catalogue, FeatureColumn
from recommons.common.errors import DataError

__all__ = ["ITEM", "TITLE", "ItemTable", "build_catalogue", "item_table", "read_items"]

ITEM, TITLE = "item_id", "title"


@dataclass(frozen=True, kw_only=True, eq=False)
class ItemTable:
    """Public items in the order of their file.

    Attributes:
        item_ids: Distinct ids.
        titles: Title by item, empty where unknown.
        features: Typed columns.
    """

    item_ids: tuple[str, ...]
    titles: tuple[str, ...]
    features: tuple[FeatureColumn, ...]


def read_items(
    path: Path,
    label: str,
    names: ColumnNames,
    *,
    refine: Callable[[pl.DataFrame], pl.DataFrame] = lambda rows: rows,
) -> ItemTable:
    """Read ``items.parquet``, ``.csv``, ``.tsv`` or ``.jsonl``.

    Args:
        path: The file.
        label: Its name in messages.
        names: How its columns are named.
        refine: What a layout knows beyond types: rows with `ITEM` and `TITLE` to such rows.

    Raises:
        DataError: The column of ids is missing, a cell of it empty or repeated, the file not
            readable, or a vector not like the others.
    """
    table = open_table(path, label, names.candidates("item_id", "title"))
    if table.is_json:
        table = _with_json_types(table)
    rows = table.collect(table.frame)
    if rows.is_empty():
        raise DataError("data/empty", f"{label}: no rows; expected at least one item")
    item, title = (
        names.require("item_id", table.columns, label),
        names.find("title", table.columns, label),
    )
    table.require_ids(item)
    renamed = rows.rename({item: ITEM, **({} if title is None else {title: TITLE})})
    return item_table(refine(renamed), table)


def _with_json_types(table: Table) -> Table:
    """JSON lines with lists and numbers as such; ids and titles stay text."""
    frame = pl.scan_ndjson(
        table.path,
        infer_schema_length=None,
        schema_overrides=dict.fromkeys(table.columns, pl.String()),
        row_index_name=ROW,
        row_index_offset=1,
    )
    columns = table.collect(frame.head(0)).columns
    return replace(table, frame=frame, columns=tuple(name for name in columns if name != ROW))


def item_table(rows: pl.DataFrame, table: Table) -> ItemTable:
    """Check ids and type the columns of rows that have `ITEM`, perhaps `TITLE`, and `ROW`.

    Raises:
        DataError: An id is empty or repeated, or a column cannot be a feature.
    """
    numbers = rows[ROW]

    def place(position: int, column: str) -> str:
        return table.place(int(numbers[position]), column)

    ids = rows[ITEM].cast(pl.String)
    missing = (ids.is_null() | (ids == "")).arg_true()
    if len(missing):
        raise DataError(
            "data/missing-value", f"{place(missing[0], ITEM)}: the cell is empty; expected an id"
        )
    repeated = (~ids.is_first_distinct()).arg_true()
    if len(repeated):
        raise DataError(
            "data/duplicate-item",
            f"{place(repeated[0], ITEM)}: the item stands in an earlier row too; "
            "expected one row for each item",
        )
    titles = rows[TITLE].cast(pl.String).fill_null("") if TITLE in rows else None
    columns = [c for c in rows.columns if c not in (ITEM, TITLE) and not c.startswith("__")]
    typed = [typed_column(rows[name], name, place) for name in columns]
    return ItemTable(
        item_ids=tuple(ids),
        titles=("",) * len(ids) if titles is None else tuple(titles),
        features=tuple(column for column in typed if column is not None),
    )


def build_catalogue(items: ItemTable | None, occurring: Sequence[str]) -> Catalogue:
    """All items of the table and of the events, ascending by id.

    An item that only events know has no title and no features, and makes the catalogue as a whole
    depend on users: it is then marked as inferred, as is a catalogue without any table.
    """
    if items is None:
        ids = tuple(sorted(occurring))
        return Catalogue(item_ids=ids, titles=("",) * len(ids), inferred=True)
    extra = sorted(set(occurring) - set(items.item_ids))
    ids = (*items.item_ids, *extra)
    order = sorted(range(len(ids)), key=ids.__getitem__)
    titles = (*items.titles, *("" for _ in extra))
    return Catalogue(
        item_ids=tuple(ids[k] for k in order),
        titles=tuple(titles[k] for k in order),
        features=tuple(_reordered(column, order, len(extra)) for column in items.features),
        inferred=bool(extra),
    )


def _reordered(column: FeatureColumn, order: list[int], extra: int) -> FeatureColumn:
    values = column.values
    if isinstance(values, np.ndarray):
        blank = np.nan if column.kind == "number" else 0.0
        padding = np.full((extra, *values.shape[1:]), blank, values.dtype)
        array = np.concatenate((values, padding))[order]
        return FeatureColumn(name=column.name, kind=column.kind, values=array)
    if column.kind == "categories":
        cells = [*values, *(() for _ in range(extra))]
    else:
        cells = [*values, *("" for _ in range(extra))]
    chosen = tuple(cells[k] for k in order)
    return FeatureColumn(name=column.name, kind=column.kind, values=chosen)
