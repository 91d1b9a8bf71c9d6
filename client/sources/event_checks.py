"""What every row of a file of events must satisfy, and which rows do not count."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from recommons.client.sources.clocks import Clock
from recommons.client.sources.columns import EventColumns, EventFilter
from recommons.client.sources.tables import ROW, Table
from recommons.common.errors import DataError

__all__ = ["Verdict", "judge"]


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
    """

    rows: int
    kept: pl.Expr
    left_out: Mapping[str, int]


def judge(
    table: Table, columns: EventColumns, clock: Clock | None, positives: EventFilter
) -> Verdict:
    """Check all rows in one pass.

    Raises:
        DataError: An id column is of another type or all null, no row is there or none counts, or
            a cell is empty or unreadable; file, row and column are named, never a content.
    """
    checks = [*_id_checks(table, columns), *_time_checks(columns, clock), *_number_checks(columns)]
    unwanted = _unwanted(columns, positives)
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
    yield _Check(
        column=name,
        bad=cell.is_not_null() & time.is_null(),
        code="data/unreadable",
        message=f"unreadable; expected {clock.expected}",
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
    """The rows that are left out, by reason; each row under its first reason only."""
    reasons: dict[str, pl.Expr] = {}

    def add(reason: str, rows: pl.Expr) -> None:
        earlier = pl.any_horizontal(pl.lit(value=False), *reasons.values())
        reasons[reason] = rows.fill_null(value=False) & ~earlier

    if columns.event_type is not None and positives.event_types is not None:
        kept = pl.col(columns.event_type).cast(pl.String).is_in(positives.event_types)
        add("another event type", ~kept.fill_null(value=False))
    if columns.quantity is not None:
        quantity = pl.col(columns.quantity).cast(pl.Float64, strict=False)
        add("quantity of zero or less", quantity <= 0)
    if columns.value is not None and positives.least_value is not None:
        value = pl.col(columns.value).cast(pl.Float64, strict=False)
        add(f"value below {positives.least_value:g}", value < positives.least_value)
    return reasons
