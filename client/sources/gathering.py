"""Events in any order become one row a user, within bounded memory.

Events go through once. Each user is known by the keyed hash of the id, computed once for each user;
the ids themselves stay in memory and are never written. Events are put aside by the first bits of
their user's hash, in memory while they are few and in files when they are many; at the end each
part is sorted on its own. So the rows come out in the order of the hashes, whatever the order of
the events, and what is held at one time is a part, not the whole.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from recommons.client.budgets.keys import keys_of

__all__ = ["Gathered", "Gatherer"]

_PARTS = 64
_BATCH_ROWS = 1 << 21  # events coded at once: fewer, and the table of users is searched more often
_MOST_BYTES = 1 << 28  # events held before they are put into files

Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Gathered:
    """Some users' rows: those whose hashes begin alike.

    Attributes:
        keys: Keyed hashes, ascending, shape ``(users, 2)``.
        lengths: int64, distinct items of each user.
        items: int32, ascending within a user.
        times: int64, of each pair's last event; None where not asked for.
        kinds: int16, of that event; None where not asked for.
    """

    keys: Keys
    lengths: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32] = field(repr=False)
    times: npt.NDArray[np.int64] | None = field(default=None, repr=False)
    kinds: npt.NDArray[np.int16] | None = field(default=None, repr=False)


class Gatherer:
    """Takes events and gives rows.

    Args:
        secret: The key of the users' hashes.
        n_items: Size of the catalogue.
        folder: Where parts may be put aside; a folder of this object's own, removed with it.
        timed: Events have a ``time``.
        typed: Events have a ``kind``.
    """

    def __init__(
        self, secret: bytes, n_items: int, folder: Path, *, timed: bool, typed: bool
    ) -> None:
        self._secret, self._n_items = secret, n_items
        columns: list[tuple[str, str]] = [("row", "<u4"), ("item", "<i4")]
        columns += [("time", "<i8")] if timed else []
        columns += [("kind", "<i2")] if typed else []
        self._record = np.dtype(columns)
        self._extra = [name for name, _ in columns[2:]]
        self._folder = tempfile.TemporaryDirectory(dir=folder, prefix="gathering-")
        self._waiting: list[pl.DataFrame] = []
        self._known = pl.DataFrame(schema={"user": pl.String, "row": pl.UInt32})
        self._keys = np.empty((0, 2), np.uint64)
        self._parts: list[list[npt.NDArray[np.void]]] = [[] for _ in range(_PARTS)]
        self._held = 0
        self.unknown = 0

    def add(self, events: pl.DataFrame) -> None:
        """Take events: ``user`` (text), ``item`` (null where unknown), ``time``, ``kind``."""
        self._waiting.append(events.select("user", "item", *self._extra))
        if sum(map(len, self._waiting)) >= _BATCH_ROWS:
            self._code()

    def rows(self) -> Iterator[Gathered]:
        """All users, in parts, ascending by their hashes; nothing may be added afterwards."""
        self._code()
        self._known = self._known.clear()
        part_of = _part_of(self._keys)
        for part in range(_PARTS):
            yield self._gathered(np.flatnonzero(part_of == part), self._events(part))
        self._folder.cleanup()

    def close(self) -> None:
        """Remove what was put aside, also where something went wrong."""
        self._folder.cleanup()

    def _code(self) -> None:
        if not self._waiting:
            return
        events = pl.concat(self._waiting, rechunk=True)
        self._waiting.clear()
        rows = self._rows_of(events["user"])
        known = events["item"].is_not_null().to_numpy()
        self.unknown += len(known) - int(known.sum())
        records = np.empty(int(known.sum()), self._record)
        records["row"] = rows[known]
        events = events.filter(pl.Series(known))
        for name in ("item", *self._extra):
            records[name] = events[name].to_numpy()
        self._put_aside(records)

    def _rows_of(self, users: pl.Series) -> npt.NDArray[np.uint32]:
        """Each event's user by number of first appearance; new users are numbered."""
        fresh = pl.DataFrame({"user": users.unique()}).join(self._known, on="user", how="anti")
        if len(fresh):
            numbers = np.arange(len(self._known), len(self._known) + len(fresh), dtype=np.uint32)
            fresh = fresh.with_columns(row=pl.Series(numbers))
            self._known = pl.concat([self._known, fresh], rechunk=True)
            self._keys = np.concatenate([self._keys, keys_of(fresh["user"], self._secret)])
        found = pl.DataFrame({"user": users}).join(
            self._known, on="user", how="left", maintain_order="left"
        )
        return found["row"].to_numpy()

    def _put_aside(self, records: npt.NDArray[np.void]) -> None:
        part_of = _part_of(self._keys)[records["row"]]
        order = np.argsort(part_of, kind="stable")
        records = records[order]
        bounds = np.searchsorted(part_of[order], np.arange(_PARTS + 1))
        for part in range(_PARTS):
            self._parts[part].append(records[bounds[part] : bounds[part + 1]])
        self._held += records.nbytes
        if self._held > _MOST_BYTES:
            for part, held in enumerate(self._parts):
                with self._file(part).open("ab") as file:
                    for records in held:
                        records.tofile(file)
                held.clear()
            self._held = 0

    def _events(self, part: int) -> npt.NDArray[np.void]:
        held, self._parts[part] = self._parts[part], []
        file = self._file(part)
        if file.exists():
            held.insert(0, np.fromfile(file, self._record))
            file.unlink()
        return np.concatenate(held) if held else np.empty(0, self._record)

    def _file(self, part: int) -> Path:
        return Path(self._folder.name) / f"{part:02d}"

    def _gathered(self, users: npt.NDArray[np.intp], events: npt.NDArray[np.void]) -> Gathered:
        keys = self._keys[users]
        order = np.lexsort((keys[:, 1], keys[:, 0]))
        place = np.empty(len(users), np.int64)
        place[order] = np.arange(len(users))
        row = place[np.searchsorted(users, events["row"])]
        pair = row * self._n_items + events["item"]
        if not self._extra:
            pair.sort()  # many times faster than finding an order
            sorting = None
        elif "time" in self._extra:
            sorting = np.lexsort((events["time"], pair))  # stable: then in the order of the events
        else:
            sorting = np.argsort(pair, kind="stable")
        if sorting is not None:
            pair = pair[sorting]
        last = np.ones(len(pair), np.bool_)
        np.not_equal(pair[1:], pair[:-1], out=last[:-1])
        of_last = None if sorting is None else sorting[last]
        pair = pair[last]

        def column(name: str) -> npt.NDArray[Any] | None:
            return events[name][of_last] if name in self._extra else None

        return Gathered(
            keys=keys[order],
            lengths=np.bincount(pair // max(self._n_items, 1), minlength=len(users)),
            items=(pair % max(self._n_items, 1)).astype(np.int32),
            times=column("time"),
            kinds=column("kind"),
        )


def _part_of(keys: Keys) -> npt.NDArray[np.uint8]:
    return (keys[:, 0] >> np.uint64(58)).astype(np.uint8)
