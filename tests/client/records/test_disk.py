import errno
import os
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from recommons.client.records.disk import is_full


def failure(path: Path, *statements: str) -> DBAPIError:
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)

    def carry_out() -> None:
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    with pytest.raises(DBAPIError) as found:
        carry_out()
    return found.value


def test_a_device_without_room_is_full() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(OSError, match="No space") as found:
        os.write(full, b"x")
    os.close(full)
    assert is_full(found.value)


def test_a_database_that_may_not_grow_is_full(tmp_path: Path) -> None:
    pages = ("PRAGMA max_page_count = 2", "CREATE TABLE a (x)", "CREATE TABLE b (x)")
    assert is_full(failure(tmp_path / "a.db", *pages, "INSERT INTO a VALUES (zeroblob(99999))"))


def test_a_database_whose_place_is_gone_is_as_good_as_full(tmp_path: Path) -> None:
    assert is_full(failure(tmp_path / "gone" / "a.db", "CREATE TABLE a (x)"))


def test_other_faults_are_not_the_disks(tmp_path: Path) -> None:
    assert not is_full(failure(tmp_path / "a.db", "SELECT * FROM nothing"))
    with sqlite3.connect(tmp_path / "b.db") as held:
        held.execute("CREATE TABLE a (x)")
        held.execute("BEGIN EXCLUSIVE")
        quick = "PRAGMA busy_timeout = 1"
        assert not is_full(failure(tmp_path / "b.db", quick, "CREATE TABLE b (x)"))
    assert not is_full(PermissionError(errno.EACCES, "Permission denied"))
    assert not is_full(ValueError("x"))
