"""A site's database file, opened once for all in this process who use it.

Opening costs more than most uses do: connecting, comparing the tables and preparing every statement
anew. Whoever opens a file that is open here already shares its connections. The file is closed with
its last user; an agent, which opens its site for every message, asks for it to stay open.

A file that was put in the place of another is another file: it is opened anew.

Another process may hold the file: a step waits for it, and whoever only looks waits for less long.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from recommons.common.errors import RecommonsError

__all__ = ["DATABASE", "SharedDatabase", "kept_open", "reading_engine", "waiting_by_name"]

DATABASE = "site.db"
"""In a site's folder."""

_BUSY_MILLISECONDS = 30_000
_LOOK_SECONDS = 10.0
_PRIMARY = 0xFF
_HELD = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_lock = threading.Lock()
_open: "dict[Path, SharedDatabase]" = {}
_kept: set[Path] = set()


class SharedDatabase:
    """One open file; only from `SharedDatabase.of`.

    Attributes:
        engine: Its connections, safe to use from several threads.
    """

    def __init__(self, path: Path, make: Callable[[Engine], None]) -> None:
        if not path.exists():
            path.touch(mode=0o600)
        self.engine = _writing_engine(path)
        self._path, self._file, self._users = path, _identity(path), 0
        try:
            make(self.engine)
        except BaseException:
            self.engine.dispose()
            raise

    @classmethod
    def of(cls, path: Path, make: Callable[[Engine], None]) -> "SharedDatabase":
        """The database in a file, one more of whose users the caller is until it leaves.

        Args:
            path: The file; made on first use, readable by its owner alone.
            make: Makes the tables that are not there.
        """
        path = path.absolute()
        with _lock:
            known = _open.get(path)
            if known is not None and known._file != _identity(path):
                del _open[path]
                known._close_if_unused()
                known = None
            if known is None:
                known = _open[path] = cls(path, make)
            known._users += 1
            return known

    def leave(self) -> None:
        """The caller uses it no more."""
        with _lock:
            self._users -= 1
            self._close_if_unused()

    def _close_if_unused(self) -> None:
        current = _open.get(self._path) is self
        if self._users <= 0 and not (current and self._path in _kept):
            if current:
                del _open[self._path]
            self.engine.dispose()


@contextmanager
def kept_open(path: Path) -> Iterator[None]:
    """Leave a file open between its users while this lasts; nothing is opened by it."""
    path = path.absolute()
    with _lock:
        _kept.add(path)
    try:
        yield
    finally:
        with _lock:
            _kept.discard(path)
            if path in _open:
                _open[path]._close_if_unused()


@contextmanager
def waiting_by_name() -> Iterator[None]:
    """Give a database that another process holds its own name, once it was waited for.

    Raises:
        RecommonsError: ``site/locked``. Nothing of the transaction was written.
    """
    try:
        yield
    except DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorcode", None)
        if not isinstance(code, int) or code & _PRIMARY not in _HELD:
            raise
        raise RecommonsError(
            "site/locked", f"{DATABASE} is held by another process for longer than is waited for it"
        ) from error


def reading_engine(path: Path) -> Engine:
    """Looks only: nothing is made or changed, and no writer waits for a transaction of it.

    Where a writer was killed within a commit, what it left is rolled back first, as the next
    writer would: no reader can look past it.
    """
    engine = create_engine(
        "sqlite://", creator=lambda: _reader(path), poolclass=NullPool, hide_parameters=True
    )

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")  # one state of the file for all that is read

    return engine


def _reader(path: Path) -> sqlite3.Connection:
    try:
        return _looked(path, "ro")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
            raise
    _looked(path, "rw").close()
    return _looked(path, "ro")


def _looked(path: Path, mode: str) -> sqlite3.Connection:
    """A connection through which the file was read once."""
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=_LOOK_SECONDS, isolation_level=None)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _writing_engine(path: Path) -> Engine:
    # hide_parameters: the text of a database error must not hold a round's state.
    engine = create_engine(f"sqlite:///{path}", hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:  # noqa: ANN401 - DBAPI connection
        # FULL: a commit is on the disk when it returns. secure_delete: erased secrets are
        # overwritten with zeros. IMMEDIATE (below): one writer, decided at the first statement.
        connection.isolation_level = None
        # MEMORY: what is laid beside the users' table never lies in a folder of temporary files.
        # busy_timeout first: the next one reads the file and waits for who writes it.
        pragmas = ("journal_mode=TRUNCATE", "synchronous=FULL", "secure_delete=ON")
        for pragma in (f"busy_timeout={_BUSY_MILLISECONDS}", *pragmas, "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "checkin")
    def _tidy(connection: Any, _record: object) -> None:  # noqa: ANN401 - DBAPI connection
        # What was laid beside the users' table was for one transaction, and may be large.
        if connection is not None:
            laid = connection.execute("SELECT name FROM sqlite_temp_master WHERE type = 'table'")
            for (name,) in laid.fetchall():
                connection.execute(f'DROP TABLE temp."{name}"')

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file lies there; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
