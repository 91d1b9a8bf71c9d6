"""A database's fault in words of ours: a driver's own may quote the URL, the query or a row."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from recommons.common.errors import DataError

__all__ = ["named_errors", "refuse_missing_file"]

_UNOPENED = ("SQLITE_NOTADB", "SQLITE_CANTOPEN")
_REFUSED_BY_SQLITE = ("SQLITE_ERROR", "SQLITE_SCHEMA")
_NOT_THE_QUERYS = ("08", "53", "55", "57", "58", "XX")
"""Classes of SQLSTATE that say something of the server or the line."""
_MISSING = re.compile(
    r'no such (?:table|column): ([\w.]+)$|(?:relation|column) "?([\w.]+)"? does not exist'
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def refuse_missing_file(url: URL) -> None:
    """Refuse a file of SQLite that is not there, which a connection would make.

    Raises:
        DataError: ``data/not-found``.
    """
    if url.get_backend_name() != "sqlite" or not url.database or "://" in url.database:
        return
    if not Path(url.database).is_file():
        raise DataError(
            "data/not-found",
            f"{url.database}: no such file; expected a SQLite database, relative to the site's "
            "folder",
        )


@contextmanager
def named_errors(url: URL, query: str | None = None) -> Iterator[None]:
    """Name what goes wrong with a database.

    Args:
        url: Of the database.
        query: What is asked of it; None while it is opened.

    Raises:
        DataError: ``data/driver``, ``data/database``. Of a driver's message is kept the kind of
            the error, its SQLSTATE, and a table or column that is not there, as the query names it.
    """
    backend = url.get_backend_name()
    try:
        yield
    except (NoSuchModuleError, ModuleNotFoundError):
        raise DataError(
            "data/driver", f"no driver for {url.drivername!r} is installed here"
        ) from None
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        state = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
        shown = f"{type(cause).__name__}{f' ({state})' if state else ''}"
        if query is None or state in _UNOPENED:
            said = f"could not be opened: {shown}"
        elif _is_refusal(state):
            said = f"refused the query: {shown}{_missing(str(cause), query)}"
        else:
            said = f"did not answer the query: {shown}"
        raise DataError("data/database", f"{backend} {said}") from None


def _is_refusal(state: str | None) -> bool:
    if state is None:
        return False
    return state in _REFUSED_BY_SQLITE or (len(state) == 5 and state[:2] not in _NOT_THE_QUERYS)


def _missing(told: str, query: str) -> str:
    """A name that is not there, if the query has it outside quotes: within, it may be a value."""
    found = _MISSING.search(told.partition("\n")[0])
    name = next(filter(None, found.groups()), "") if found else ""
    bare = re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", _QUOTED.sub(" ", query))
    return f": there is no {name}" if name and bare else ""
