"""A site's books: its ledger and its receipts, line by line in the database and again as text.

The database is what counts: a line is durable there in the transaction that caused it. The text
file beside it, for auditors, is brought up to date afterwards. The file may therefore lack lines
and end in a torn one, never the other way round: a file that holds whole lines the database does
not shows that the database is older than the file.

Appending and bringing the file up to date cost what the new lines cost, however long the book is:
every line knows where it ends in the file, so that the last line of the file is compared and no
other. In a ledger that line's `previous` speaks for all lines before it.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    func,
    insert,
    select,
)
from sqlalchemy.dialects import sqlite

from recommons.common.errors import Refusal
from recommons.common.privacy.ledger import Head

__all__ = [
    "LEDGER",
    "META",
    "RECEIPTS",
    "Book",
    "Line",
    "distrust",
    "distrusted",
    "forget_heads",
    "held_heads",
    "hold_heads",
]

_BLOCK = 1 << 9

META = MetaData()
"""The tables of this module."""

_LINES = Table(
    "lines",
    META,
    Column("book", String, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("ends", Integer, nullable=False),
    Column("line", LargeBinary, nullable=False),
)
# The latest head of every other ledger that this site has seen signed, by writer's name. Neither a
# new epoch of the roster nor another key changes it: whoever can bring about one of the two could
# else hide that a writer went back, or began anew.
_HEADS = Table(
    "heads",
    META,
    Column("writer", String, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("head", LargeBinary, nullable=False),
    # It has shown an earlier head since: what it writes from then on is another history.
    Column("went_back", Integer, nullable=False, default=0),
)


def held_heads(connection: Connection) -> dict[str, Head]:
    """The latest head seen of every writer, by name."""
    return {
        row.writer: Head(writer=row.writer, seq=row.seq, hash=row.head)
        for row in connection.execute(select(_HEADS))
    }


def hold_heads(connection: Connection, heads: Iterable[Head]) -> None:
    """Keep these, where they are later than what is held of their writers."""
    rows = [{"writer": head.writer, "seq": head.seq, "head": head.hash} for head in heads]
    if rows:
        new = sqlite.insert(_HEADS)
        latest = new.on_conflict_do_update(
            index_elements=[_HEADS.c.writer],
            set_={"seq": new.excluded.seq, "head": new.excluded.head},
            where=new.excluded.seq > _HEADS.c.seq,
        )
        connection.execute(latest, rows)


def distrust(connection: Connection, writer: str) -> None:
    """Remember that a writer went back, until what is held of it is forgotten."""
    own = _HEADS.c.writer == writer
    connection.execute(_HEADS.update().where(own).values(went_back=1))


def distrusted(connection: Connection) -> set[str]:
    """Writers that went back and that the operator has not spoken of since."""
    rows = connection.execute(select(_HEADS.c.writer).where(_HEADS.c.went_back == 1))
    return set(rows.scalars())


def forget_heads(connection: Connection, writer: str) -> Head | None:
    """Hold nothing of a writer any more.

    Returns:
        The head that was held of it.
    """
    held = held_heads(connection).get(writer)
    connection.execute(_HEADS.delete().where(_HEADS.c.writer == writer))
    return held


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a book.

    Attributes:
        seq: Its number, from 0.
        ends: Bytes of the file up to its newline, that included.
        line: Its bytes, without the newline.
    """

    seq: int
    ends: int
    line: bytes


@dataclass(frozen=True, kw_only=True)
class Book:
    """An append-only list of lines.

    Attributes:
        name: Its name in the database.
        file: The text file's name in the site's folder.
    """

    name: str
    file: str

    def last(self, connection: Connection) -> Line | None:
        """The last line, None in an empty book."""
        return self._first(connection, _LINES.c.seq.desc())

    def line(self, connection: Connection, seq: int) -> Line | None:
        """A line by its number, None where there is none."""
        return self._first(connection, _LINES.c.seq, _LINES.c.seq == seq)

    def holding(self, connection: Connection, piece: bytes) -> list[bytes]:
        """The lines with these bytes in them, in order; all lines are looked through."""
        rows = connection.execute(
            select(_LINES.c.line)
            .where(_LINES.c.book == self.name, func.instr(_LINES.c.line, piece) > 0)
            .order_by(_LINES.c.seq)
        )
        return [row.line for row in rows]

    def append(self, connection: Connection, line: bytes) -> None:
        """Add a line; durable when the transaction is."""
        last = self.last(connection)
        seq, begins = (last.seq + 1, last.ends) if last else (0, 0)
        values = {"seq": seq, "ends": begins + len(line) + 1, "line": line}
        connection.execute(insert(_LINES).values(book=self.name, **values))

    def publish(self, connection: Connection, folder: Path) -> None:
        """Bring the text file up to the lines in the database; on the disk when this returns.

        Args:
            connection: An exclusive transaction: no other request writes at the same time.
            folder: The site's folder.

        Raises:
            Refusal: ``site/old-backup``: the file holds lines that the database does not.
        """
        path = folder / self.file
        size = path.stat().st_size if path.exists() else 0
        kept = self._check_end(connection, path, size) if size else None
        whole, last = kept.ends if kept else 0, self.last(connection)
        if whole == size == (last.ends if last else 0):
            return
        with path.open("r+b" if size else "ab") as file:
            file.truncate(whole)  # what is left of a torn line
            file.seek(whole)
            for line in self._from(connection, kept.seq + 1 if kept else 0):
                file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _check_end(self, connection: Connection, path: Path, size: int) -> Line | None:
        """The last whole line of the file, which must end there in the database, too."""
        with path.open("rb") as file:
            whole = _after_last_newline(file, size)
            kept = self._first(connection, _LINES.c.seq.desc(), _LINES.c.ends <= whole)
            expected = kept.line + b"\n" if kept else b""
            file.seek(whole - len(expected))
            found = file.read(len(expected))
        if whole != (kept.ends if kept else 0) or found != expected:
            raise Refusal("site/old-backup", f"the database does not hold what {self.file} holds")
        return kept

    def _from(self, connection: Connection, seq: int) -> Iterator[bytes]:
        rows = connection.execute(
            select(_LINES.c.line)
            .where(_LINES.c.book == self.name, _LINES.c.seq >= seq)
            .order_by(_LINES.c.seq)
        )
        return (row.line for row in rows)

    def _first(
        self,
        connection: Connection,
        order: ColumnElement[int],
        *conditions: ColumnElement[bool],
    ) -> Line | None:
        row = connection.execute(
            select(_LINES).where(_LINES.c.book == self.name, *conditions).order_by(order).limit(1)
        ).first()
        return None if row is None else Line(seq=row.seq, ends=row.ends, line=row.line)


def _after_last_newline(file: BinaryIO, size: int) -> int:
    """Where the last, perhaps torn line of a file begins; its length is what this costs."""
    end = size
    while end:
        begin = max(0, end - _BLOCK)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


LEDGER = Book(name="ledger", file="ledger.jsonl")
RECEIPTS = Book(name="receipts", file="receipts.jsonl")
