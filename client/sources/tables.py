"""A file of rows as a lazy Polars frame whose errors name a place and never a cell's content."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recommons.client.sources.textfiles import (
    TextForm,
    check_utf8,
    header_of,
    line_of_row,
    unreadable_row,
)
from recommons.common.errors import DataError

__all__ = [
    "DAMAGED",
    "ROW",
    "SPOILED",
    "TEXT_FORMS",
    "Table",
    "check_header",
    "json_lines_table",
    "open_table",
    "parquet_table",
    "refuse_empty",
    "text_table",
]

ROW = "__row__"
"""The column that counts rows from 1."""

SPOILED = "__spoiled__"
"""The column that says which lines are not of their file's form, where each stands for itself."""

DAMAGED = "\ufffd"
"""What stands for bytes that are no text, and for a value that is no cell."""

_BATCH_ROWS = 1 << 20

TEXT_FORMS = {
    ".csv": TextForm(separator=","),
    ".tsv": TextForm(separator="\t"),
    ".jsonl": TextForm(separator=None),
}
"""How text files are divided, by their ending."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A file of rows, not yet read.

    Attributes:
        path: The file.
        label: Its name in messages.
        frame: Its rows, and `ROW`; cells of text files are text, null where empty.
        columns: The names of its columns.
        form: How a text file is divided; None for Parquet, and where lines stand for themselves.
        by_line: `ROW` counts the lines of a text file.
    """

    path: Path
    label: str
    frame: pl.LazyFrame
    columns: tuple[str, ...]
    form: TextForm | None
    by_line: bool = False

    @property
    def is_json(self) -> bool:
        """The file holds JSON lines."""
        return self.form is not None and self.form.separator is None

    def collect(self, query: pl.LazyFrame) -> pl.DataFrame:
        """Run a query over the file in a stream.

        Raises:
            DataError: The file cannot be read. Polars' own message may quote the file, so it is
                dropped.
        """
        with self._reading():
            return query.collect(engine="streaming")

    def batches(self, query: pl.LazyFrame, *, in_order: bool = False) -> Iterator[pl.DataFrame]:
        """Run a query over the file, batch by batch, in any order of rows or in the file's.

        Raises:
            DataError: As `collect`.
        """
        with self._reading():
            yield from query.collect_batches(
                chunk_size=_BATCH_ROWS, maintain_order=in_order, engine="streaming"
            )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except pl.exceptions.ColumnNotFoundError:
            raise  # a mistake of ours, not of the file
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            raise self._unreadable() from None

    def empty_column(self, column: str, expected: str) -> DataError:
        """The error of a column without a single value."""
        return DataError(
            "data/empty-column",
            f"{self.label}, column {column}: every cell is empty; expected {expected}",
        )

    def require_type(self, column: str, *, fits: bool, expected: str) -> None:
        """Refuse a column of another type, or say that it is empty where that is the reason.

        Raises:
            DataError: `fits` is false, and there is at least one row.
        """
        if fits:
            return
        counts = pl.len().alias("rows"), pl.col(column).count().alias("filled")
        rows, filled = self.collect(self.frame.select(counts)).row(0)
        if not rows:
            return
        if not filled:
            raise self.empty_column(column, expected)
        dtype = self.frame.collect_schema()[column]
        raise DataError(
            "data/unreadable", f"{self.label}, column {column}: holds {dtype}; expected {expected}"
        )

    def require_ids(self, column: str) -> None:
        """Refuse a column of ids that is neither text nor whole numbers.

        Raises:
            DataError: It is of another type.
        """
        dtype = self.frame.collect_schema()[column]
        fits = dtype.is_integer() or dtype in (pl.String, pl.Categorical, pl.Enum)
        self.require_type(column, fits=fits, expected="ids as text or whole numbers")

    def place(self, row: int, column: str | None = None) -> str:
        """``events.csv, row 3 (line 4), column timestamp``."""
        line = "" if self.form is None else f" (line {line_of_row(self.path, self.form, row)})"
        name = "" if column is None else f", column {column}"
        return f"{self.label}, {'line' if self.by_line else 'row'} {row}{line}{name}"

    def _unreadable(self) -> DataError:
        if self.form is None:
            what = "text in lines" if self.by_line else "a Parquet file"
            return DataError("data/unreadable", f"{self.label}: expected {what}")
        found = unreadable_row(self.path, self.form, len(self.columns))
        if found is None:
            return DataError("data/unreadable", f"{self.label}: cannot be read as a table")
        row, line, expected = found
        return DataError(
            "data/unreadable", f"{self.label}, row {row} (line {line}): unreadable; {expected}"
        )


