"""Times in microseconds since 1970, whatever they are written as.

Each cell says by itself what it counts, so that files, rows and sites that write times differently
are put in one order, and one user's way of writing decides nothing for another.

| a cell is | it is read as |
|---|---|
| a date, or ISO 8601 | what it says; without an offset, UTC |
| a number from 0, below 2100 in seconds | seconds since 1970 |
| a number from 1995, below 2100, in milli-, micro- or nanoseconds | those since 1970 |
| any other number | none: in no unit does it lie in those years |

No number is two of these: one that is milliseconds of 1995 is seconds of the year 26,969. Digits of
a date (20231114221320) and counts from other years (1601, 1900, the year 1) in small units are
none. Nothing below a microsecond is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import polars as pl

from recommons.client.sources.tables import ROW, Table
from recommons.common.errors import DataError

__all__ = ["Clock", "clock_by_cell", "clock_of"]

_FIRST, _LAST = 788_918_400, 4_102_444_800
"""1995 and 2100, in seconds since 1970: years of which numbers in small units are believed."""

_MICRO, _NANO = 10**6, 10**9

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
    """How a column's times are read.

    Attributes:
        kind: ``whole`` and ``decimal`` (numbers of Polars' own types), ``number`` (text), ``date``
            (Polars' own types) or ``iso``; ``cell`` where each cell of text is read for itself,
            whatever the others are.
        form: The ISO form of the whole column, for ``iso``.
    """

    kind: str
    form: str = ""

    @property
    def expected(self) -> str:
        """What a cell of the column must be."""
        if self.kind == "iso":
            return "a time in the form of the column's first"
        numbers = {"whole": "a whole number", "decimal": "a finite number", "number": "a number"}
        return numbers.get(self.kind, "a time")

    def read(self, column: str) -> pl.Expr:
        """Microseconds since 1970, int64; null where the cell is empty or no time."""
        cell = pl.col(column)
        if self.kind == "whole":
            return _of_whole(cell)
        if self.kind == "decimal":
            return _of_decimal(cell)
        if self.kind == "number":
            # As a whole number it has all its digits.
            whole = cell.cast(pl.Int64, strict=False).is_not_null()
            return pl.when(whole).then(_of_whole(cell)).otherwise(_of_decimal(cell))
        if self.kind == "date":
            return cell.cast(pl.Datetime("us"), strict=False).dt.epoch("us")
        if self.kind == "cell":
            return cell.map_batches(_each_cell, return_dtype=pl.Int64, is_elementwise=True)
        return cell.str.to_datetime(self.form, time_unit="us", strict=False).dt.epoch("us")

    def is_number(self, column: str) -> pl.Expr:
        """Whether the cell is a finite number, be it a time or not."""
        if self.kind in ("date", "iso"):
            return pl.lit(value=False)
        number = pl.col(column).cast(pl.Float64, strict=False)
        return number.is_finite().fill_null(value=False)


def _of_whole(cell: pl.Expr) -> pl.Expr:
    number = cell.cast(pl.Int64, strict=False)
    return _in_its_unit(
        number,
        [number * _MICRO, number * (_MICRO // 1000), number, number // (_NANO // _MICRO)],
    )


def _of_decimal(cell: pl.Expr) -> pl.Expr:
    number = cell.cast(pl.Float64, strict=False)
    number = pl.when(number.is_finite()).then(number)
    ways = [number * _MICRO, number * (_MICRO // 1000), number, number / (_NANO // _MICRO)]
    return _in_its_unit(number, [way.round().cast(pl.Int64, strict=False) for way in ways])


def _in_its_unit(number: pl.Expr, ways: Sequence[pl.Expr]) -> pl.Expr:
    """The one of four ways (seconds, milli-, micro-, nanoseconds) that fits; negative if it is."""
    chosen = pl.when(number < 0).then(pl.lit(-1)).when(number < _LAST).then(ways[0])
    for a_second, way in zip((1000, _MICRO, _NANO), ways[1:], strict=True):
        within = number.is_between(_FIRST * a_second, _LAST * a_second, closed="left")
        chosen = chosen.when(within).then(way)
    return chosen.otherwise(None)


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
    expected = "times as numbers or ISO 8601"
    table.require_type(column, fits=dtype == pl.String, expected=expected)
    present = table.frame.filter(pl.col(column).is_not_null())
    first = table.collect(present.select(ROW, column).head(1))
    if first.is_empty():
        return Clock(kind="number")  # there is nothing to read, and the checks of rows say so
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
    ways = [Clock(kind="number"), *(Clock(kind="iso", form=form) for form in _ISO)]
    if first is not None and first.kind == "iso":
        ways.insert(1, first)
    for way in ways:
        if not len(left):
            break
        read = pl.DataFrame({"cell": cells.gather(left)}).select(way.read("cell")).to_series()
        times = times.scatter(left, read)
        left = left.filter(read.is_null())
    return times


def _clock_of_text(first: pl.DataFrame, column: str) -> Clock | None:
    number = Clock(kind="number")
    if first.select(number.is_number(column)).item():
        return number
    for clock in (Clock(kind="iso", form=form) for form in _ISO):
        if first.select(clock.read(column)).item() is not None:
            return clock
    return None
