"""Events out of any database that SQLAlchemy speaks to, in a stream of tables.

The rows come from a cursor on the server, a part at a time, so that neither side holds them all.
"""

import re
import sqlite3
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from sqlalchemy import CursorResult, create_engine, event, text
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.pool import NullPool

from recommons.client.sources.columns import EVENT_FIELDS, ColumnNames
from recommons.client.sources.database_faults import named_errors, refuse_missing_file
from recommons.client.sources.tables import DAMAGED, ROW, Table

__all__ = ["query_tables"]

_PART_ROWS = 1 << 16
_FIELDS = tuple(field for field in EVENT_FIELDS if field != "country")  # no model reads it
_IDS = ("user_id", "item_id")
_LABEL = "the query's result"
_LEAST, _MOST = -(2**63), 2**63 - 1
_TEXT_OID = 25  # of PostgreSQL's type "text"
_BIND = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")
"""What SQLAlchemy takes for a parameter (`TextClause`): there are none here."""


def query_tables(url: URL, query: str, names: ColumnNames) -> Generator[Table, None, None]:
    """The rows of a query as tables that follow each other; rows are counted through.

    Args:
        url: With its password.
        query: One SELECT.
        names: Which columns are read; others of the result are dropped at once.

    Raises:
        DataError: ``data/driver``, ``data/database``; ``data/not-found``: a file of SQLite.
    """
    refuse_missing_file(url)
    options: dict[str, Any] = {"stream_results": True, "max_row_buffer": _PART_ROWS}
    if url.get_backend_name() == "postgresql":
        options |= {"postgresql_readonly": True}
    with named_errors(url):
        engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
        event.listen(engine, "connect", _take_any_row)
        event.listen(engine, "handle_error", _close_cursor)
        opened = engine.connect().execution_options(**options)
    statement = text(_BIND.sub(r"\\:\1", query))
    with named_errors(url, query), opened, opened.execute(statement) as result:
        yield from _tables(result, names)


def _tables(result: CursorResult[Any], names: ColumnNames) -> Iterator[Table]:
    columns = tuple(result.keys())
    field_of = {name: field for field in _FIELDS for name in names.candidates(field)}
    wanted = [name for name in field_of if name in columns]
    places, offset = [columns.index(name) for name in wanted], 0
    for part in result.partitions(_PART_ROWS):
        by_column = list(zip(*part, strict=True))
        cells = {
            name: _column(name, by_column[place], is_id=field_of[name] in _IDS)
            for name, place in zip(wanted, places, strict=True)
        }
        frame = pl.DataFrame(cells, nan_to_null=False).with_row_index(ROW, offset + 1)
        offset += len(part)
        yield Table(
            path=Path(_LABEL), label=_LABEL, frame=frame.lazy(), columns=tuple(wanted), form=None
        )


def _take_any_row(connection: object, _record: object) -> None:
    """Let no driver end a query because of what stands in one row."""
    if isinstance(connection, sqlite3.Connection):
        connection.text_factory = lambda content: content.decode("utf-8", errors="replace")
    psycopg: Any = connection if hasattr(connection, "adapters") else None
    if psycopg is not None:  # "infinity" and years before 1 are no times of Python's
        text_loader = psycopg.adapters.get_loader(_TEXT_OID, 0)
        for name in ("date", "timestamp", "timestamptz"):
            psycopg.adapters.register_loader(name, text_loader)
        psycopg.execute("SET DateStyle TO ISO")
        psycopg.commit()


def _close_cursor(failed: ExceptionContext) -> None:
    """SQLAlchemy leaves a cursor open whose line was lost."""
    cursor = getattr(failed.execution_context, "cursor", None)
    if failed.is_disconnect and cursor is not None:
        with suppress(Exception):  # of the driver's own: the line is lost, and told so already
            cursor.close()


def _column(name: str, cells: Sequence[Any], *, is_id: bool) -> pl.Series:
    """A column of Python objects, each as it would be without the others.

    A part that holds one type is taken as that type, for speed. Otherwise all are text, as which
    each comes to the same id, number or time.
    """
    kinds = {type(cell) for cell in cells} - {type(None)}
    if kinds == {str}:
        return pl.Series(name, cells, dtype=pl.String)
    if kinds <= {int, bool} and all(c is None or _LEAST <= c <= _MOST for c in cells):
        return pl.Series(name, cells, dtype=pl.Int64)
    if kinds == {float} and not is_id:
        return pl.Series(name, cells, dtype=pl.Float64)
    return pl.Series(name, [_text(cell, is_id=is_id) for cell in cells], dtype=pl.String)


def _text(cell: object, *, is_id: bool) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool | int):
        return str(int(cell))
    if isinstance(cell, Decimal):
        if cell.is_finite() and cell == cell.to_integral_value():
            return str(int(cell))
        return DAMAGED if is_id else str(cell)
    if isinstance(cell, uuid.UUID):
        return str(cell)
    if is_id:
        return DAMAGED
    if isinstance(cell, float):
        return repr(cell)
    return _utc(cell).isoformat(" ") if isinstance(cell, date) else DAMAGED


def _utc(moment: date) -> datetime:
    if not isinstance(moment, datetime):
        return datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - all are naive UTC
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
