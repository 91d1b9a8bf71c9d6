"""Databases outlive the program that made them, so each file says which tables it has.

SQLite keeps a number for that in the file's header (``PRAGMA user_version``), 0 in a file that
nobody has numbered. A file of another number is refused before anything in it is read: its tables
may mean other things.
"""

from recommons.common.errors import InvalidInput

__all__ = ["is_unnumbered"]


def is_unnumbered(number: int, tables: int, *, version: int, code: str) -> bool:
    """Whether a file is new and its number is to be written, in the transaction that makes tables.

    Args:
        number: The file's.
        tables: How many tables it has.
        version: Of this program's tables, 1 or more.
        code: Names the refusal.

    Raises:
        InvalidInput: Its tables are of another version.
    """
    if number == 0 and tables == 0:
        return True
    if number != version:
        raise InvalidInput(
            code, f"the database's tables are of version {number}; required: {version}"
        )
    return False
