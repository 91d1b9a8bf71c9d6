"""Adding one user's row, however it is written, changes nothing of what is read of anybody else.

Neighbouring inputs of the guarantee differ by one user. A row that refused the table, moved another
row, or decided how another's is read, would be part of the site's answer (docs/policy.md).
"""

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recommons.client.sources.cache import OwnUsers
from recommons.client.sources.looking import check_bad_rows, look_at
from recommons.client.sources.settings import read_settings
from recommons.common.errors import DataError
from tests.client.sources.test_own import source

HEADER = b"user_id,item_id,timestamp,quantity\n"
GOOD = [b"u,sku-1,1577836800,1", b"v,sku-2,2020-01-01T00:00:00Z,2", b"u,sku-3,5,", b"w,x,9.5,1"]
BAD = {
    "no id": b",sku-1,3,1",
    "no item": b"m,,3,1",
    "no time": b"m,sku-1,,1",
    "a time in no form": b"m,sku-1,soon,1",
    "a time before 1970": b"m,sku-1,-3,1",
    "no number": b"m,sku-1,3,many",
    "too many cells": b"m,sku-1,3,1,1",
    "too few": b"m",
    "a quote that is not closed": b'"m,sku-1,3,1',
    "a quote within": b'm"m,"sku"-1,3,1',
    "no UTF-8": b"m\xff,sku-1,3,1",
    "a separator of another kind": b"m\x1fsku-1\x1f3\x1f1",
    "control characters": b"m\x01,sku-1\x00,3,1",
}
JSON_GOOD = [
    b'{"user_id": "u", "item_id": "sku-1"}',
    b'{"user_id": 7, "item_id": "sku-2", "event_type": "buy"}',
    b'{"userId": "w", "item_id": "sku-3", "timestamp": 4}',
]
JSON_BAD = {
    "no object": b"[1]",
    "no JSON": b'{"user_id": "m", ',
    "an object as an id": b'{"user_id": {"m": 1}, "item_id": "sku-1"}',
    "no id": b'{"item_id": "sku-1"}',
    "no UTF-8": b'{"user_id": "m\xff", "item_id": "sku-1"}',
    "half a character": b'{"user_id": "m\\ud800", "item_id": "sku-1"}',
    "very deep": b"[" * 100_000,
    "a negative time": b'{"user_id": "m", "item_id": "sku-1", "timestamp": -1}',
}


def others(found: OwnUsers, good: OwnUsers) -> bool:
    """Whether those of `good` have in `found` what they have in `good`, and nobody else is there.

    (A user whose rows are all bad is not there at all.)
    """
    same: list[tuple[Any, Any]] = [
        (found.keys, good.keys),
        (found.interactions.indptr, good.interactions.indptr),
        (found.interactions.indices, good.interactions.indices),
        (found.interactions.times, good.interactions.times),
        (found.interactions.kinds, good.interactions.kinds),
    ]
    return all(a is b or np.array_equal(a, b) for a, b in same)


def read(folder: Path, name: str, content: bytes, *, with_order: bool) -> OwnUsers:
    (folder / "data.toml").write_text(f'[events]\nfiles = ["{name}"]\n')
    (folder / name).write_bytes(content)
    return source(folder).read_anew(with_order=with_order)


@pytest.mark.parametrize(("ending", "with_order"), [("csv", True), ("tsv", False)])
def test_a_bad_line_of_a_table_changes_nothing_else(
    tmp_path: Path, ending: str, with_order: bool
) -> None:
    def content(lines: list[bytes]) -> bytes:
        text = HEADER + b"\n".join(lines) + b"\n"
        return text if ending == "csv" else text.replace(b",", b"\t")

    good = read(tmp_path, f"events.{ending}", content(GOOD), with_order=with_order)
    assert len(good.keys) == 3
    assert not good.manifest.bad
    for bad in BAD.values():
        for place in (0, len(GOOD)):
            lines = [*GOOD[:place], bad, *GOOD[place:]]
            found = read(tmp_path, f"events.{ending}", content(lines), with_order=with_order)
            assert others(found, good), (bad, place)
            assert sum(found.manifest.bad.values()) == 1, (bad, place)
            assert found.manifest.rows == good.manifest.rows + 1


def test_a_bad_line_of_json_changes_nothing_else(tmp_path: Path) -> None:
    with_order = True  # as the more is read
    good = read(tmp_path, "e.jsonl", b"\n".join(JSON_GOOD), with_order=with_order)
    assert len(good.keys) == 3
    for bad in JSON_BAD.values():
        for place in (0, len(JSON_GOOD)):
            lines = [*JSON_GOOD[:place], bad, *JSON_GOOD[place:]]
            found = read(tmp_path, "e.jsonl", b"\n".join(lines), with_order=with_order)
            assert others(found, good), (bad, place)
            assert sum(found.manifest.bad.values()) == 1, (bad, place)


@pytest.mark.parametrize("first", ["2020-01-01", "2020-01-01 10:00", "17", "17.5", "soon", ""])
def test_how_one_user_writes_times_decides_nothing_for_another(tmp_path: Path, first: str) -> None:
    rest = "".join(f"u,sku-{k},{time}\n" for k, time in enumerate((5, 3, 4)))
    text = f"user_id,item_id,timestamp\nm,sku-1,{first}\n{rest}"
    found = read(tmp_path, "events.csv", text.encode(), with_order=True)
    alone = read(
        tmp_path, "events.csv", text.replace(f"m,sku-1,{first}\n", "").encode(), with_order=True
    )
    row = int(np.flatnonzero((found.keys == alone.keys[0]).all(axis=1))[0])
    one = found.interactions.take(np.array([row]))
    assert one.times is not None
    assert alone.interactions.times is not None
    assert (
        one.times.tolist() == alone.interactions.times.tolist() == [5_000_000, 3_000_000, 4_000_000]
    )


