"""The compact copy holds what the source holds, without ids, and is of the present source."""

import os
import stat
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recommons.client.budgets.keys import keys_of
from recommons.client.sources import cache, gathering, own, read_histories
from recommons.client.sources.cache import OwnUsers
from recommons.client.sources.own import OwnSource, remove_copy
from recommons.client.sources.settings import read_settings
from recommons.common.data.catalogue import Catalogue
from recommons.common.errors import DataError

SECRET = b"the key of the users' hashes...."
ITEMS = tuple(sorted(f"sku-{k}" for k in range(30)))
CATALOGUE = Catalogue(item_ids=ITEMS, titles=("",) * len(ITEMS))
KINDS = ("view", "buy")


def events(rows: int = 4_000, users: int = 200, seed: int = 0) -> pl.DataFrame:
    """Events of some users on items of which a few are not in the catalogue."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "user_id": [f"zebra-{k}" for k in rng.integers(users, size=rows)],
            "item_id": [f"sku-{k}" for k in rng.integers(33, size=rows)],
            "timestamp": np.arange(rows) // 2,
            "event_type": [KINDS[k] for k in rng.integers(2, size=rows)],
        }
    )


def source(folder: Path, **changes: Any) -> OwnSource:
    settings = read_settings(folder, "events.parquet")
    given: dict[str, Any] = {"settings": settings, "catalogue": CATALOGUE, "secret": SECRET}
    return OwnSource(folder=folder, **given | changes)


def assert_same(found: OwnUsers, file: Path, *, with_order: bool = False) -> None:
    """The copy is what the file is when it is read whole, in the order of the users' hashes."""
    whole = read_histories(file, CATALOGUE, with_order=with_order)
    keys = keys_of(whole.user_ids, SECRET)
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    expected = whole.interactions.take(order)
    assert np.array_equal(found.keys, keys[order])
    assert np.array_equal(found.interactions.indptr, expected.indptr)
    assert np.array_equal(found.interactions.indices, expected.indices)
    assert found.interactions.indices.dtype == np.int32
    if with_order:
        assert np.array_equal(found.interactions.times, expected.times)  # type: ignore[arg-type]
        assert np.array_equal(found.interactions.kinds, expected.kinds)  # type: ignore[arg-type]
    assert found.manifest.unknown == whole.unknown_rows


