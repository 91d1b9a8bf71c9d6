"""What a row of events must satisfy, and which rows do not count.

Where a person gave a file, `judge` refuses it and names the first bad row. A site's own data go
through `sift`: a bad row is left out, and changes nothing for anybody else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from recommons.client.sources.clocks import Clock
from recommons.client.sources.columns import EventColumns, EventFilter
from recommons.client.sources.tables import DAMAGED, ROW, SPOILED, Table
from recommons.common.errors import DataError

__all__ = ["Verdict", "judge", "sift"]


@dataclass(frozen=True, kw_only=True)
class _Check:
    """A condition that no row may meet."""

    column: str
    bad: pl.Expr
    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A file in which every row can be read.

    Attributes:
        rows: Number of rows.
        kept: The rows that count.
        left_out: Number of rows that do not, by reason; reasons without rows are not listed.
        bad: Number of rows that cannot be read, likewise; none where they are refused.
        first_bad: The place of the first of those, and what is wrong there.
    """

    rows: int
    kept: pl.Expr
    left_out: Mapping[str, int]
    bad: Mapping[str, int] = field(default_factory=dict)
    first_bad: str | None = None


def judge(
    table: Table, columns: EventColumns, clock: Clock | None, positives: EventFilter
) -> Verdict:
    """Check all rows in one pass.

    Raises:
        DataError: An id column is of another type or all null, no row is there or none counts, or
            a cell is empty or unreadable; file, row and column are named, never a content.
    """
    checks = _checks(table, columns, clock)
    unwanted = _first_reasons(_unwanted(columns, positives))
    found = table.collect(
        table.frame.select(
            pl.len().alias("rows"),
            *(pl.col(name).count().alias(f"filled {name}") for name in columns.in_each_row()),
            *(pl.col(ROW).filter(c.bad).min().alias(f"first {k}") for k, c in enumerate(checks)),
            *(rows.sum().alias(f"left out {reason}") for reason, rows in unwanted.items()),
        )
    ).row(0, named=True)
    if found["rows"] == 0:
        raise DataError("data/empty", f"{table.label}: no rows; expected at least one event")
    for name in columns.in_each_row():
        if not found[f"filled {name}"]:
            raise table.empty_column(name, "a value in each row")
    firsts = ((found[f"first {k}"], k) for k in range(len(checks)))
    worst = min(((row, k) for row, k in firsts if row is not None), default=None)
    if worst is not None:
        row, k = worst
        check = checks[k]
        raise DataError(check.code, f"{table.place(row, check.column)}: {check.message}")
    left_out = {reason: int(found[f"left out {reason}"]) for reason in unwanted}
    if sum(left_out.values()) >= found["rows"]:
        raise DataError(
            "data/empty", f"{table.label}: every row is left out ({', '.join(left_out)})"
        )
    return Verdict(
        rows=int(found["rows"]),
        kept=~pl.any_horizontal(pl.lit(value=False), *unwanted.values()),
        left_out={reason: count for reason, count in left_out.items() if count},
    )


def sift(
    table: Table, columns: EventColumns, clock: Clock | None, positives: EventFilter
) -> Verdict:
    """Find the rows that can be read and count, each for itself: one that cannot be is left out.

    What a row is taken for depends on that row alone, and no row, and no lack of rows, is refused.

    Raises:
        DataError: An id column is of another type, or the table cannot be read at all.
    """
    checks = _checks(table, columns, clock)
    damaged = [
        _Check(
            column=name,
            bad=pl.col(name).cast(pl.String).str.contains(DAMAGED, literal=True),
            code="data/unreadable",
            message="unreadable; expected text in UTF-8",
        )
        for name in (columns.user_id, columns.item_id)
    ]
    bad = {f"{c.column}: {c.message}": c.bad for c in [*damaged, *checks]}
    if table.by_line:
        bad = {"not of the file's form": pl.col(SPOILED), **bad}
    met = bad | _unwanted(columns, positives)
    left = pl.any_horizontal(pl.lit(value=False), *met.values()).fill_null(value=False)
    seen = table.collect(table.frame.select(pl.len().alias("rows"), left.sum().alias("left")))
    rows, number = seen.row(0)
    if not number:  # as nearly always, and then nobody asks again
        return Verdict(rows=rows, kept=pl.lit(value=True), left_out={})
    reasons = _first_reasons(met)
    counts = [column.sum().alias(reason) for reason, column in reasons.items()]
    firsts = [pl.col(ROW).filter(reasons[name]).min().alias(f"first {name}") for name in bad]
    found = table.collect(table.frame.select(*counts, *firsts)).row(0, named=True)
    places = ((found[f"first {name}"], name) for name in bad)
    first = min(((row, name) for row, name in places if row is not None), default=None)
    return Verdict(
        rows=rows,
        kept=~left,
        left_out={r: int(found[r]) for r in reasons if r not in bad and found[r]},
        bad={name: int(found[name]) for name in bad if found[name]},
        first_bad=None if first is None else f"{table.place(first[0])}: {first[1]}",
    )


