import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from recommons.client.records import database
from recommons.client.records.database import kept_open
from recommons.client.records.store import SiteStore
from recommons.common.errors import RecommonsError


def times_open(path: Path) -> int:
    """How many of this process's descriptors are of the file, also where it is gone."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            found += str(link.readlink()).startswith(str(path.resolve()))
        except FileNotFoundError:
            continue
    return found


def remember(store: SiteStore, value: bytes) -> None:
    with store.transaction() as t:
        store.set_fact(t, "fact", value)


def remembered(store: SiteStore) -> bytes | None:
    with store.transaction() as t:
        return store.fact(t, "fact")


def test_a_file_is_opened_once_for_all_and_closed_with_the_last(tmp_path: Path) -> None:
    path = tmp_path / "site.db"
    one, two = SiteStore(path), SiteStore(path)
    remember(one, b"a")
    assert remembered(two) == b"a"
    assert times_open(path) == 1
    one.close()
    one.close()
    assert remembered(two) == b"a"
    assert times_open(path) == 1
    two.close()
    assert times_open(path) == 0


def test_a_file_stays_open_between_its_users_as_long_as_it_is_asked_to(tmp_path: Path) -> None:
    path = tmp_path / "site.db"
    with kept_open(path):
        assert not path.exists()
        SiteStore(path).close()
        store = SiteStore(path)
        remember(store, b"a")
        store.close()
        assert times_open(path) == 1
        left = SiteStore(path)
    assert remembered(left) == b"a"
    left.close()
    assert times_open(path) == 0


def test_a_file_in_the_place_of_another_is_opened_anew(tmp_path: Path) -> None:
    path, backup = tmp_path / "site.db", tmp_path / "backup.db"
    with kept_open(path):
        store = SiteStore(path)
        remember(store, b"old")
        shutil.copy(path, backup)
        remember(store, b"new")
        store.close()
        backup.replace(path)
        again = SiteStore(path)
        assert remembered(again) == b"old"
        again.close()
        path.unlink()
        empty = SiteStore(path)
        assert remembered(empty) is None
        empty.close()
    assert times_open(path) == 0


def test_a_file_that_is_overwritten_in_its_place_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "site.db"
    store = SiteStore(path)
    remember(store, b"old")
    backup = path.read_bytes()
    remember(store, b"new")
    path.write_bytes(backup)
    assert remembered(store) == b"old"


def test_what_is_laid_beside_the_tables_goes_with_the_transaction(tmp_path: Path) -> None:
    store = SiteStore(tmp_path / "site.db")
    with store.transaction() as t:
        t.execute(text("CREATE TEMP TABLE present (key BLOB)"))
        t.execute(text("INSERT INTO present VALUES (1)"))
    with store.transaction() as t, pytest.raises(OperationalError, match="no such table"):
        t.execute(text("SELECT * FROM present"))


def test_a_file_that_cannot_be_opened_is_not_taken_for_open(tmp_path: Path) -> None:
    path = tmp_path / "site.db"
    path.write_bytes(b"not a database" * 1000)
    for _ in range(2):
        with pytest.raises(Exception, match="not a database"):
            SiteStore(path)
    path.unlink()
    store = SiteStore(path)
    assert remembered(store) is None


def test_what_a_kill_within_a_commit_left_is_rolled_back_for_who_only_looks(tmp_path: Path) -> None:
    path, torn = tmp_path / "site.db", tmp_path / "torn.db"
    store = SiteStore(path)
    with store.transaction() as t:
        for number in range(1000):
            store.set_fact(t, f"fact-{number}", b"before" * 100)
    with store.transaction() as t:
        t.execute(text("PRAGMA cache_size = 1"))  # so that pages reach the file before the end
        for number in range(1000):
            store.set_fact(t, f"fact-{number}", b"after" * 100)
        # As a kill leaves it: the journal is whole, and nobody holds the file.
        shutil.copy(path, torn)
        shutil.copy(tmp_path / "site.db-journal", tmp_path / "torn.db-journal")
    looking = SiteStore(torn, read_only=True)
    with looking.transaction() as t:
        assert looking.fact(t, "fact-999") == b"before" * 100
    looking.close()


def test_opening_waits_for_a_writer_as_long_as_any_step_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "site.db"
    SiteStore(path).close()
    monkeypatch.setattr(database, "_BUSY_MILLISECONDS", 1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    with pytest.raises(RecommonsError, match="another process") as found:
        SiteStore(path)
    assert found.value.code == "site/locked"
    assert time.monotonic() - began < 3, "the driver's own five seconds"
    other.close()
    SiteStore(path).close()


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("opened", [False, True])
def test_a_file_that_another_process_holds_has_a_name_of_its_own_and_is_taken_up_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, opened: bool, read_only: bool
) -> None:
    path = tmp_path / "site.db"
    store = SiteStore(path)
    remember(store, b"before")
    store.close()
    monkeypatch.setattr(database, "_BUSY_MILLISECONDS", 1)
    monkeypatch.setattr(database, "_LOOK_SECONDS", 0.001)

    def look() -> bytes | None:
        used = SiteStore(path, read_only=read_only) if found is None else found
        try:
            return remembered(used)
        finally:
            used.close()

    with kept_open(path):
        found = SiteStore(path, read_only=read_only) if opened else None
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(RecommonsError) as held:
                look()
        assert held.value.code == "site/locked"
        assert look() == b"before"


def test_a_commit_that_a_reader_holds_up_is_named_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "site.db"
    monkeypatch.setattr(database, "_BUSY_MILLISECONDS", 1)
    store = SiteStore(path)
    remember(store, b"before")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM facts").fetchall()
        with pytest.raises(RecommonsError) as held:
            remember(store, b"after")
    assert held.value.code == "site/locked"
    assert remembered(store) == b"before"
    remember(store, b"after")
    assert remembered(store) == b"after"
    store.close()
