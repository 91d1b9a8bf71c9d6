"""What the site last found when it read its own data: for its operator, never for anyone else."""

import json
import time
from dataclasses import asdict, dataclass, replace

from sqlalchemy import Connection

from recommons.client.records.store import SiteStore
from recommons.client.sources.cache import OwnUsers
from recommons.common.errors import DataError, InvalidInput

__all__ = ["DataHealth", "data_health", "note_health"]

_FACT = "data-health"


@dataclass(frozen=True, kw_only=True)
class DataHealth:
    """One reading of the site's data.

    Attributes:
        time: When, RFC 3339.
        ok: The data could be read.
        code: Why not.
        source: What they are in: ``parquet``, ``postgresql`` ….
        users: Number of users; None where it is not known.
        events: Number of events, those that do not count included.
        bad: Number of events that could not be read and are left out.
        seconds: How long the reading took.
    """

    time: str
    ok: bool
    code: str | None = None
    source: str
    users: int | None = None
    events: int | None = None
    bad: int | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, own: OwnUsers, source: str) -> "DataHealth":
        """Of a reading that went well."""
        made = own.manifest
        return cls(
            time=_rfc3339(made.read),
            ok=True,
            source=source,
            users=made.users,
            events=made.rows,
            bad=sum(made.bad.values()),
            seconds=round(made.seconds, 3),
        )

    @classmethod
    def of_failure(cls, error: DataError | InvalidInput, source: str, now: float) -> "DataHealth":
        """Of one that did not."""
        return cls(time=_rfc3339(now), ok=False, code=error.code, source=source)


def note_health(store: SiteStore, health: DataHealth) -> None:
    """Keep the latest reading; nothing is written where it is known already."""
    with store.transaction() as transaction:
        known = data_health(store, transaction)
        # A fault that lasts is noted once, with the time at which it began.
        same = known and replace(known, time="") == replace(health, time="")
        if known != health and not (same and not health.ok):
            store.set_fact(transaction, _FACT, json.dumps(asdict(health)).encode())


def data_health(store: SiteStore, connection: Connection) -> DataHealth | None:
    """The latest reading, None where there was none."""
    found = store.fact(connection, _FACT)
    return None if found is None else DataHealth(**json.loads(found))


def _rfc3339(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
