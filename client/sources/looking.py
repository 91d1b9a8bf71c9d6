"""A look at a site's data where there is no catalogue yet: can they be read, and how many?"""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recommons.client.sources.reading import Tally, open_source
from recommons.client.sources.settings import DataSettings

__all__ = ["Look", "look_at"]


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a site's data are, for its operator alone.

    Attributes:
        kind: ``parquet``, ``postgresql`` ….
        users: Number of users.
        rows: Number of events, those that do not count included.
        left_out: Events that do not count, by reason.
    """

    kind: str
    users: int
    rows: int
    left_out: dict[str, int]


def look_at(folder: Path, settings: DataSettings) -> Look:
    """Read all events once; what stays in memory are the users' ids.

    Args:
        folder: The site's folder.
        settings: Where its events are.

    Raises:
        DataError: They cannot be read; file, row and column are named, never a user.
    """
    tally, users = Tally(), pl.Series("user", [], pl.String)
    events = open_source(folder, settings, tally)
    with closing(events):
        for stream in events.streams:
            users = pl.concat([users, stream.user_ids().alias("user")]).unique()
    return Look(
        kind=settings.events.kind,
        users=len(users),
        rows=tally.rows,
        left_out=dict(tally.left_out),
    )
