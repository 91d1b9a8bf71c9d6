"""The published layouts of MovieLens 100K, 1M and latest.

Described in each data set's README (GroupLens, https://grouplens.org/datasets/movielens/):
``u.data`` and ``u.item`` (100K), ``ratings.dat`` and ``movies.dat`` (1M), ``ratings.csv`` and
``movies.csv`` (latest). ``movies_extrainfos.dat`` is a community extension of 1M with plots and
casts.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from recommons.client.sources.columns import ColumnNames
from recommons.client.sources.items import ITEM, TITLE, ItemTable, item_table, read_items
from recommons.client.sources.tables import ROW, Table, text_table
from recommons.client.sources.textfiles import TextForm
from recommons.common.errors import DataError

__all__ = ["ratings_dat_table", "read_movies_csv", "read_movies_dat", "read_u_item", "u_data_table"]

_COLUMNS = ("user_id", "item_id", "rating", "timestamp")
_TABS = TextForm(separator="\t", header=False, quoted=False)
# Two colons divide the cells: read with one colon, every second cell is empty.
_COLONS = TextForm(separator=":", header=False, quoted=False)
_BARS = TextForm(separator="|", header=False, quoted=False)

_GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime"),
    *("Documentary", "Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery"),
    *("Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
_YEAR = re.compile(r"\((\d{4})\)\s*$")
_EXTRA_CELLS = 10


def u_data_table(path: Path, label: str) -> Table:
    """Open ``u.data``: user, item, rating, time, divided by tabs."""
    return text_table(path, label, _TABS, names=_COLUMNS)


def ratings_dat_table(path: Path, label: str) -> Table:
    """Open ``ratings.dat``: user::item::rating::time."""
    names = [name for column in _COLUMNS for name in (column, "")]
    return text_table(path, label, _COLONS, names=tuple(names[:-1]))


def read_u_item(path: Path, label: str) -> ItemTable:
    """Read ``u.item``: title, release date and 19 flags of genres.

    Raises:
        DataError: A row has not 24 cells, or an item is repeated.
    """
    rows = []
    for number, cells in _rows(path, label, "|", 24, "latin-1"):
        flags = cells[5:]
        genres = [g for g, flag in zip(_GENRES, flags, strict=True) if flag == "1"]
        year = _year(cells[1]) or _number(cells[2][-4:])
        rows.append((number, cells[0], cells[1], [g for g in genres if g != "unknown"], year))
    return _item_table(path, label, _BARS, rows)


def read_movies_dat(path: Path, label: str, extra: Path | None) -> ItemTable:
    """Read ``movies.dat``: title and genres; with ``movies_extrainfos.dat``, much more.

    Raises:
        DataError: A row has not its cells, is not of its encoding, or an item is repeated.
    """
    rows = [
        (number, cells[0], cells[1], _listed(cells[2], "|"), _year(cells[1]))
        for number, cells in _rows(path, label, "::", 3, "latin-1")
    ]
    if extra is None:
        return _item_table(path, label, _COLONS, rows)
    return _item_table(path, label, _COLONS, rows, _extra_columns(extra, extra.name))


def read_movies_csv(path: Path, label: str, names: ColumnNames) -> ItemTable:
    """Read ``movies.csv``: title and genres, the year taken out of the title.

    Raises:
        DataError: As `recommons.client.sources.items.read_items`.
    """
    return read_items(path, label, names, refine=_refined_movies)


def _refined_movies(rows: pl.DataFrame) -> pl.DataFrame:
    columns = []
    if TITLE in rows.columns and "year" not in rows.columns:
        year = pl.col(TITLE).str.extract(_YEAR.pattern).cast(pl.Float64)
        columns.append(year.alias("year"))
    if "genres" in rows.columns:
        columns.append(pl.col("genres").replace("(no genres listed)", None).str.split("|"))
    return rows.with_columns(columns)


def _rows(
    path: Path, label: str, separator: str, width: int, encoding: str
) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        try:
            text = line.decode(encoding).rstrip("\r")
        except UnicodeDecodeError:
            raise DataError(
                "data/encoding", f"{label}, row {number}: not UTF-8; expected UTF-8 text"
            ) from None
        if not text:
            continue
        cells = text.split(separator)
        if len(cells) < width:
            raise DataError(
                "data/unreadable",
                f"{label}, row {number}: unreadable; expected {width} cells divided by {separator}",
            )
        yield number, cells


_MovieRow = tuple[int, str, str, list[str], float | None]


def _item_table(
    path: Path, label: str, form: TextForm, rows: list[_MovieRow], extra: pl.DataFrame | None = None
) -> ItemTable:
    if not rows:
        raise DataError("data/empty", f"{label}: no rows; expected at least one item")
    schema = {
        ROW: pl.Int64(),
        ITEM: pl.String(),
        TITLE: pl.String(),
        "genres": pl.List(pl.String()),
        "year": pl.Float64(),
    }
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    if extra is not None:
        frame = frame.join(extra, on=ITEM, how="left", maintain_order="left")
    table = Table(path=path, label=label, frame=frame.lazy(), columns=(), form=form)
    return item_table(frame, table)


def _extra_columns(path: Path, label: str) -> pl.DataFrame:
    """Rating by age, people and plot; roles in brackets after a name are dropped.

    Title, year and genres are those of ``movies.dat`` again, under other names: twice the same
    column would count twice in the kernel of features.
    """
    rows = {
        cells[0]: (
            cells[0],
            _listed(cells[3], "|"),
            _listed(cells[6], ","),
            _listed(cells[7], ","),
            _listed(cells[8], ","),
            "" if cells[9] == "N/A" else cells[9],
        )
        for _, cells in _rows(path, label, "::", _EXTRA_CELLS, "utf-8")
    }
    lists = dict.fromkeys(("mpaa", "director", "writer", "cast"), pl.List(pl.String()))
    schema = {ITEM: pl.String(), **lists, "plot": pl.String()}
    return pl.DataFrame(list(rows.values()), schema=schema, orient="row")


def _listed(cell: str, separator: str) -> list[str]:
    parts = (re.sub(r"\(.*?\)", "", part).strip() for part in cell.split(separator))
    return [part for part in dict.fromkeys(parts) if part and part != "N/A"]


def _year(title: str) -> float | None:
    found = _YEAR.search(title)
    return float(found.group(1)) if found else None


def _number(text: str) -> float | None:
    return float(text) if text.isdigit() else None
