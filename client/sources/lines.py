"""Text files a line at a time: what an event says depends on its own line alone.

A site's part of a sum must not depend on how somebody else's row is written (DESIGN section 5). So
a line is an event, whatever stands around it: a quote that is never closed, bytes that are no text
or a cell too many spoil their own line and no other. A quoted cell therefore cannot hold a line
break here. JSON lines have no header: every column that could be there counts as there.
"""

import csv
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import polars as pl

from recommons.client.sources.columns import EVENT_FIELDS, ColumnNames
from recommons.client.sources.tables import (
    DAMAGED,
    ROW,
    SPOILED,
    TEXT_FORMS,
    Table,
    check_header,
    open_table,
    refuse_empty,
)
from recommons.common.errors import DataError

__all__ = ["open_rows"]

_LINE, _CELL_END, _NO_CELL = "line", "\x1f", "\x01"
_FIELDS = tuple(field for field in EVENT_FIELDS if field != "country")  # no model reads it


def open_rows(path: Path, label: str, names: ColumnNames) -> Table:
    """Open a Parquet, CSV, TSV or JSONL file of events whose rows stand each for themselves.

    Args:
        path: The file.
        label: Its name in messages.
        names: How its columns are named.

    Returns:
        A table; that of a text file has the column `SPOILED`, and its `ROW` counts lines.

    Raises:
        DataError: For what no row can bring about: another ending, an empty file, no Parquet file,
            a header that is unreadable or names a column twice.
    """
    form = TEXT_FORMS.get(path.suffix)
    if form is None:
        return open_table(path, label, names.candidates(*_FIELDS))
    refuse_empty(path, label)
    if form.separator is None:
        by_field = {names.candidates(field)[0]: names.candidates(field) for field in _FIELDS}
        columns, before = tuple(by_field), 0
        joined = partial(_joined_json, by_field, names.candidates("timestamp")[0])
    else:
        columns, before = _header(path, label, form.separator)
        joined = partial(_joined_cells, form.separator)
    frame = _cells(path, before, columns, joined)
    return Table(path=path, label=label, frame=frame, columns=columns, form=None, by_line=True)


def _cells(
    path: Path, before: int, columns: tuple[str, ...], joined: Callable[[pl.Series], pl.Series]
) -> pl.LazyFrame:
    """The lines after the header, in cells; null where empty. Blank lines are no rows."""
    lines = pl.scan_csv(
        path,
        has_header=False,
        skip_lines=before,
        separator=_NO_CELL,
        quote_char=None,
        schema={_LINE: pl.String()},
        encoding="utf8-lossy",
        truncate_ragged_lines=True,
        extra_columns="ignore",
        raise_if_empty=False,
        row_index_name=ROW,
        row_index_offset=before + 1,
        glob=False,
    )
    line = pl.col(_LINE).str.strip_chars_end("\r")
    whole = pl.col(_LINE).map_batches(joined, return_dtype=pl.String, is_elementwise=True)
    parts = whole.str.splitn(_CELL_END, len(columns) + 1)
    rest = pl.col(SPOILED).str.strip_chars(_CELL_END)
    return (
        lines.with_columns(line)
        .filter(pl.col(_LINE) != "")
        .select(ROW, parts.struct.rename_fields([*columns, SPOILED]).alias(_LINE))
        .unnest(_LINE)
        .with_columns(
            # Without a first cell, if an empty one, there was no line to divide.
            (pl.col(columns[0]).is_null() | (rest != "").fill_null(value=False)).alias(SPOILED),
            *(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in columns),
        )
        .filter(pl.col(SPOILED) | pl.any_horizontal(pl.col(columns).is_not_null()))
    )


def _header(path: Path, label: str, separator: str) -> tuple[tuple[str, ...], int]:
    """The columns' names, from the first line that is not blank, and that line's number."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            text = line.decode("utf-8-sig", errors="replace").strip("\r\n")
            if text.strip():
                cells = _split(separator, text)
                if cells is None:
                    break
                check_header(cells, label)
                named = (name or f"__unnamed_{k}__" for k, name in enumerate(cells))
                return tuple(named), number
    raise DataError(
        "data/unreadable", f"{label}: unreadable header; expected the names of columns"
    ) from None


def _joined_cells(separator: str, lines: pl.Series) -> pl.Series:
    """Each line with its cells ended in one way; null where it is not of the form."""
    plain = lines.str.replace_all(separator, _CELL_END, literal=True)
    quoted = lines.str.contains_any(['"', _CELL_END]).arg_true()
    if not len(quoted):
        return plain
    parsed = [_joined(_split(separator, line)) for line in lines.gather(quoted).to_list()]
    return plain.scatter(quoted, pl.Series(parsed, dtype=pl.String))


def _split(separator: str, line: str) -> tuple[str, ...] | None:
    try:
        return tuple(next(csv.reader([line], delimiter=separator, strict=True)))
    except csv.Error:
        return None


def _joined_json(
    by_field: Mapping[str, tuple[str, ...]], timestamp: str, lines: pl.Series
) -> pl.Series:
    """Each object's cells, field by field. Who has no time comes first: others may have none."""

    def read(line: str) -> str | None:
        try:
            value = json.loads(line.removeprefix("\ufeff"))
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict):
            return None
        cells = []
        for field, usual in by_field.items():
            cell: object = None
            for name in usual:
                if cell is None:
                    cell = value.get(name)
            if cell is None:
                cells.append("0" if field == timestamp else "")
            else:
                cells.append(cell if isinstance(cell, str) else _text(cell))
        return _joined(cells)

    return pl.Series([read(line) for line in lines.to_list()], dtype=pl.String)


def _text(cell: object) -> str:
    return DAMAGED if isinstance(cell, dict | list | bool) else repr(cell)


def _joined(cells: tuple[str, ...] | list[str] | None) -> str | None:
    if cells is None:
        return None
    whole = _CELL_END.join(cells)
    if whole.count(_CELL_END) != len(cells) - 1:
        return None  # one of them holds it
    if not whole.isascii():
        try:
            whole.encode()
        except UnicodeEncodeError:  # half a surrogate pair, written as \uD800
            return None
    return whole
