"""The fixed split that some data sets come with: ``benchmark/users.csv`` and ``heldout.csv``."""

from pathlib import Path

import numpy as np
import polars as pl

from recommons.client.sources.tables import ROW, Table, open_table
from recommons.common.data.interactions import Interactions
from recommons.common.data.splits import TEST, TRAIN, VALIDATION, Roles
from recommons.common.errors import DataError

__all__ = ["read_benchmark"]

_ROLES = {"train": TRAIN, "valid": VALIDATION, "validation": VALIDATION, "test": TEST}
_USER, _ITEM = "user_id", "item_id"


def read_benchmark(
    folder: Path, user_ids: pl.Series, item_ids: pl.Series, interactions: Interactions
) -> Roles:
    """Read the split of a data set.

    Args:
        folder: Holds ``users.csv`` (user_id, role: train, valid or test; users not named train)
            and ``heldout.csv`` (user_id, item_id: the hidden pairs).
        user_ids: The data set's users, by row.
        item_ids: The data set's items, by column.
        interactions: All pairs.

    Raises:
        DataError: A file is unreadable; a user or a pair is not in the data set, named twice, or
            hidden from a user who trains.
    """
    of_user = _read_roles(folder / "users.csv", user_ids)
    hidden = _read_hidden(folder / "heldout.csv", user_ids, item_ids, interactions, of_user)
    return Roles(of_user=of_user, hidden=hidden, source="benchmark")


def _read_roles(path: Path, user_ids: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
    table, rows = _read(path, (_USER, "role"))
    users = _codes(rows[_USER], user_ids)
    _refuse(table, rows, users.is_null(), _USER, "a user who is not in the events")
    _refuse(table, rows, ~users.is_first_distinct(), _USER, "a user named in an earlier row")
    known = rows["role"].is_in(list(_ROLES))
    _refuse(table, rows, ~known, "role", "an unknown role; expected train, valid or test")
    of_user = np.full(len(user_ids), TRAIN, np.int8)
    of_user[users.to_numpy()] = rows["role"].replace_strict(_ROLES, return_dtype=pl.Int8).to_numpy()
    return of_user


def _read_hidden(
    path: Path,
    user_ids: pl.Series,
    item_ids: pl.Series,
    interactions: Interactions,
    of_user: np.ndarray[tuple[int], np.dtype[np.int8]],
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    table, rows = _read(path, (_USER, _ITEM))
    users, items = _codes(rows[_USER], user_ids), _codes(rows[_ITEM], item_ids)
    _refuse(table, rows, users.is_null(), _USER, "a user who is not in the events")
    _refuse(table, rows, items.is_null(), _ITEM, "an item that is not in the catalogue")
    trains = pl.Series(of_user[users.to_numpy()] == TRAIN)
    _refuse(table, rows, trains, _USER, "a user who trains; only others have hidden items")
    n_items = max(interactions.n_items, 1)
    rows_of_pairs = np.repeat(np.arange(interactions.n_users), np.diff(interactions.indptr))
    existing = rows_of_pairs * n_items + interactions.indices
    wanted = users.to_numpy().astype(np.int64) * n_items + items.to_numpy()
    position = np.searchsorted(existing, wanted)
    found = existing[np.minimum(position, len(existing) - 1)] == wanted
    _refuse(table, rows, pl.Series(~found), _ITEM, "a pair that is not in the events")
    hidden = np.zeros(len(existing), np.bool_)
    hidden[position] = True
    return hidden


def _read(path: Path, columns: tuple[str, str]) -> tuple[Table, pl.DataFrame]:
    label = f"benchmark/{path.name}"
    table = open_table(path, label, columns)
    for column in columns:
        if column not in table.columns:
            raise DataError(
                "data/missing-column",
                f"{label}: no column {column}; expected columns {' and '.join(columns)}",
            )
    rows = table.collect(table.frame.select(ROW, *columns))
    if rows.is_empty():
        raise DataError("data/empty", f"{label}: no rows; expected at least one")
    for column in columns:
        missing = rows[column].is_null() | (rows[column] == "")
        _refuse(table, rows, missing, column, "an empty cell", code="data/missing-value")
    return table, rows


def _codes(ids: pl.Series, known: pl.Series) -> pl.Series:
    return ids.cast(pl.Enum(known), strict=False).to_physical().cast(pl.UInt32)


def _refuse(
    table: Table,
    rows: pl.DataFrame,
    bad: pl.Series,
    column: str,
    what: str,
    code: str = "data/benchmark",
) -> None:
    first = bad.arg_true()
    if len(first):
        raise DataError(code, f"{table.place(int(rows[ROW][first[0]]), column)}: {what}")
