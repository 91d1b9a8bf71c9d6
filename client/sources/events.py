"""Events read in streams: checked, coded as integers, reduced to distinct pairs.

No Python object is made per event, and text ids live only inside Polars' stream: what stays in
memory is two integers and a time for each distinct pair.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from recommons.client.sources.clocks import Clock, clock_of
from recommons.client.sources.columns import ColumnNames, EventColumns, EventFilter
from recommons.client.sources.tables import ROW, Table
from recommons.common.data.interactions import Interactions
from recommons.common.errors import DataError

__all__ = ["EventStream", "Pairs", "open_events"]

_USER, _ITEM, _TIME, _COUNTRY = "__user__", "__item__", "__time__", "__country__"


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Distinct (user, item) pairs against a list of users and a list of items.

    Attributes:
        interactions: The pairs.
        first_times: int64, aligned with ``interactions.indices``; None without times.
    """

    interactions: Interactions = field(repr=False)
    first_times: npt.NDArray[np.int64] | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class EventStream:
    """A checked file of events, ready to be read again and again as a stream.

    Attributes:
        table: The file.
        frame: Ids as text, and the time and the country where there are any; positives only.
        timed: The events have times.
        located: The events have countries.
        rows: Rows in the file.
        left_out: Number of rows left out, by reason.
    """

    table: Table
    frame: pl.LazyFrame
    timed: bool
    located: bool
    rows: int
    left_out: Mapping[str, int]

    def user_ids(self) -> pl.Series:
        """All users, ascending as strings."""
        return self._distinct(_USER)

    def item_ids(self) -> pl.Series:
        """All items that occur, ascending as strings."""
        return self._distinct(_ITEM)

    def _distinct(self, column: str) -> pl.Series:
        ids = self.table.collect(self.frame.select(column).unique())[column]
        return ids.sort()

    def countries(self, user_ids: pl.Series) -> pl.Series | None:
        """Each user's most frequent country, the first in the alphabet among equals."""
        if not self.located:
            return None
        counts = self.frame.filter(pl.col(_COUNTRY).is_not_null()).group_by(_USER, _COUNTRY).len()
        ranked = self.table.collect(counts).sort(
            [_USER, "len", _COUNTRY], descending=[False, True, False]
        )
        chosen = ranked.unique(_USER, keep="first", maintain_order=True)
        users = pl.DataFrame({_USER: user_ids})
        return users.join(chosen, on=_USER, how="left", maintain_order="left")[_COUNTRY]

    def pairs(self, user_ids: pl.Series, item_ids: pl.Series) -> Pairs:
        """The distinct pairs, each with its first time; items not in the list are left out."""
        coded = self.frame.with_columns(
            pl.col(_USER).cast(pl.Enum(user_ids), strict=False).to_physical().cast(pl.UInt32),
            pl.col(_ITEM).cast(pl.Enum(item_ids), strict=False).to_physical().cast(pl.UInt32),
        ).drop_nulls([_USER, _ITEM])
        if self.timed:
            distinct = coded.group_by(_USER, _ITEM).agg(pl.col(_TIME).min())
        else:
            distinct = coded.select(_USER, _ITEM).unique()
        frame = self.table.collect(distinct).sort(_USER, _ITEM)
        sizes = np.bincount(frame[_USER].to_numpy(), minlength=len(user_ids))
        return Pairs(
            interactions=Interactions(
                indptr=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
                indices=frame[_ITEM].to_numpy().astype(np.int32),
                n_items=len(item_ids),
            ),
            first_times=frame[_TIME].to_numpy().astype(np.int64) if self.timed else None,
        )

    def unknown_rows(self, item_ids: pl.Series) -> int:
        """Number of events on items that are not in the list."""
        known = pl.col(_ITEM).cast(pl.Enum(item_ids), strict=False).is_not_null()
        return int(self.table.collect(self.frame.select((~known).sum())).item())


def open_events(table: Table, names: ColumnNames, positives: EventFilter) -> EventStream:
    """Check every row of a file of events.

    Raises:
        DataError: A column is missing or all null, no row is there or none counts, or a cell is
            empty or unreadable; file, row and column are named, never what stands there.
    """
    columns = EventColumns.of(table.columns, names, table.label)
    clock = None if columns.timestamp is None else clock_of(table, columns.timestamp)
    checks = _checks(table, columns, clock)
    counted = _counted(columns, positives)
    summary = table.collect(
        table.frame.select(
            pl.len().alias("rows"),
            *(pl.col(name).is_null().all().alias(f"empty {name}") for name in _required(columns)),
            *(
                pl.col(ROW).filter(bad).min().alias(f"check {k}")
                for k, (bad, *_) in enumerate(checks)
            ),
            *(left_out.sum().alias(f"left out {reason}") for reason, left_out in counted.items()),
        )
    ).row(0, named=True)
    _refuse(table, columns, checks, summary)
    left_out = {reason: int(summary[f"left out {reason}"]) for reason in counted}
    if sum(left_out.values()) >= summary["rows"]:
        raise DataError(
            "data/empty", f"{table.label}: every row is left out ({', '.join(left_out)})"
        )
    frame = table.frame
    for unwanted in counted.values():
        frame = frame.filter(~unwanted)
    return EventStream(
        table=table,
        frame=frame.select(_projection(columns, clock)),
        timed=clock is not None,
        located=columns.country is not None,
        rows=summary["rows"],
        left_out={reason: count for reason, count in left_out.items() if count},
    )


