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
from recommons.client.sources.event_checks import judge
from recommons.client.sources.tables import Table
from recommons.common.data.interactions import Interactions

__all__ = ["EventStream", "Pairs", "open_events"]

_USER, _ITEM, _TIME, _COUNTRY = "__user__", "__item__", "__time__", "__country__"
_KEY = "__key__"


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Distinct (user, item) pairs against a list of users and a list of items.

    Attributes:
        interactions: The pairs.
        first_times: int64, aligned with ``interactions.indices``; None without times.
        unknown_rows: Number of events on items that are not in the list.
    """

    interactions: Interactions
    unknown_rows: int
    first_times: npt.NDArray[np.int64] | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class EventStream:
    """A checked file of events, ready to be read again and again as a stream.

    Attributes:
        table: The file.
        frame: The events that count: ids as they are (whole numbers take less memory than their
            text), and time and country where there are any.
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
        distinct = self.table.collect(self.frame.select(column).unique())[column]
        return distinct.cast(pl.String).sort()

    def countries(self, user_ids: pl.Series) -> pl.Series | None:
        """Each user's most frequent country, the first in the alphabet among equals."""
        if not self.located:
            return None
        counts = self.frame.filter(pl.col(_COUNTRY).is_not_null()).group_by(_USER, _COUNTRY).len()
        ranked = (
            self.table.collect(counts)
            .with_columns(pl.col(_USER).cast(pl.String))
            .sort([_USER, "len", _COUNTRY], descending=[False, True, False])
        )
        chosen = ranked.unique(_USER, keep="first", maintain_order=True)
        users = pl.DataFrame({_USER: user_ids})
        return users.join(chosen, on=_USER, how="left", maintain_order="left")[_COUNTRY]

    def pairs(self, user_ids: pl.Series, item_ids: pl.Series, *, with_times: bool = False) -> Pairs:
        """The distinct pairs; events on items that are not in the list are left out.

        Args:
            user_ids: All users, by row.
            item_ids: Items, by column.
            with_times: Give each pair's first time too, where there are times.
        """
        keys, times = self._coded(user_ids, item_ids, with_times=with_times and self.timed)
        if times is None:
            keys.sort()
        else:
            order = np.lexsort((times, keys))
            keys, times = keys[order], times[order]
        unknown_rows = self.rows - sum(self.left_out.values()) - len(keys)
        first = np.ones(len(keys), np.bool_)
        np.not_equal(keys[1:], keys[:-1], out=first[1:])
        keys = keys[first]
        starts = np.arange(len(user_ids) + 1, dtype=np.int64) * len(item_ids)
        return Pairs(
            interactions=Interactions(
                indptr=np.searchsorted(keys, starts).astype(np.int64),
                indices=np.remainder(keys, len(item_ids), out=keys).astype(np.int32),
                n_items=len(item_ids),
            ),
            unknown_rows=unknown_rows,
            first_times=None if times is None else times[first],
        )

    def _coded(
        self, user_ids: pl.Series, item_ids: pl.Series, *, with_times: bool
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64] | None]:
        """Each event as ``row · number of items + column``, with its time, batch by batch.

        Sorting these in place takes a third of the memory of grouping by two columns (measured on
        20 million events: 0.7 against 1.3 GB at most).
        """
        key = _code(_USER, user_ids).cast(pl.Int64) * len(item_ids) + _code(_ITEM, item_ids)
        wanted = [key.alias(_KEY), *([pl.col(_TIME)] if with_times else [])]
        keys = np.empty(self.rows, np.int64)
        times = np.empty(self.rows, np.int64) if with_times else None
        filled = 0
        for batch in self.table.batches(self.frame.select(wanted).drop_nulls(_KEY)):
            part = slice(filled, filled + len(batch))
            keys[part] = batch[_KEY].to_numpy()
            if times is not None:
                times[part] = batch[_TIME].to_numpy()
            filled += len(batch)
        return keys[:filled], None if times is None else times[:filled]


def _code(column: str, ids: pl.Series) -> pl.Expr:
    """Positions in a list of ids; null for an id that is not in it."""
    text = pl.col(column).cast(pl.String)
    return text.cast(pl.Enum(ids), strict=False).to_physical().cast(pl.UInt32)


def open_events(table: Table, names: ColumnNames, positives: EventFilter) -> EventStream:
    """Check every row of a file of events.

    Raises:
        DataError: A column is missing or all null, no row is there or none counts, or a cell is
            empty or unreadable; file, row and column are named, never what stands there.
    """
    columns = EventColumns.of(table.columns, names, table.label)
    clock = None if columns.timestamp is None else clock_of(table, columns.timestamp)
    verdict = judge(table, columns, clock, positives)
    return EventStream(
        table=table,
        frame=table.frame.filter(verdict.kept).select(_projection(columns, clock)),
        timed=clock is not None,
        located=columns.country is not None,
        rows=verdict.rows,
        left_out=verdict.left_out,
    )


def _projection(columns: EventColumns, clock: Clock | None) -> list[pl.Expr]:
    chosen = [
        pl.col(columns.user_id).alias(_USER),
        pl.col(columns.item_id).alias(_ITEM),
    ]
    if columns.timestamp is not None and clock is not None:
        chosen.append(clock.read(columns.timestamp).alias(_TIME))
    if columns.country is not None:
        country = pl.col(columns.country).cast(pl.String)
        chosen.append(pl.when(country != "").then(country).alias(_COUNTRY))
    return chosen
