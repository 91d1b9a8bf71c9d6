"""A data set from a path: which files it is made of, and how each is read."""

from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from recommons.client.sources.benchmark import read_benchmark
from recommons.client.sources.columns import EVENT_FIELDS, ColumnNames, EventFilter
from recommons.client.sources.events import EventStream, open_events
from recommons.client.sources.items import ItemTable, build_catalogue, read_items
from recommons.client.sources.movielens import (
    ratings_dat_table,
    read_movies_csv,
    read_movies_dat,
    read_u_item,
    u_data_table,
)
from recommons.client.sources.tables import Table, open_table
from recommons.common.data.dataset import Dataset
from recommons.common.errors import DataError

__all__ = ["EVENT_FILES", "ITEM_FILES", "DatasetFiles", "find_files", "load_dataset"]

EVENT_FILES = (
    *("events.parquet", "events.csv", "events.tsv", "events.jsonl"),
    *("u.data", "ratings.dat", "ratings.csv", "ratings.parquet"),
)
ITEM_FILES = (
    *("items.parquet", "items.csv", "items.tsv", "items.jsonl"),
    *("u.item", "movies.dat", "movies.csv"),
)
_EXTRA_FILE = "movies_extrainfos.dat"
_BENCHMARK = ("users.csv", "heldout.csv")


@dataclass(frozen=True, kw_only=True)
class DatasetFiles:
    """The files a data set is made of.

    Attributes:
        name: The data set's name: that of its folder, or of its one file without the ending.
        events: The file of events.
        items: The file of items, if any.
        extra: More about the items of MovieLens 1M, if any.
        benchmark: The folder of the fixed split, if any.
    """

    name: str
    events: Path
    items: Path | None = None
    extra: Path | None = None
    benchmark: Path | None = None


def find_files(path: Path) -> DatasetFiles:
    """Find a data set's files.

    A file with the name of a layout (``events.csv``, ``u.data``, ``ratings.dat``, …) stands for
    its folder, with the items and the split beside it. A file of any other name stands alone.

    Raises:
        DataError: Nothing is there, no file of events, or more than one file for one purpose.
    """
    if path.is_file():
        if path.name not in EVENT_FILES:
            return DatasetFiles(name=path.stem, events=path)
        folder, events = path.parent, path
    elif path.is_dir():
        folder = path
        found = _only_one(path, EVENT_FILES, "events")
        if found is None:
            raise DataError(
                "data/no-events",
                f"{path}: no file of events; expected one of {', '.join(EVENT_FILES)}",
            )
        events = found
    else:
        raise DataError("data/not-found", f"{path}: nothing there; expected a file or a folder")
    items = _only_one(folder, ITEM_FILES, "items")
    extra = folder / _EXTRA_FILE
    with_extra = items is not None and items.name == "movies.dat" and extra.is_file()
    return DatasetFiles(
        name=folder.resolve().name,
        events=events,
        items=items,
        extra=extra if with_extra else None,
        benchmark=_benchmark(folder),
    )


def _only_one(folder: Path, names: tuple[str, ...], purpose: str) -> Path | None:
    found = [name for name in names if (folder / name).is_file()]
    if len(found) > 1:
        raise DataError(
            "data/ambiguous",
            f"{folder}: {' and '.join(found)} are all files of {purpose}; expected one, "
            "or the path of the file that is meant",
        )
    return folder / found[0] if found else None


def _benchmark(folder: Path) -> Path | None:
    present = [name for name in _BENCHMARK if (folder / "benchmark" / name).is_file()]
    if len(present) == 1:
        raise DataError(
            "data/benchmark",
            f"benchmark: only {present[0]} is there; expected {' and '.join(_BENCHMARK)}",
        )
    return folder / "benchmark" if present else None


def load_dataset(
    path: Path,
    *,
    name: str | None = None,
    names: ColumnNames | None = None,
    positives: EventFilter | None = None,
) -> Dataset:
    """Read a data set from a folder or a file of events.

    Args:
        path: See `find_files`.
        name: The data set's name; by default that of its folder or file.
        names: How columns are named in files of our own layouts and of MovieLens latest.
        positives: Which events count; see `EventFilter`.

    Raises:
        DataError: Wrong input; file, row and column are named, never a user or an event.
    """
    files = find_files(path)
    if name is not None:
        files = replace(files, name=name)
    names = names or ColumnNames()
    items = None if files.items is None else _read_items(files.items, files.extra, names)
    stream = open_events(_open_events(files.events, names), names, positives or EventFilter())
    return _assemble(files, stream, items)


def _assemble(files: DatasetFiles, stream: EventStream, items: ItemTable | None) -> Dataset:
    catalogue = build_catalogue(items, stream.item_ids().to_list())
    user_ids, item_ids = stream.user_ids(), pl.Series(catalogue.item_ids)
    pairs = stream.pairs(user_ids, item_ids, with_times=True, with_order=True)
    roles = None
    if files.benchmark is not None:
        roles = read_benchmark(files.benchmark, user_ids, item_ids, pairs.interactions)
    return Dataset(
        name=files.name,
        catalogue=catalogue,
        user_ids=user_ids,
        interactions=pairs.interactions,
        first_times=pairs.first_times,
        countries=stream.countries(user_ids),
        roles=roles,
        rows=stream.rows,
        left_out=stream.left_out,
    )


def _open_events(path: Path, names: ColumnNames) -> Table:
    if path.name == "u.data":
        return u_data_table(path, path.name)
    if path.name == "ratings.dat":
        return ratings_dat_table(path, path.name)
    return open_table(path, path.name, names.candidates(*EVENT_FIELDS))


def _read_items(path: Path, extra: Path | None, names: ColumnNames) -> ItemTable:
    if path.name == "u.item":
        return read_u_item(path, path.name)
    if path.name == "movies.dat":
        return read_movies_dat(path, path.name, extra)
    if path.name == "movies.csv":
        return read_movies_csv(path, path.name, names)
    return read_items(path, path.name, names)