def _required(columns: EventColumns) -> tuple[str, ...]:
    return (columns.user_id, columns.item_id)


_Check = tuple[pl.Expr, str, str, str]
"""Rows that fail, the column, the code and what was expected."""


def _checks(table: Table, columns: EventColumns, clock: Clock | None) -> list[_Check]:
    checks: list[_Check] = []
    schema = table.frame.collect_schema()
    for name in _required(columns):
        if not (schema[name].is_integer() or schema[name] in (pl.String, pl.Categorical, pl.Enum)):
            raise DataError(
                "data/unreadable",
                f"{table.label}, column {name}: holds {schema[name]}; "
                "expected text or whole numbers",
            )
        text = pl.col(name).cast(pl.String)
        missing = text.is_null() | (text == "")
        checks.append((missing, name, "data/missing-value", "the cell is empty; expected an id"))
    if columns.timestamp is not None and clock is not None:
        time, cell = clock.read(columns.timestamp), pl.col(columns.timestamp)
        name = columns.timestamp
        checks += [
            (cell.is_null(), name, "data/missing-value", "the cell is empty; expected a time"),
            (
                cell.is_not_null() & time.is_null(),
                name,
                "data/unreadable",
                f"unreadable; expected {clock.expected}",
            ),
            (
                time < 0,
                name,
                "data/negative-time",
                "the time is negative; expected one of 1970 or later",
            ),
        ]
    if columns.value is not None:
        cell = pl.col(columns.value)
        unreadable = cell.is_not_null() & cell.cast(pl.Float64, strict=False).is_null()
        checks.append(
            (unreadable, columns.value, "data/unreadable", "unreadable; expected a number")
        )
    return checks


def _counted(columns: EventColumns, positives: EventFilter) -> dict[str, pl.Expr]:
    """The rows that are left out, by reason; each row under its first reason only."""
    reasons: dict[str, pl.Expr] = {}
    earlier = pl.lit(value=False)

    def add(reason: str, rows: pl.Expr) -> None:
        nonlocal earlier
        rows = rows.fill_null(value=False)
        reasons[reason] = rows & ~earlier
        earlier = earlier | rows

    if columns.event_type is not None and positives.event_types is not None:
        kept = pl.col(columns.event_type).cast(pl.String).is_in(positives.event_types)
        add("another event type", ~kept.fill_null(value=False))
    if columns.value is not None:
        value = pl.col(columns.value).cast(pl.Float64, strict=False)
        if columns.value == "quantity":
            add("quantity of zero or less", value <= 0)
        if positives.least_value is not None:
            add(f"value below {positives.least_value:g}", value < positives.least_value)
    return reasons


def _refuse(
    table: Table, columns: EventColumns, checks: list[_Check], summary: Mapping[str, int]
) -> None:
    if summary["rows"] == 0:
        raise DataError("data/empty", f"{table.label}: no rows; expected at least one event")
    for name in _required(columns):
        if summary[f"empty {name}"]:
            raise DataError(
                "data/empty-column",
                f"{table.label}, column {name}: every cell is empty; expected an id in each row",
            )
    failed = [(summary[f"check {k}"], k) for k in range(len(checks))]
    first = min(((row, k) for row, k in failed if row is not None), default=None)
    if first is not None:
        row, k = first
        _, name, code, message = checks[k]
        raise DataError(code, f"{table.place(row, name)}: {message}")


def _projection(columns: EventColumns, clock: Clock | None) -> list[pl.Expr]:
    chosen = [
        pl.col(columns.user_id).cast(pl.String).alias(_USER),
        pl.col(columns.item_id).cast(pl.String).alias(_ITEM),
    ]
    if columns.timestamp is not None and clock is not None:
        chosen.append(clock.read(columns.timestamp).alias(_TIME))
    if columns.country is not None:
        country = pl.col(columns.country).cast(pl.String)
        chosen.append(pl.when(country != "").then(country).alias(_COUNTRY))
    return chosen