def _checks(table: Table, columns: EventColumns, clock: Clock | None) -> list[_Check]:
    return [*_id_checks(table, columns), *_time_checks(columns, clock), *_number_checks(columns)]


def _id_checks(table: Table, columns: EventColumns) -> Iterator[_Check]:
    for name in (columns.user_id, columns.item_id):
        table.require_ids(name)
        text = pl.col(name).cast(pl.String)
        yield _Check(
            column=name,
            bad=text.is_null() | (text == ""),
            code="data/missing-value",
            message="the cell is empty; expected an id",
        )
        if table.is_json:
            # Polars gives objects and lists as their text.
            yield _Check(
                column=name,
                bad=text.str.contains(r"^(\{.*\}|\[.*\])$"),
                code="data/unreadable",
                message="unreadable; expected text or a whole number",
            )


def _time_checks(columns: EventColumns, clock: Clock | None) -> Iterator[_Check]:
    name = columns.timestamp
    if name is None or clock is None:
        return
    cell, time = pl.col(name), clock.read(name)
    yield _Check(
        column=name,
        bad=cell.is_null(),
        code="data/missing-value",
        message="the cell is empty; expected a time",
    )
    number = clock.is_number(name)
    yield _Check(
        column=name,
        bad=cell.is_not_null() & time.is_null() & ~number,
        code="data/unreadable",
        message=f"unreadable; expected {clock.expected}",
    )
    yield _Check(
        column=name,
        bad=time.is_null() & number,
        code="data/time-unit",
        message="the number is a time in no unit; expected seconds since 1970",
    )
    yield _Check(
        column=name,
        bad=time < 0,
        code="data/negative-time",
        message="the time is negative; expected one of 1970 or later",
    )


def _number_checks(columns: EventColumns) -> Iterator[_Check]:
    for name in (columns.quantity, columns.value):
        if name is not None:
            cell = pl.col(name)
            yield _Check(
                column=name,
                bad=cell.is_not_null() & cell.cast(pl.Float64, strict=False).is_null(),
                code="data/unreadable",
                message="unreadable; expected a number",
            )


def _unwanted(columns: EventColumns, positives: EventFilter) -> dict[str, pl.Expr]:
    """The rows that do not count, by reason."""
    reasons: dict[str, pl.Expr] = {}
    if columns.event_type is not None and positives.event_types is not None:
        kept = pl.col(columns.event_type).cast(pl.String).is_in(positives.event_types)
        reasons["another event type"] = ~kept.fill_null(value=False)
    if columns.quantity is not None:
        quantity = pl.col(columns.quantity).cast(pl.Float64, strict=False)
        reasons["quantity of zero or less"] = quantity <= 0
    if columns.value is not None and positives.least_value is not None:
        value = pl.col(columns.value).cast(pl.Float64, strict=False)
        reasons[f"value below {positives.least_value:g}"] = value < positives.least_value
    return reasons


def _first_reasons(reasons: Mapping[str, pl.Expr]) -> dict[str, pl.Expr]:
    """Each row under its first reason only."""
    met = [rows.fill_null(value=False) for rows in reasons.values()]
    return {
        # Of the conditions themselves, not of what is found here: that would double with each.
        reason: met[k] & ~pl.any_horizontal(pl.lit(value=False), *met[:k])
        for k, reason in enumerate(reasons)
    }
