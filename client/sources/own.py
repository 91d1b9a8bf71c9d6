"""A site's own users, from wherever `data.toml` says, by way of the compact copy.

The copy is made anew when it is not of the present source, catalogue or key: files are compared by
name, size and time. What a database holds cannot be compared, so a copy of it counts as present for
`max_age_hours`, and is made anew when a run is joined after that; rounds of a run that was joined
take the copy as it is.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import polars as pl

from recommons.client.sources.cache import (
    Manifest,
    OwnUsers,
    drop_copy,
    open_copy,
    publish,
    write_copy,
)
from recommons.client.sources.gathering import Gatherer
from recommons.client.sources.reading import Tally, find_event_files, open_source
from recommons.client.sources.settings import DataSettings
from recommons.common.data.catalogue import Catalogue
from recommons.common.errors import DataError
from recommons.common.hashing import canonical_json, digest
from recommons.common.locking import locked

__all__ = ["OwnSource", "remove_copy"]

_LOCK = "lock"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class OwnSource:
    """Where a site's users come from.

    Attributes:
        folder: The site's folder.
        settings: Of `data.toml`.
        catalogue: The public catalogue.
        secret: The key of the users' hashes.
        clock: Seconds since 1970.
    """

    folder: Path
    settings: DataSettings
    catalogue: Catalogue
    secret: bytes = field(repr=False)
    clock: Callable[[], float] = time.time

    @property
    def cache(self) -> Path:
        """The folder of the compact copy."""
        return self.folder / self.settings.cache.folder

    def users(self, *, with_order: bool = False, joining: bool = False) -> OwnUsers:
        """The site's users: nobody, and nobody with a known item, are data like any other.

        Args:
            with_order: Interactions carry times and kinds where the events have them.
            joining: A run is being joined: a database's copy must be younger than its greatest age.

        Raises:
            DataError: The source cannot be read, for a reason that no row can bring about.
        """
        present = self._present(with_order=with_order, joining=joining)
        if present is not None:
            return present
        with _alone(self.cache):
            present = self._present(with_order=with_order, joining=joining)
            return present or self._read(with_order=with_order)

    def read_anew(self, *, with_order: bool = False) -> OwnUsers:
        """The site's users, from the source, whatever the copy says.

        Raises:
            DataError: As `users`.
        """
        with _alone(self.cache):
            return self._read(with_order=with_order)

    def _present(self, *, with_order: bool, joining: bool) -> OwnUsers | None:
        own = open_copy(self.cache, len(self.catalogue))
        if own is None:
            return None
        made, wanted = asdict(own.manifest), self._made_from()
        if any(made[name] != value for name, value in wanted.items()):
            return None
        if with_order and not own.manifest.ordered:
            return None
        if self.settings.events.url is not None and joining:
            age = self.clock() - own.manifest.read
            if not 0 <= age <= self.settings.cache.max_age_hours * 3600:
                return None
        return own

    def _made_from(self) -> dict[str, str]:
        """Source, catalogue and key, as a manifest has them."""
        seen = []
        for file in find_event_files(self.folder, self.settings):
            stat = file.stat()
            seen.append([str(file), *map(str, (stat.st_size, stat.st_mtime_ns, stat.st_ino))])
        settings = self.settings.model_dump(mode="json", exclude={"cache", "check"})
        return {
            "source": digest("recommons/site-source/1", canonical_json([settings, seen])).hex(),
            "catalogue": self.catalogue.hash.hex(),
            "key": digest("recommons/site-user-key/1", self.secret).hex(),
        }

    def _read(self, *, with_order: bool) -> OwnUsers:
        began, clock = self.clock(), time.perf_counter()
        made, tally = self._made_from(), Tally()
        events = open_source(self.folder, self.settings, tally)
        timed, typed = with_order and events.timed, with_order and events.typed
        columns = (("times",) if timed else ()) + (("kinds",) if typed else ())
        items = pl.Series(self.catalogue.item_ids, dtype=pl.String)
        gatherer = Gatherer(self.secret, len(items), self.cache, timed=timed, typed=typed)
        try:
            for stream in events.streams:
                for part in stream.batches(items, with_order=with_order):
                    gatherer.add(part)
            copy, users, pairs = write_copy(self.cache, gatherer.rows(), columns)
        finally:
            gatherer.close()
            events.close()
        if tally.bad:
            # How many they are is for the site's own operator: it stays in the site's own log.
            _log.warning("data/bad-rows: %d rows cannot be read", tally.bad.total())
        if self._made_from() != made:
            raise DataError("data/changed", "a file of events changed while it was read")
        manifest = Manifest(
            **made,
            ordered=with_order,
            columns=columns,
            users=users,
            pairs=pairs,
            rows=tally.rows,
            left_out=dict(tally.left_out),
            bad=dict(tally.bad),
            unknown=gatherer.unknown,
            read=began,
            seconds=time.perf_counter() - clock,
        )
        publish(self.cache, copy, manifest)
        own = open_copy(self.cache, len(self.catalogue))
        if own is None:
            raise DataError("data/changed", "the copy of the events was removed while it was made")
        return own


def remove_copy(folder: Path, settings: DataSettings) -> None:
    """Remove a site's compact copy: the next reading starts from the source.

    Raises:
        OSError: Something of it is still there.
    """
    cache = folder / settings.cache.folder
    if cache.exists():
        with _alone(cache):
            drop_copy(cache)


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """Hold the cache's lock: one reading at a time, and nobody removes what another makes."""
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(cache / _LOCK):
        yield
