"""Times in one unit and in order, to the microsecond, whatever they are written as and in."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from recommons.client.sources import load_dataset, read_histories, write_histories
from recommons.client.sources.looking import check_bad_rows, look_at
from recommons.client.sources.settings import read_settings
from recommons.common.data.interactions import Interactions
from recommons.common.errors import DataError
from recommons.common.models.neural.events import last_events
from tests.client.sources.test_own import ITEMS, source

SECOND = 1_700_000_000
WITHIN = (750_000, 250_001, 250_000, 500_000)
"""Microseconds of four events in one second, one a sku; in no order that ids or rows have."""
IN_ORDER = ["sku-3", "sku-2", "sku-4", "sku-1"]

MOMENTS = [datetime.fromtimestamp(SECOND, UTC) + timedelta(microseconds=us) for us in WITHIN]
DECIMALS = [f"{SECOND}.{us:06d}" for us in WITHIN]
ISO = [moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for moment in MOMENTS]
WHOLE = {  # nanoseconds are cut
    "microseconds": [SECOND * 10**6 + us for us in WITHIN],
    "nanoseconds": [SECOND * 10**9 + us * 1000 + 7 for us in WITHIN],
}

Cells = Sequence[Any]


def as_text(separator: str) -> Callable[[Path, Cells], str]:
    def write(folder: Path, cells: Cells) -> str:
        rows = [("u", f"sku-{k + 1}", str(cell)) for k, cell in enumerate(cells)]
        lines = [separator.join(row) for row in (("user_id", "item_id", "timestamp"), *rows)]
        name = "events.csv" if separator == "," else "events.tsv"
        (folder / name).write_text("\n".join(lines) + "\n")
        return name

    return write


def as_json(folder: Path, cells: Cells) -> str:
    """Decimals as JSON has them: numbers with all their digits."""
    rows = []
    for k, cell in enumerate(cells):
        shown = str(cell) if isinstance(cell, Decimal | int) else json.dumps(cell)
        rows.append(f'{{"user_id": "u", "item_id": "sku-{k + 1}", "timestamp": {shown}}}\n')
    (folder / "events.jsonl").write_text("".join(rows))
    return "events.jsonl"


def as_parquet(dtype: pl.DataType | type[pl.DataType]) -> Callable[[Path, Cells], str]:
    def write(folder: Path, cells: Cells) -> str:
        users, items = ["u"] * len(cells), [f"sku-{k + 1}" for k in range(len(cells))]
        times = pl.Series("timestamp", cells).cast(dtype)
        pl.DataFrame({"user_id": users, "item_id": items, "timestamp": times}).write_parquet(
            folder / "events.parquet"
        )
        return "events.parquet"

    return write


ways = pytest.mark.parametrize(
    ("write", "cells"),
    [
        pytest.param(as_text(","), DECIMALS, id="csv, decimals"),
        pytest.param(as_text(","), ISO, id="csv, iso"),
        pytest.param(as_text(","), WHOLE["microseconds"], id="csv, microseconds"),
        pytest.param(as_text("\t"), DECIMALS, id="tsv, decimals"),
        pytest.param(as_json, DECIMALS, id="jsonl, decimals as text"),
        pytest.param(as_json, [Decimal(cell) for cell in DECIMALS], id="jsonl, decimals"),
        pytest.param(as_json, WHOLE["nanoseconds"], id="jsonl, nanoseconds"),
        pytest.param(as_json, ISO, id="jsonl, iso"),
        pytest.param(as_parquet(pl.Float64), [float(c) for c in DECIMALS], id="parquet, floats"),
        pytest.param(
            as_parquet(pl.Decimal(20, 6)), [Decimal(c) for c in DECIMALS], id="parquet, decimals"
        ),
        pytest.param(as_parquet(pl.Datetime("us", "UTC")), MOMENTS, id="parquet, Datetime[us]"),
        pytest.param(as_parquet(pl.Datetime("ns")), MOMENTS, id="parquet, Datetime[ns]"),
        pytest.param(as_parquet(pl.Int64), WHOLE["microseconds"], id="parquet, microseconds"),
        pytest.param(as_parquet(pl.Int64), WHOLE["nanoseconds"], id="parquet, nanoseconds"),
        pytest.param(as_parquet(pl.UInt64), WHOLE["nanoseconds"], id="parquet, unsigned"),
    ],
)


def names_in_order(users: Interactions, ids: Sequence[str]) -> list[str]:
    """The items of the one user as a model of sequences reads them."""
    events = last_events(users, 10, seed=3)
    return [ids[item] for item in events.items[0, : int(events.lengths[0])]]


def times_by_sku(
    users: Interactions, ids: Sequence[str], times: npt.NDArray[np.int64]
) -> list[int]:
    return [int(times[[ids[i] for i in users.indices].index(f"sku-{k}")]) for k in range(1, 5)]


@ways
def test_a_sites_events_keep_their_order_within_a_second(
    tmp_path: Path, write: Callable[[Path, Cells], str], cells: Cells
) -> None:
    name = write(tmp_path, cells)
    (tmp_path / "data.toml").write_text(f'[events]\nfiles = ["{name}"]\n')
    found = source(tmp_path).users(with_order=True).interactions
    assert names_in_order(found, ITEMS) == IN_ORDER
    assert found.times is not None
    assert times_by_sku(found, ITEMS, found.times) == [SECOND * 10**6 + us for us in WITHIN]


@ways
def test_a_simulations_events_keep_their_order_within_a_second(
    tmp_path: Path, write: Callable[[Path, Cells], str], cells: Cells
) -> None:
    dataset = load_dataset(tmp_path / write(tmp_path, cells))
    users, ids = dataset.interactions, dataset.catalogue.item_ids
    assert names_in_order(users, ids) == IN_ORDER
    assert dataset.first_times is not None
    expected = [SECOND * 10**6 + us for us in WITHIN]
    assert times_by_sku(users, ids, dataset.first_times) == expected
    # And as a site of the simulation has them.
    site = tmp_path / "site.parquet"
    write_histories(site, dataset.user_ids, users, dataset.catalogue)
    again = read_histories(site, dataset.catalogue, with_order=True).interactions
    assert again.times is not None
    assert times_by_sku(again, ids, again.times) == expected


def test_milliseconds_are_milliseconds_and_neither_seconds_nor_refused(tmp_path: Path) -> None:
    millis = [SECOND * 1000 + ms for ms in (750, 251, 250, 500)]
    expected = [value * 1000 for value in millis]
    text, other = as_text(",")(tmp_path, millis), as_parquet(pl.Datetime("ms"))
    other(tmp_path, [datetime.fromtimestamp(ms / 1000, UTC) for ms in millis])
    for name in (text, "events.parquet"):
        (tmp_path / "data.toml").write_text(f'[events]\nfiles = ["{name}"]\n')
        found = source(tmp_path).read_anew(with_order=True).interactions
        assert found.times is not None
        assert times_by_sku(found, ITEMS, found.times) == expected
        assert names_in_order(found, ITEMS) == IN_ORDER


def test_the_last_of_two_events_on_an_item_is_the_last_within_a_second_too(tmp_path: Path) -> None:
    rows = [("buy", "0.9"), ("view", "0.25"), ("view", "0.3")]
    lines = [f"u,sku-1,{SECOND + float(cell)},{kind}" for kind, cell in rows]
    (tmp_path / "events.csv").write_text(
        "\n".join(["user_id,item_id,timestamp,event_type", *lines]) + "\n"
    )
    (tmp_path / "data.toml").write_text('[events]\nfiles = ["events.csv"]\n')
    found = source(tmp_path).users(with_order=True).interactions
    (tmp_path / "other.csv").write_text(
        f"user_id,item_id,timestamp,event_type\nu,sku-1,{SECOND},buy\n"
    )
    bought = load_dataset(tmp_path / "other.csv").interactions.kinds
    assert found.times is not None
    assert found.times.tolist() == [SECOND * 10**6 + 900_000]
    assert found.kinds is not None
    assert bought is not None
    assert found.kinds.tolist() == bought.tolist()


def test_files_and_rows_that_write_times_differently_are_put_in_one_order(tmp_path: Path) -> None:
    """Each is a moment by itself: nothing depends on how the file beside it is written."""
    start = datetime.fromtimestamp(SECOND, UTC)
    (tmp_path / "a.csv").write_text(
        "user_id,item_id,timestamp\n"
        f"u,sku-6,{(start + timedelta(seconds=6)).isoformat()}\n"
        f"u,sku-1,{SECOND + 1}\n"
        f"u,sku-4,{(SECOND + 4) * 1000}\n"
    )
    for name, item, time in (
        ("b", "sku-2", pl.Series([SECOND + 2])),
        ("c", "sku-5", pl.Series([(SECOND + 5) * 1000])),
        ("d", "sku-3", pl.Series([start + timedelta(seconds=3)])),
        ("e", "sku-0", pl.Series([start.date()])),
    ):
        frame = pl.DataFrame({"user_id": ["u"], "item_id": [item], "timestamp": time})
        frame.write_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "data.toml").write_text('[events]\nfiles = ["*.csv", "*.parquet"]\n')
    found = source(tmp_path).users(with_order=True)
    assert not found.manifest.bad
    assert names_in_order(found.interactions, ITEMS) == [f"sku-{k}" for k in range(7)]


def test_rows_of_a_query_that_write_times_differently_are_put_in_one_order(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE events (user_id, item_id, timestamp)")
        cells = [SECOND, SECOND + 0.5, (SECOND + 1) * 1000, "2023-11-14 22:13:21.5", f"{SECOND}.75"]
        connection.executemany(
            "INSERT INTO events VALUES ('u', ?, ?)",
            [(f"sku-{k}", cell) for k, cell in enumerate(cells)],
        )
    (tmp_path / "data.toml").write_text(
        '[events]\nurl = "sqlite:///shop.db"\nquery = "SELECT * FROM events"\n'
    )
    found = source(tmp_path).users(with_order=True).interactions
    assert names_in_order(found, ITEMS) == ["sku-0", "sku-1", "sku-4", "sku-2", "sku-3"]


UNITS = [  # per second, and the first and the last number that is read
    (1, 0, 4_102_444_799),
    (10**3, 788_918_400 * 10**3, 4_102_444_800 * 10**3 - 1),
    (10**6, 788_918_400 * 10**6, 4_102_444_800 * 10**6 - 1),
    (10**9, 788_918_400 * 10**9, 4_102_444_800 * 10**9 - 1),
]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(("a_second", "first", "last"), UNITS)
def test_what_a_number_counts_is_told_by_its_size_and_by_nothing_else(
    tmp_path: Path, kind: str, a_second: int, first: int, last: int
) -> None:
    cells = [first, last, last - 1, first + 1]
    write = as_text(",") if kind == "csv" else as_parquet(pl.Int64)
    dataset = load_dataset(tmp_path / write(tmp_path, cells))
    assert dataset.first_times is not None
    assert dataset.first_times.tolist() == [cell * 10**6 // a_second for cell in cells]
    outside = [last + 1] if first == 0 else [first - 1, last + 1]
    for number in outside:
        with pytest.raises(DataError) as refused:
            load_dataset(tmp_path / write(tmp_path, [first, number]))
        assert refused.value.code == "data/time-unit"
        assert "row 2" in refused.value.message
        assert "column timestamp" in refused.value.message
        assert str(number) not in refused.value.message
        assert "ISO 8601" in refused.value.remedy


@pytest.mark.parametrize(
    "cell",
    [
        "20231114221320",  # digits of a date
        "202311142213",
        "638355968000000000",  # ticks of 100 ns since the year 1
        "133444736000000000",  # of 1601
        "253402300799",  # the last second of 9999
        "99999999999999999999",
        "1e30",
    ],
)
def test_a_number_in_no_unit_is_named_and_spoils_its_own_row_alone(
    tmp_path: Path, cell: str
) -> None:
    (tmp_path / "events.csv").write_text(f"user_id,item_id,timestamp\nu,sku-1,5\nv,sku-1,{cell}\n")
    (tmp_path / "data.toml").write_text('[events]\nfiles = ["events.csv"]\n')
    found = source(tmp_path).users(with_order=True)
    reason = "timestamp: the number is a time in no unit; expected seconds since 1970"
    assert found.manifest.bad == {reason: 1}
    assert found.interactions.times is not None
    assert found.interactions.times.tolist() == [5_000_000]
    settings = read_settings(tmp_path, "")
    with pytest.raises(DataError) as refused:
        check_bad_rows(look_at(tmp_path, settings), settings)
    assert refused.value.code == "data/bad-rows"
    assert f"events.csv, line 3: {reason}" in refused.value.message


@pytest.mark.parametrize(
    ("dtype", "days"),
    [
        (pl.Date, pl.Series([1, 2**31 - 1], dtype=pl.Int32)),
        (pl.Datetime("ms"), pl.Series([86_400_000, 9_300_000_000_000_000])),
    ],
    ids=["date", "milliseconds"],
)
def test_a_date_beyond_all_microseconds_spoils_its_own_row_alone(
    tmp_path: Path, dtype: pl.DataType, days: pl.Series
) -> None:
    place = tmp_path / as_parquet(dtype)(tmp_path, days.to_list())
    (tmp_path / "data.toml").write_text('[events]\nfiles = ["events.parquet"]\n')
    found = source(tmp_path).users(with_order=True)
    assert sum(found.manifest.bad.values()) == 1
    assert found.interactions.times is not None
    assert found.interactions.times.tolist() == [86_400_000_000]
    with pytest.raises(DataError) as refused:
        load_dataset(place)
    assert "row 2" in refused.value.message
