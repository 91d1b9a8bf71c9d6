"""A look at a site's data: can they be read, how many are they, and how many of them count?"""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recommons.client.sources.reading import Tally, open_source
from recommons.client.sources.settings import DataSettings
from recommons.client.sources.usable import Usable
from recommons.common.data.catalogue import Catalogue
from recommons.common.errors import DataError
from recommons.common.units import counted

__all__ = ["NOT_COMPARED", "Look", "check_bad_rows", "look_at"]

NOT_COMPARED = "its items were not compared, for want of a catalogue"


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a site's data are, for its operator alone.

    Attributes:
        kind: ``parquet``, ``postgresql`` ….
        users: Number of users.
        rows: Number of events, those that do not count included.
        left_out: Events that do not count, by reason.
        bad: Events that cannot be read and are left out, by reason.
        first_bad: The place of the first of those, and what is wrong there.
        usable: What is on items of the catalogue; None without a catalogue.
    """

    kind: str
    users: int
    rows: int
    left_out: dict[str, int]
    bad: dict[str, int]
    first_bad: str | None
    usable: Usable | None

    @property
    def bad_rows(self) -> int:
        """How many cannot be read."""
        return sum(self.bad.values())

    def __str__(self) -> str:
        return f"{counted(self.users, 'user')}, {counted(self.rows, 'event')}"


def look_at(folder: Path, settings: DataSettings, catalogue: Catalogue | None = None) -> Look:
    """Read all events once; what stays in memory are the users' ids.

    Args:
        folder: The site's folder.
        settings: Where its events are.
        catalogue: What their items are compared with.

    Raises:
        DataError: They cannot be read, for a reason that no row can bring about.
    """
    tally, items = Tally(), pl.Series(catalogue.item_ids if catalogue else [], dtype=pl.String)
    users = pl.DataFrame(schema={"user": pl.String, "events": pl.UInt32, "known": pl.UInt32})
    events = open_source(folder, settings, tally)
    with closing(events):
        for stream in events.streams:
            users = pl.concat([users, stream.by_user(items)])
            users = users.group_by("user").agg(pl.col("events", "known").sum())
    known = int(users["known"].sum())
    usable = Usable(
        users=int((users["known"] > 0).sum()),
        events=known,
        unknown=int(users["events"].sum()) - known,
    )
    return Look(
        kind=settings.events.kind,
        users=len(users),
        rows=tally.rows,
        left_out=dict(tally.left_out),
        bad=dict(tally.bad),
        first_bad=tally.first_bad,
        usable=None if catalogue is None else usable,
    )


def check_bad_rows(look: Look, settings: DataSettings) -> None:
    """Refuse data of which more cannot be read than the operator allows; never asked in a round.

    Raises:
        DataError: ``data/bad-rows``.
    """
    allowed = settings.check.most_bad_rows
    if look.bad_rows > allowed * look.rows:
        raise DataError(
            "data/bad-rows",
            f"{look.bad_rows:,} of {look.rows:,} rows cannot be read, first {look.first_bad}; "
            f"check.most_bad_rows of data.toml is {allowed:g}; required: at most that part of them",
        )
