"""Generated events of a large site: users of very different activity, items of very different fame.

Ids are text, as shops have them, and the events lie in the order of time, so that those of one user
are spread over all files. Nothing about the values matters to what is measured but their number,
their order and their lengths.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from recommons.common.data.catalogue import Catalogue

__all__ = ["SHOP", "SOURCES", "bench_catalogue", "write_events"]

SHOP = "shop"
"""Where the events lie, in the site's folder."""

SOURCES = ("parquet", "csv", "jsonl", "sqlite")

_PART_EVENTS = 5_000_000
_ACTIVITY = 1.0  # standard deviation of the logarithm of a user's number of events
_FAME = 0.8  # an item's share of the events falls with this power of its rank
_START, _SECONDS = 1_700_000_000, 365 * 86_400


def bench_catalogue(items: int) -> Catalogue:
    """Items without features."""
    ids = tuple(f"sku-{k:07d}" for k in range(items))
    return Catalogue(item_ids=ids, titles=("",) * items)


def write_events(folder: Path, *, users: int, events: int, items: int, source: str) -> str:
    """Write a site's events and the `data.toml` that names them.

    Args:
        folder: The site's folder.
        users: Number of users; each has an event at least.
        events: Number of events, at least as many.
        items: Size of the catalogue.
        source: One of `SOURCES`.

    Returns:
        What was written, in bytes and files.
    """
    target = folder / SHOP
    target.mkdir()
    parts = _parts(users=users, events=events, items=items)
    if source == "sqlite":
        _write_sqlite(target / "shop.db", parts)
        place = "\n".join([f'url = "sqlite:///{SHOP}/shop.db"', 'query = "SELECT * FROM events"'])
    else:
        for number, part in enumerate(parts):
            _write_part(target / f"events-{number:03d}.{source}", part)
        place = f'files = ["{SHOP}/*.{source}"]'
    (folder / "data.toml").write_text(f"version = 1\n\n[events]\n{place}\n", encoding="utf-8")
    sizes = [path.stat().st_size for path in target.iterdir()]
    return f"{sum(sizes) / 2**20:,.0f} MiB of {source} in {len(sizes)} file(s)"


def _parts(*, users: int, events: int, items: int) -> Iterator[pl.DataFrame]:
    rng = np.random.default_rng(0)
    active = _cumulative(np.exp(rng.standard_normal(users) * _ACTIVITY))
    famous = _cumulative(np.arange(1, items + 1, dtype=np.float64) ** -_FAME)
    names = pl.Series([f"customer-{k:08x}" for k in range(users)])
    goods = pl.Series(bench_catalogue(items).item_ids)
    for first in range(0, events, _PART_EVENTS):
        count = min(_PART_EVENTS, events - first)
        who = np.searchsorted(active, rng.random(count))
        # Everybody once, whoever else comes.
        sure = np.arange(first, min(first + count, users))
        who[: len(sure)] = sure
        rng.shuffle(who)
        what = np.searchsorted(famous, rng.random(count))
        times = _START + (np.arange(first, first + count) * _SECONDS) // events
        yield pl.DataFrame(
            {
                "user_id": names.gather(who),
                "item_id": goods.gather(what),
                "timestamp": times,
            }
        )


def _cumulative(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    total = np.cumsum(weights)
    total /= total[-1]
    total[-1] = 1.0
    return total


def _write_part(path: Path, part: pl.DataFrame) -> None:
    match path.suffix:
        case ".parquet":
            part.write_parquet(path)
        case ".csv":
            part.write_csv(path)
        case _:
            part.write_ndjson(path)


def _write_sqlite(path: Path, parts: Iterator[pl.DataFrame]) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (user_id TEXT, item_id TEXT, timestamp INTEGER)")
        for part in parts:
            connection.executemany("INSERT INTO events VALUES (?, ?, ?)", part.iter_rows())