@pytest.fixture(params=["in memory", "in files"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "in files":
        monkeypatch.setattr(gathering, "_BATCH_ROWS", 100)
        monkeypatch.setattr(gathering, "_MOST_BYTES", 3_000)
    return


@pytest.mark.parametrize("with_order", [False, True])
def test_the_copy_is_what_the_file_is(tmp_path: Path, held: None, with_order: bool) -> None:
    events().write_parquet(tmp_path / "events.parquet")
    found = source(tmp_path).users(with_order=with_order)
    assert_same(found, tmp_path / "events.parquet", with_order=with_order)
    assert (found.interactions.times is not None) == with_order
    assert found.manifest.rows == 4_000
    assert not list((tmp_path / "cache").glob("gathering-*"))


def test_many_files_of_all_kinds_are_one_source(tmp_path: Path, held: None) -> None:
    whole = events()
    whole.write_parquet(tmp_path / "whole.parquet")
    (tmp_path / "shop" / "old").mkdir(parents=True)
    whole[:1000].write_parquet(tmp_path / "shop" / "old" / "a.parquet")
    whole[1000:1500].write_parquet(tmp_path / "shop" / "b.parquet")
    whole[1500:2500].write_csv(tmp_path / "shop" / "c.csv")
    whole[2500:].write_ndjson(tmp_path / "shop" / "d.jsonl")
    whole[:0].write_csv(tmp_path / "shop" / "nobody.csv")
    (tmp_path / "data.toml").write_text(
        '[events]\nfiles = ["shop/**/*.parquet", "shop/*.csv", "shop/d.jsonl", "shop/b.parquet"]\n'
    )
    assert_same(
        source(tmp_path).users(with_order=True), tmp_path / "whole.parquet", with_order=True
    )


def test_columns_and_filters_of_the_settings_are_used(tmp_path: Path) -> None:
    whole = events()
    whole.filter(pl.col("event_type") == "buy").write_parquet(tmp_path / "bought.parquet")
    whole.rename({"user_id": "customer", "item_id": "sku"}).write_csv(tmp_path / "shop.csv")
    (tmp_path / "data.toml").write_text(
        '[events]\nfiles = ["shop.csv"]\n[columns]\nuser_id = "customer"\nitem_id = "sku"\n'
        '[filter]\nevent_types = ["buy"]\n'
    )
    found = source(tmp_path).users()
    assert_same(found, tmp_path / "bought.parquet")
    assert set(found.manifest.left_out) == {"another event type"}


def test_the_copy_is_taken_until_the_source_changes(tmp_path: Path) -> None:
    file = tmp_path / "events.parquet"
    events().write_parquet(file)
    first = source(tmp_path).users().manifest
    assert source(tmp_path).users().manifest == first
    assert source(tmp_path).read_anew().manifest != first
    other = events(seed=1)
    other.write_parquet(file)
    assert_same(source(tmp_path).users(), file)


def test_another_catalogue_key_or_order_makes_another_copy(tmp_path: Path) -> None:
    events().write_parquet(tmp_path / "events.parquet")
    plain = source(tmp_path).users()
    fewer = Catalogue(item_ids=ITEMS[:10], titles=("",) * 10)
    assert source(tmp_path, catalogue=fewer).users().interactions.n_items == 10
    other = source(tmp_path, secret=b"another").users()
    assert not np.array_equal(other.keys, plain.keys)
    assert source(tmp_path).users(with_order=True).interactions.times is not None
    # What has more than is asked for is taken as it is.
    assert source(tmp_path).users().manifest.ordered


@pytest.mark.parametrize("damage", ["current", "manifest.json", "indices", "keys", "cut"])
def test_a_damaged_copy_is_made_anew(tmp_path: Path, damage: str) -> None:
    events().write_parquet(tmp_path / "events.parquet")
    source(tmp_path).users()
    folder = tmp_path / "cache"
    copy = folder / (folder / "current").read_text().strip()
    if damage == "cut":
        os.truncate(copy / "indices", 8)
    else:
        (folder / "current" if damage == "current" else copy / damage).write_bytes(b"")
    assert_same(source(tmp_path).users(), tmp_path / "events.parquet")


def test_a_reading_that_fails_leaves_the_copy_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "events.parquet"
    events().write_parquet(file)
    before = source(tmp_path).users().manifest
    monkeypatch.setattr(own, "publish", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        source(tmp_path).read_anew()
    assert source(tmp_path).users().manifest == before
    monkeypatch.undo()
    source(tmp_path).read_anew()
    copies = [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert len(copies) == 1, "what the failed reading left is removed by the next"


def test_two_that_ask_at_once_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events().write_parquet(tmp_path / "events.parquet")
    published: list[object] = []
    publish = cache.publish

    def counting(*arguments: Any) -> None:
        published.append(arguments)
        publish(*arguments)

    monkeypatch.setattr(own, "publish", counting)
    found: list[OwnUsers] = []
    threads = [
        threading.Thread(target=lambda: found.append(source(tmp_path).users())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(published) == 1


def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "events.parquet"
    events().write_parquet(file)
    write = cache.write_copy

    def overtaken(*arguments: Any) -> Any:
        events(seed=1).write_parquet(file)
        return write(*arguments)

    monkeypatch.setattr(own, "write_copy", overtaken)
    with pytest.raises(DataError) as refused:
        source(tmp_path).users()
    assert refused.value.code == "data/changed"


def test_no_id_is_in_the_copy_and_nobody_else_may_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "_MOST_BYTES", 3_000)
    events().write_parquet(tmp_path / "events.parquet")
    source(tmp_path).users(with_order=True)
    folder = tmp_path / "cache"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.rglob("*"):
        if path.is_file():
            assert b"zebra" not in path.read_bytes()
            assert b"sku-" not in path.read_bytes()
            assert not path.stat().st_mode & 0o077


def test_nobody_is_data_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user_id,item_id\n")
    (tmp_path / "data.toml").write_text('[events]\nfiles = ["*.csv"]\n')
    found = source(tmp_path).users()
    assert len(found.keys) == found.interactions.n_users == 0
    assert source(tmp_path).users().manifest == found.manifest


def test_a_user_without_a_known_item_has_an_empty_row(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user_id,item_id\nu,nothing\nv,sku-1\n")
    (tmp_path / "data.toml").write_text('[events]\nfiles = ["*.csv"]\n')
    found = source(tmp_path).users()
    assert sorted(np.diff(found.interactions.indptr)) == [0, 1]


def test_a_pattern_that_names_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.toml").write_text('[events]\nfiles = ["nothing-*.csv"]\n')
    with pytest.raises(DataError) as refused:
        source(tmp_path).users()
    assert refused.value.code == "data/not-found"


def test_removing_the_copy_removes_all_of_it(tmp_path: Path) -> None:
    events().write_parquet(tmp_path / "events.parquet")
    source(tmp_path).users()
    remove_copy(tmp_path, read_settings(tmp_path, "events.parquet"))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]
    assert_same(source(tmp_path).users(), tmp_path / "events.parquet")


def test_rows_taken_in_chunks_are_those_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from recommons.common.data import interactions
    from recommons.common.data.interactions import Interactions

    rng = np.random.default_rng(3)
    users = Interactions.from_pairs(
        rng.integers(40, size=300), rng.integers(9, size=300), n_users=40, n_items=9
    )
    rows = rng.integers(40, size=60)
    expected = [users.indices[users.indptr[r] : users.indptr[r + 1]].tolist() for r in rows]
    monkeypatch.setattr(interactions, "_ROWS_AT_ONCE", 7)
    taken = users.take(rows)
    ends = taken.indptr
    assert [taken.indices[a:b].tolist() for a, b in pairwise(ends)] == expected
