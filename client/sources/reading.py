"""The events of a site's source, checked, as one stream: many files, or the rows of a query."""

import glob
import itertools
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from recommons.client.sources.database import query_tables
from recommons.client.sources.events import EventStream, sift_events
from recommons.client.sources.lines import open_rows
from recommons.client.sources.settings import DataSettings
from recommons.common.errors import DataError

__all__ = ["Events", "Tally", "find_event_files", "open_source"]


@dataclass(kw_only=True)
class Tally:
    """What was read so far.

    Attributes:
        rows: Events, those that do not count included.
        left_out: Those that do not count, by reason.
        bad: Those that cannot be read, by reason.
        first_bad: The place of the first of those, and what is wrong there.
    """

    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    first_bad: str | None = None

    def add(self, stream: EventStream) -> EventStream:
        """Count what a stream was made of."""
        self.rows += stream.rows
        self.left_out.update(stream.left_out)
        self.bad.update(stream.bad)
        self.first_bad = self.first_bad or stream.first_bad
        return stream


@dataclass(frozen=True, kw_only=True)
class Events:
    """All events that count.

    Attributes:
        timed: All of them have times.
        typed: All of them have types.
        streams: They, to be taken once; a fault in a later one shows when it is reached.
        close: Gives the source back; to be called also where not all were taken.
    """

    timed: bool
    typed: bool
    streams: Iterator[EventStream]
    close: Callable[[], None]


def find_event_files(folder: Path, settings: DataSettings) -> list[Path]:
    """The files that the patterns name, each once, in the order of the patterns and of names.

    Raises:
        DataError: ``data/not-found``: a pattern names none.
    """
    found: dict[Path, None] = {}
    for pattern in settings.events.files:
        names = sorted(glob.glob(str(folder / pattern), recursive=True))  # noqa: PTH207 - "**" and absolute
        files = [Path(name) for name in names if Path(name).is_file()]
        if not files:
            raise DataError("data/not-found", f"{pattern}: no such file; expected events")
        found |= dict.fromkeys(files)
    return list(found)


def open_source(folder: Path, settings: DataSettings, tally: Tally) -> Events:
    """Open a site's source; files are looked through at once, a query's rows as they come.

    A row that cannot be read is left out and counted, and changes nothing for any other: whether a
    site takes part, and with what, must not depend on one user's row (`docs/policy.md`).

    Args:
        folder: The site's folder.
        settings: Where the events are.
        tally: Told what was read.

    Raises:
        DataError: The source cannot be read, for a reason that no row can bring about.
    """
    if settings.events.url is not None:
        rest: Iterator[EventStream]
        streams = _of_query(folder, settings, tally)
        first = next(streams, None)
        found = [] if first is None else [first]
        rest, close = itertools.chain(found, streams), streams.close
    else:
        found = list(_of_files(folder, settings, tally))
        rest, close = iter(found), _nothing
    return Events(
        timed=bool(found) and all(stream.timed for stream in found),
        typed=bool(found) and all(stream.typed for stream in found),
        streams=rest,
        close=close,
    )


def _of_files(folder: Path, settings: DataSettings, tally: Tally) -> Iterator[EventStream]:
    names = settings.names
    for path in find_event_files(folder, settings):
        try:
            table = open_rows(path, path.name, names)
        except DataError as error:
            if error.code != "data/empty":
                raise
            continue  # nobody is data like any other
        yield tally.add(sift_events(table, names, settings.positives))


def _of_query(
    folder: Path, settings: DataSettings, tally: Tally
) -> Generator[EventStream, None, None]:
    url = settings.events.connection_url(folder)
    with closing(query_tables(url, settings.events.query or "", settings.names)) as tables:
        for table in tables:
            yield tally.add(sift_events(table, settings.names, settings.positives))


def _nothing() -> None:
    """Files are not held open."""
