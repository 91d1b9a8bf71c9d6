"""Times as whole numbers, whatever the file writes them as."""

from dataclasses import dataclass
from itertools import product

import polars as pl

from recommons.client.sources.tables import ROW, Table
from recommons.common.errors import DataError

__all__ = ["Clock", "clock_by_cell", "clock_of"]

_ISO = tuple(
    f"%Y-%m-%d{clock}{zone}"
    for clock, zone in (
        ("", ""),
        *product(
            ("T%H:%M:%S%.f", " %H:%M:%S%.f", "T%H:%M", " %H:%M"),
            ("", "%#z"),
        ),
    )
)


@dataclass(frozen=True, kw_only=True)
class Clock:
    """How a column's times are read: one way for the whole column.

    The order of times matters, and to a model that reads sequences the time between them. So
    numbers have one unit, the column's own: whole ones as they are, decimal ones without their
    fraction. A cell then counts the same whichever of the two it and its neighbours are; within
    one unit the order is lost. Dates and ISO 8601 are in microseconds since 1970.

    Attributes:
        kind: ``whole``, ``decimal``, ``date`` (Polars' own type) or ``iso``; ``cell`` where each
            cell of text is read for itself, whatever the others are.
        form: The ISO form of the whole column, for ``iso``.
    """

    kind: str
    form: str = ""

    @property
    def unit(self) -> str:
        """What the whole numbers count, as far as the column says."""
        if self.kind in ("whole", "decimal"):
            return "its own unit"
        return "its cells' own units" if self.kind == "cell" else "microseconds"

    @property
    def expected(self) -> str:
        """What a cell of the column must be."""
        if self.kind == "iso":
            return "a time in the form of the column's first"
        return {"whole": "a whole number", "decimal": "a finite number"}.get(self.kind, "a time")

    def read(self, column: str) -> pl.Expr:
        """int64; null where the cell is empty or unreadable."""
        cell = pl.col(column)
        if self.kind == "whole":
            return cell.cast(pl.Int64, strict=False)
        if self.kind == "decimal":
            number = cell.cast(pl.Float64, strict=False)
            finite = pl.when(number.is_finite()).then(number)
            return finite.floor().cast(pl.Int64, strict=False)
        if self.kind == "date":
            return cell.cast(pl.Datetime("us")).dt.epoch("us")
        if self.kind == "cell":
            return cell.map_batches(_each_cell, return_dtype=pl.Int64, is_elementwise=True)
        return cell.str.to_datetime(self.form, time_unit="us", strict=False).dt.epoch("us")


def clock_of(table: Table, column: str) -> Clock:
    """Choose by the column's type, or by its first cell where it is text.

    Raises:
        DataError: Neither numbers nor times.
    """
    dtype = table.frame.collect_schema()[column]
    if dtype.is_integer():
        return Clock(kind="whole")
    if dtype.is_numeric():
        return Clock(kind="decimal")
    if dtype == pl.Date or isinstance(dtype, pl.Datetime):
        return Clock(kind="date")
    expected = "times as whole numbers or ISO 8601"
    table.require_type(column, fits=dtype == pl.String, expected=expected)
    present = table.frame.filter(pl.col(column).is_not_null())
    first = table.collect(present.select(ROW, column).head(1))
    if first.is_empty():
        return Clock(kind="whole")  # there is nothing to read, and the checks of rows say so
    clock = _clock_of_text(first, column)
    if clock is None:
        place = table.place(first[ROW][0], column)
        raise DataError("data/unreadable", f"{place}: unreadable; expected {expected}")
    return clock


def clock_by_cell(table: Table, column: str) -> Clock:
    """Choose by the column's type alone: no row decides how another's time is read.

    Raises:
        DataError: Neither numbers nor times.
    """
    if table.frame.collect_schema()[column] == pl.String:
        return Clock(kind="cell")
    return clock_of(table, column)


def _each_cell(cells: pl.Series) -> pl.Series:
    """Each cell in the first way in which it can be read: no two ISO forms fit one cell.

    So the order in which those are tried is one of speed alone; the way that fits the part's first
    cell goes first.
    """
    times = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(cells))
    left = cells.is_not_null().arg_true()
    first = None
    if len(left):
        first = _clock_of_text(pl.DataFrame({"cell": cells.gather(left[:1])}), "cell")
    ways = [Clock(kind="whole"), Clock(kind="decimal"), *(Clock(kind="iso", form=f) for f in _ISO)]
    if first is not None and first.kind == "iso":
        ways.insert(2, first)
    for way in ways:
        if not len(left):
            break
        read = pl.DataFrame({"cell": cells.gather(left)}).select(way.read("cell")).to_series()
        times = times.scatter(left, read)
        left = left.filter(read.is_null())
    return times


def _clock_of_text(first: pl.DataFrame, column: str) -> Clock | None:
    ways = (Clock(kind="whole"), Clock(kind="decimal"), *(Clock(kind="iso", form=f) for f in _ISO))
    for clock in ways:
        if first.select(clock.read(column)).item() is not None:
            return clock
    return None
