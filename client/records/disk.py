"""Whether an error says that the site's disk takes no more."""

import sqlite3

from sqlalchemy.exc import DBAPIError

from recommons.common.durably import is_disk_fault

__all__ = ["is_full"]

_PRIMARY = 0xFF
_FAULTS = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
)


def is_full(error: BaseException) -> bool:
    """Whether a file or the site's database could not be written: no room, or the disk's fault."""
    if isinstance(error, DBAPIError):
        code = getattr(error.orig, "sqlite_errorcode", None)
        return isinstance(code, int) and code & _PRIMARY in _FAULTS
    return isinstance(error, OSError) and is_disk_fault(error)
