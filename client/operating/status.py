"""Where a site stands, read from its folder without disturbing its agent."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from recommons.client.agent.credentials import CERTIFICATE
from recommons.client.operating.pausing import Pause, paused
from recommons.client.records.books import LEDGER
from recommons.client.records.database import DATABASE
from recommons.client.records.disk import is_full
from recommons.client.records.halting import earlier_ledger, is_halted
from recommons.client.records.health import DataHealth, data_health
from recommons.client.records.outbox import sent, totals
from recommons.client.records.store import SiteStore
from recommons.client.releases import installed
from recommons.client.site import SiteConfig
from recommons.common.errors import InvalidInput, RecommonsError
from recommons.common.federation import Federation
from recommons.common.locking import is_locked

__all__ = ["AGENT_LOCK", "SiteStatus", "agent_runs", "named_faults", "read_status"]

AGENT_LOCK = "agent.lock"


@dataclass(frozen=True, kw_only=True)
class SiteStatus:
    """A site as its operator sees it.

    Attributes:
        site: Its id.
        federation: The federation's id; None before one is pinned.
        epoch: Of the pinned roster.
        running: An agent of this folder runs.
        paused: The pause in force.
        halted: The site is an old backup and answers nothing.
        earlier_ledger: Lines that others hold of a ledger that a site of this name had before,
            under a key that this folder never had; None where they hold none. Every run is refused
            while they do.
        data: What the last reading of its data found; None where it never read them.
        open_runs: Runs that it has joined and that have not ended, by id.
        ledger_entries: Length of its ledger.
        answers: Answers that ever left, and when the last one did.
        bytes_sent: Their size together.
        last_answer: RFC 3339.
        releases: Releases it has received whole.
        certificate_ends: When its certificate expires, RFC 3339; None where it has none.
    """

    site: str
    federation: str | None
    epoch: int | None
    running: bool
    paused: Pause | None
    halted: bool
    earlier_ledger: int | None
    data: DataHealth | None
    open_runs: tuple[str, ...]
    ledger_entries: int
    answers: int
    bytes_sent: int
    last_answer: str | None
    releases: tuple[str, ...]
    certificate_ends: str | None

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def read_status(folder: Path) -> SiteStatus:
    """Read a site's folder; nothing in it changes.

    Raises:
        InvalidInput: ``site/folder``: it is not a site's, or a file of it cannot be read.
        RecommonsError: ``site/disk`` or ``site/locked``.
    """
    with named_faults(folder):
        return _status(folder)


@contextmanager
def named_faults(folder: Path) -> Iterator[None]:
    """What a site's files and database refuse to those who look, by named codes.

    Raises:
        InvalidInput: ``site/folder``.
        RecommonsError: ``site/disk``.
    """
    try:
        yield
    except (OSError, SQLAlchemyError) as error:
        named = isinstance(error, OSError) and error.filename
        said = f"{Path(named).name if named else DATABASE} cannot be read in {folder}"
        if is_full(error):
            raise RecommonsError("site/disk", said) from error
        raise InvalidInput("site/folder", said) from error


def _status(folder: Path) -> SiteStatus:
    config = SiteConfig.read(folder)
    pinned = _pinned(folder)
    books: dict[str, Any] = {
        "paused": None,
        "halted": False,
        "earlier_ledger": None,
        "data": None,
        "open_runs": (),
        "ledger_entries": 0,
        "answers": 0,
        "bytes_sent": 0,
        "last_answer": None,
    }
    if (folder / DATABASE).exists():
        store = SiteStore(folder / DATABASE, read_only=True)
        try:
            with store.transaction() as connection:
                books = _books(store, connection)
        finally:
            store.close()
    return SiteStatus(
        site=config.site,
        federation=None if pinned is None else pinned.roster.federation,
        epoch=None if pinned is None else pinned.roster.epoch,
        running=agent_runs(folder),
        releases=tuple(r.path.name for r in installed(folder) if r.complete),
        certificate_ends=_certificate_ends(folder),
        **books,
    )


def agent_runs(folder: Path) -> bool:
    """Whether an agent holds the folder's lock."""
    return is_locked(folder / AGENT_LOCK)


def _books(store: SiteStore, connection: Connection) -> dict[str, Any]:
    last, latest, left = LEDGER.last(connection), sent(connection, most=1), totals(connection)
    return {
        "paused": paused(store, connection),
        "halted": is_halted(store, connection),
        "earlier_ledger": earlier_ledger(store, connection),
        "data": data_health(store, connection),
        "open_runs": tuple(run.hex() for run in store.open_runs(connection)),
        "ledger_entries": 0 if last is None else last.seq + 1,
        "answers": left.messages,
        "bytes_sent": left.bytes,
        "last_answer": _rfc3339(latest[0].time) if latest else None,
    }


def _pinned(folder: Path) -> Federation | None:
    try:
        return Federation.from_bytes((folder / "federation.json").read_bytes())
    except FileNotFoundError:
        return None


def _certificate_ends(folder: Path) -> str | None:
    try:
        certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
    except (OSError, ValueError):
        return None
    return certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ")


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