@pytest.mark.parametrize("cell", ["a", "1.5", "x'ff'", "null", "2e300", "-1"])
def test_a_bad_row_of_a_database_changes_nothing_else(tmp_path: Path, cell: str) -> None:
    (tmp_path / "data.toml").write_text(
        '[events]\nurl = "sqlite:///shop.db"\nquery = "SELECT * FROM events ORDER BY n"\n'
    )

    def made(bad: str | None) -> OwnUsers:
        (tmp_path / "shop.db").unlink(missing_ok=True)
        with sqlite3.connect(tmp_path / "shop.db") as connection:
            connection.execute("CREATE TABLE events (n INT, user_id, item_id, timestamp)")
            rows = [(2, 7, "sku-1", 9), (4, 8, "sku-2", 4), (6, 7, "sku-2", 1)]
            connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
            if bad is not None:
                value = bad if bad[0] in "-12nx" else f"'{bad}'"
                connection.execute(f"INSERT INTO events VALUES (1, 'm', 'sku-1', {value})")  # noqa: S608
        return source(tmp_path).read_anew(with_order=True)

    good, found = made(None), made(cell)
    if cell == "1.5":  # a time like any other, of a user like any other
        keep = [k for k, key in enumerate(found.keys) if (good.keys == key).all(axis=1).any()]
        kept = found.interactions.take(np.array(keep))
        assert kept.times is not None
        assert good.interactions.times is not None
        assert kept.times.tolist() == good.interactions.times.tolist()
    else:
        assert others(found, good)
        assert sum(found.manifest.bad.values()) == 1


def test_a_bad_row_of_parquet_changes_nothing_else(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"user_id": ["u", "v", "u"], "item_id": ["sku-1", "sku-2", "sku-3"], "timestamp": [3, 2, 1]}
    )
    bad = pl.DataFrame({"user_id": ["m"], "item_id": ["sku-1"], "timestamp": [-1]})
    (tmp_path / "data.toml").write_text('[events]\nfiles = ["e.parquet"]\n')
    frame.write_parquet(tmp_path / "e.parquet")
    good = source(tmp_path).read_anew(with_order=True)
    for user, time in (("m", -1), ("m", None), (None, 1), ("", 1)):
        row = bad.with_columns(user_id=pl.lit(user, pl.String), timestamp=pl.lit(time, pl.Int64))
        pl.concat([row, frame]).write_parquet(tmp_path / "e.parquet")
        found = source(tmp_path).read_anew(with_order=True)
        assert others(found, good)
        assert sum(found.manifest.bad.values()) == 1


def test_a_table_of_bad_rows_alone_is_nobody_and_no_fault(tmp_path: Path) -> None:
    found = read(tmp_path, "events.csv", HEADER + b",,,\nm,,3,1\n", with_order=True)
    assert found.manifest.users == 0
    assert found.manifest.bad == {"item_id: the cell is empty; expected an id": 1}


def test_only_a_check_asks_how_many_rows_are_bad_and_says_where_the_first_is(
    tmp_path: Path,
) -> None:
    content = HEADER + b"\n".join([*GOOD, BAD["a time in no form"]]) + b"\n"
    read(tmp_path, "events.csv", content, with_order=False)
    settings = read_settings(tmp_path, "")
    look = look_at(tmp_path, settings)
    assert (look.rows, look.bad) == (5, {"timestamp: unreadable; expected a time": 1})
    with pytest.raises(DataError) as refused:
        check_bad_rows(look, settings)
    assert refused.value.code == "data/bad-rows"
    assert "1 of 5 rows" in refused.value.message
    assert "events.csv, line 6: timestamp: unreadable; expected a time" in refused.value.message
    assert "soon" not in refused.value.message
    with (tmp_path / "data.toml").open("a") as more:
        more.write("[check]\nmost_bad_rows = 0.2\n")
    check_bad_rows(look, read_settings(tmp_path, ""))
    # The limit is no part of what a copy is made from: a change of it reads nothing anew.
    made = source(tmp_path).users().manifest
    with (tmp_path / "data.toml").open("a") as more:
        more.write("\n")
    assert source(tmp_path).users().manifest == made


def test_whole_and_decimal_times_count_in_one_unit(tmp_path: Path) -> None:
    """Else the order would be wrong, and times between events mean something else at each site."""
    cells = ["1700000001", "1700000000.5", "1700000000.0", "1.7000000025e9", "17000000000e-1"]
    rows = "".join(f"u,sku-{k + 1},{cell}\n" for k, cell in enumerate(cells))
    text = f"user_id,item_id,timestamp\n{rows}"
    times = read(tmp_path, "events.csv", text.encode(), with_order=True).interactions.times
    assert times is not None
    start = 1_700_000_000_000_000
    assert times.tolist() == [start + after for after in (1_000_000, 500_000, 0, 2_500_000, 0)]
    (tmp_path / "data.toml").write_text('[events]\nfiles = ["e.parquet", "whole.parquet"]\n')
    items = {"user_id": ["u", "u"], "item_id": ["sku-1", "sku-2"]}
    pl.DataFrame({**items, "timestamp": [9.75, 3.0]}).write_parquet(tmp_path / "e.parquet")
    pl.DataFrame({**items, "timestamp": [5, 4]}).write_parquet(tmp_path / "whole.parquet")
    found = source(tmp_path).read_anew(with_order=True).interactions.times
    assert found is not None
    assert found.tolist() == [9_750_000, 4_000_000]  # the later of the two events on each item