def open_table(path: Path, label: str, candidates: tuple[str, ...]) -> Table:
    """Open a Parquet, CSV, TSV or JSONL file by its ending.

    Args:
        path: The file.
        label: Its name in messages.
        candidates: The columns of interest: a JSONL file has no header, so a column exists there
            if any row has it. Those of other files come from the file.

    Raises:
        DataError: Another ending; a file that is empty, not UTF-8 or not readable at all.
    """
    if path.suffix == ".parquet":
        return parquet_table(path, label)
    form = TEXT_FORMS.get(path.suffix)
    if form is None:
        raise DataError(
            "data/format",
            f"{label}: ending {path.suffix!r}; expected .parquet, .csv, .tsv or .jsonl",
        )
    if form.separator is None:
        return json_lines_table(path, label, candidates)
    return text_table(path, label, form, known=candidates)


def parquet_table(path: Path, label: str) -> Table:
    """Open a Parquet file.

    Raises:
        DataError: It is empty or not Parquet.
    """
    refuse_empty(path, label)
    frame = pl.scan_parquet(path, row_index_name=ROW, row_index_offset=1, glob=False)
    table = Table(path=path, label=label, frame=frame, columns=(), form=None)
    columns = table.collect(frame.head(0)).columns
    return Table(path=path, label=label, frame=frame, columns=_without_row(columns), form=None)


def text_table(
    path: Path,
    label: str,
    form: TextForm,
    *,
    names: tuple[str, ...] = (),
    known: tuple[str, ...] = (),
) -> Table:
    """Open a text file with separators; every cell is text, rows that are blank are left out.

    Args:
        path: The file, UTF-8.
        label: Its name in messages.
        form: How it is divided.
        names: The columns' names where the file has no header; a column without a name is of no
            interest.
        known: Names of columns that messages may show.

    Raises:
        DataError: It is empty or not UTF-8, or its header is unreadable or names a column twice.
    """
    refuse_empty(path, label)
    check_utf8(path, label, form, known)
    columns = _header(path, label, form) or names
    physical = [name or f"__unnamed_{k}__" for k, name in enumerate(columns)]
    frame = pl.scan_csv(
        path,
        has_header=form.header,
        separator=form.separator or ",",
        quote_char='"' if form.quoted else None,
        schema=dict.fromkeys(physical, pl.String()),
        row_index_name=ROW,
        row_index_offset=1,
        glob=False,
    ).filter(~pl.all_horizontal(pl.col(physical).is_null()))
    return Table(path=path, label=label, frame=frame, columns=tuple(physical), form=form)


def json_lines_table(path: Path, label: str, candidates: tuple[str, ...]) -> Table:
    """Open a file of JSON objects, one a line; every cell is read as text.

    Raises:
        DataError: It is empty or not UTF-8.
    """
    refuse_empty(path, label)
    form = TEXT_FORMS[".jsonl"]
    check_utf8(path, label, form, candidates)
    schema = dict.fromkeys(candidates, pl.String())
    frame = pl.scan_ndjson(path, schema=schema, row_index_name=ROW, row_index_offset=1)
    table = Table(path=path, label=label, frame=frame, columns=candidates, form=form)
    present = table.collect(frame.select(pl.col(candidates).is_not_null().any())).row(0)
    columns = tuple(c for c, there in zip(candidates, present, strict=True) if there)
    return Table(path=path, label=label, frame=frame, columns=columns, form=form)


def _header(path: Path, label: str, form: TextForm) -> tuple[str, ...]:
    try:
        columns = header_of(path, form)
    except (csv.Error, StopIteration):
        raise DataError(
            "data/unreadable", f"{label}: unreadable header; expected the names of columns"
        ) from None
    check_header(columns, label)
    return columns


def check_header(columns: tuple[str, ...], label: str) -> None:
    """Refuse a header that names a column twice.

    Raises:
        DataError: ``data/ambiguous``.
    """
    for k, name in enumerate(columns):
        first = columns.index(name)
        if name and first != k:
            raise DataError(
                "data/ambiguous",
                f"{label}: columns {first + 1} and {k + 1} have the same name; expected a header "
                "in which each column has its own",
            )


def _without_row(columns: list[str]) -> tuple[str, ...]:
    return tuple(name for name in columns if name != ROW)


def refuse_empty(path: Path, label: str) -> None:
    """Refuse a file without a byte.

    Raises:
        DataError: ``data/empty``.
    """
    if path.stat().st_size == 0:
        raise DataError("data/empty", f"{label}: the file is empty; expected rows of data")
