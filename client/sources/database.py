"""Events out of any database that SQLAlchemy speaks to, in a stream of tables.

The rows come from a cursor on the server, a part at a time, so that neither side holds them all.
No message holds anything of the database: a driver's own text may quote the URL, the query or a
row, so only the kind of the error and its SQLSTATE are kept.
"""

import re
import uuid
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
from sqlalchemy import CursorResult, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from recommons.client.sources.columns import EVENT_FIELDS, ColumnNames
from recommons.client.sources.tables import ROW, Table
from recommons.common.errors import DataError

__all__ = ["query_tables"]

_PART_ROWS = 1 << 16
_FIELDS = tuple(field for field in EVENT_FIELDS if field != "country")  # no model reads it
_LABEL = "the query's result"
_BIND = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")
"""What SQLAlchemy takes for a parameter (`TextClause`): there are none here."""


def query_tables(url: URL, query: str, names: ColumnNames) -> Generator[Table, None, None]:
    """The rows of a query as tables that follow each other; rows are counted through.

    Args:
        url: With its password.
        query: One SELECT.
        names: Which columns are read; others of the result are dropped at once.

    Raises:
        DataError: ``data/driver``, ``data/database``; a column holds something that is neither
            text, nor a number, nor a time.
    """
    with _named_errors(url):
        engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
        options: dict[str, Any] = {"stream_results": True, "max_row_buffer": _PART_ROWS}
        if url.get_backend_name() == "postgresql":
            options |= {"postgresql_readonly": True}
        statement = text(_BIND.sub(r"\\:\1", query))
        with (
            engine.connect().execution_options(**options) as connection,
            connection.execute(statement) as result,
        ):
            yield from _tables(result, names)


def _tables(result: CursorResult[Any], names: ColumnNames) -> Iterator[Table]:
    columns = tuple(result.keys())
    wanted = [name for name in names.candidates(*_FIELDS) if name in columns]
    places, offset = [columns.index(name) for name in wanted], 0
    for part in result.partitions(_PART_ROWS):
        by_column = list(zip(*part, strict=True))
        cells = {
            name: _column(name, by_column[place])
            for name, place in zip(wanted, places, strict=True)
        }
        frame = pl.DataFrame(cells, nan_to_null=False).with_row_index(ROW, offset + 1)
        offset += len(part)
        yield Table(
            path=Path(_LABEL), label=_LABEL, frame=frame.lazy(), columns=tuple(wanted), form=None
        )


@contextmanager
def _named_errors(url: URL) -> Iterator[None]:
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
        raise DataError("data/database", f"{backend} did not answer the query: {shown}") from None


def _column(name: str, cells: Sequence[Any]) -> pl.Series:
    """A column of Python objects as one of Polars' types.

    Raises:
        DataError: ``data/unreadable``: objects of another type; only their type is named.
    """
    kinds = {type(cell) for cell in cells} - {type(None)}
    if kinds <= {int, bool}:
        return pl.Series(name, cells, dtype=pl.Int64)
    if kinds == {str}:
        return pl.Series(name, cells, dtype=pl.String)
    if kinds <= {int, Decimal} and all(map(_is_whole, cells)):
        return pl.Series(name, [None if c is None else int(c) for c in cells], dtype=pl.Int64)
    if kinds <= {int, float, Decimal}:
        return pl.Series(name, [None if c is None else float(c) for c in cells], dtype=pl.Float64)
    if kinds <= {datetime, date}:
        times = [None if cell is None else _utc(cell) for cell in cells]
        return pl.Series(name, times, dtype=pl.Datetime("us"))
    if kinds <= {str, int, uuid.UUID}:
        texts = [None if cell is None else str(cell) for cell in cells]
        return pl.Series(name, texts, dtype=pl.String)
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise DataError(
        "data/unreadable",
        f"{_LABEL}, column {name}: holds {found}; expected text, numbers or times",
    )


def _is_whole(cell: int | Decimal | None) -> bool:
    return not isinstance(cell, Decimal) or (cell.is_finite() and cell == cell.to_integral_value())


def _utc(moment: date) -> datetime:
    if not isinstance(moment, datetime):
        return datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - all are naive UTC
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
