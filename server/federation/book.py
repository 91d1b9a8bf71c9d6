"""The federation's durable record of who was invited, who asked, and what was decided.

SQLite, one transaction for each act: an act is there whole or not at all, however a process ends.
The files in the home that other processes read follow from it (`publishing`).

| table | holds |
|---|---|
| `invitations` | two hashes of each token's secret, for whom, until when, and what came of it |
| `epochs` | every roster that was signed, with its coordinator and statements |
| `approvals` | sites' signatures over epochs |
| `certificates` | the present certificate of each site, and whether it is turned away |
| `successions` | statements by which sites replaced their signing keys |
| `reports` | which epoch each site has pinned, as it said last |
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.pool import NullPool

from recommons.common.epochs import Epoch
from recommons.common.succession import Succession
from recommons.common.tables import is_unnumbered

__all__ = ["Admission", "Book", "Invited", "State"]

_VERSION = 1
"""Of the tables."""

State = Literal["open", "waiting", "approved", "rejected", "withdrawn"]

_META = MetaData()
_INVITATIONS = Table(
    "invitations",
    _META,
    Column("name", LargeBinary, primary_key=True),
    Column("mac", LargeBinary, nullable=False),
    Column("site", String, nullable=False),
    Column("expires", Integer, nullable=False),
    Column("made", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("public_key", LargeBinary),
    Column("node_key", String),
    Column("application", LargeBinary),
    Column("asked", Integer),
)
_EPOCHS = Table(
    "epochs",
    _META,
    Column("number", Integer, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)
_APPROVALS = Table(
    "approvals",
    _META,
    Column("number", Integer, primary_key=True),
    Column("site", String, primary_key=True),
    Column("signature", LargeBinary, nullable=False),
)
_CERTIFICATES = Table(
    "certificates",
    _META,
    Column("site", String, primary_key=True),
    Column("pem", LargeBinary, nullable=False),
    Column("node_key", String, nullable=False),
    Column("turned_away", Integer, nullable=False, default=0),
)
_SUCCESSIONS = Table(
    "successions",
    _META,
    Column("old", LargeBinary, primary_key=True),
    Column("site", String, nullable=False),
    Column("new", LargeBinary, nullable=False),
    Column("by_old", LargeBinary, nullable=False),
    Column("by_new", LargeBinary, nullable=False),
    Column("asked", Integer, nullable=False),
)
_REPORTS = Table(
    "reports",
    _META,
    Column("site", String, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("time", Integer, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Invited:
    """An invitation and what came of it.

    Attributes:
        name: Its public name.
        mac: Key of its calls.
        site: Whom it is for.
        expires: Seconds since 1970; an open one is not taken from then on.
        state: What came of it.
        public_key: The signing key that asked by it, None while it is open.
        node_key: Fingerprint of the node key that asked by it.
        application: The application's bytes.
        asked: When it was first asked by, seconds since 1970.
    """

    name: bytes
    mac: bytes
    site: str
    expires: int
    state: State
    public_key: bytes | None = None
    node_key: str | None = None
    application: bytes | None = None
    asked: int | None = None


@dataclass(frozen=True, kw_only=True)
class Admission:
    """A site's certificate.

    Attributes:
        pem: The certificate.
        node_key: Fingerprint of its key.
        turned_away: The gateway lets it in no more.
    """

    pem: bytes
    node_key: str
    turned_away: bool


class Book:
    """One federation's record.

    Args:
        path: The database; made on first use, readable by its owner alone.

    Raises:
        InvalidInput: ``federation/database``: its tables are of another version.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.touch(mode=0o600)
        self._engine = _engine(path)
        try:
            with self.act() as act:
                if _is_new(act):
                    act.exec_driver_sql(f"PRAGMA user_version={_VERSION}")
                _META.create_all(act)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the file back."""
        self._engine.dispose()

    @contextmanager
    def act(self) -> Iterator[Connection]:
        """All or nothing, one at a time, durable on return."""
        with self._engine.begin() as connection:
            yield connection

    # Invitations.

    def invite(self, act: Connection, invited: Invited, *, now: int) -> None:
        """Add an open invitation; earlier ones for the same site that nobody used are withdrawn."""
        earlier = (_INVITATIONS.c.site == invited.site) & (_INVITATIONS.c.state == "open")
        act.execute(update(_INVITATIONS).where(earlier).values(state="withdrawn"))
        act.execute(
            insert(_INVITATIONS).values(
                name=invited.name,
                mac=invited.mac,
                site=invited.site,
                expires=invited.expires,
                made=now,
                state=invited.state,
            )
        )

    def invited(self, act: Connection, name: bytes) -> Invited | None:
        """An invitation by its public name."""
        rows = self._invited(act, _INVITATIONS.c.name == name)
        return rows[0] if rows else None

    def in_state(self, act: Connection, state: State) -> list[Invited]:
        """All invitations in a state, by site."""
        return self._invited(act, _INVITATIONS.c.state == state)

    def ask(
        self,
        act: Connection,
        name: bytes,
        *,
        public_key: bytes,
        node_key: str,
        application: bytes,
        now: int,
    ) -> None:
        """An invitation is used: it now belongs to these two keys."""
        act.execute(
            update(_INVITATIONS)
            .where(_INVITATIONS.c.name == name)
            .values(
                state="waiting",
                public_key=public_key,
                node_key=node_key,
                application=application,
                asked=now,
            )
        )

    def decide(self, act: Connection, name: bytes, state: State) -> None:
        """Write down what came of an invitation."""
        changed = update(_INVITATIONS).where(_INVITATIONS.c.name == name).values(state=state)
        act.execute(changed)

    def withdraw(self, act: Connection, site: str) -> int:
        """End every invitation and request for a site; returns how many there were."""
        live = _INVITATIONS.c.state.in_(("open", "waiting", "approved"))
        ended = update(_INVITATIONS).where((_INVITATIONS.c.site == site) & live)
        return int(act.execute(ended.values(state="withdrawn")).rowcount)

    def _invited(self, act: Connection, condition: Any) -> list[Invited]:  # noqa: ANN401 - SQL
        rows = act.execute(
            select(_INVITATIONS).where(condition).order_by(_INVITATIONS.c.site, _INVITATIONS.c.made)
        )
        return [
            Invited(
                name=row.name,
                mac=row.mac,
                site=row.site,
                expires=row.expires,
                state=row.state,
                public_key=row.public_key,
                node_key=row.node_key,
                application=row.application,
                asked=row.asked,
            )
            for row in rows
        ]

    # Epochs.

    def add_epoch(self, act: Connection, epoch: Epoch) -> None:
        """Add the next epoch, without its approvals."""
        bare = replace(epoch, approvals={})
        act.execute(insert(_EPOCHS).values(number=epoch.roster.epoch, document=bare.to_bytes()))

    def epoch(self, act: Connection, number: int | None = None) -> Epoch | None:
        """An epoch with the approvals gathered so far; by default the present one."""
        wanted = select(_EPOCHS).order_by(_EPOCHS.c.number.desc()).limit(1)
        if number is not None:
            wanted = wanted.where(_EPOCHS.c.number == number)
        row = act.execute(wanted).first()
        if row is None:
            return None
        given = select(_APPROVALS).where(_APPROVALS.c.number == row.number)
        approvals = {found.site: found.signature for found in act.execute(given)}
        return replace(Epoch.from_bytes(row.document), approvals=approvals)

    def epochs_after(self, act: Connection, number: int, most: int) -> list[Epoch]:
        """The latest epochs later than one, in order."""
        later = select(_EPOCHS.c.number).where(_EPOCHS.c.number > number)
        newest = act.execute(later.order_by(_EPOCHS.c.number.desc()).limit(most)).scalars().all()
        found = (self.epoch(act, wanted) for wanted in sorted(newest))
        return [epoch for epoch in found if epoch is not None]

    def add_approval(self, act: Connection, number: int, site: str, signature: bytes) -> None:
        """Keep a site's approval, which the caller has checked."""
        row = {"number": number, "site": site, "signature": signature}
        act.execute(upsert(_APPROVALS).values(row).on_conflict_do_nothing())

    # Certificates.

    def admit(self, act: Connection, site: str, pem: bytes, node_key: str) -> None:
        """The site's certificate from now on."""
        row = {"site": site, "pem": pem, "node_key": node_key, "turned_away": 0}
        act.execute(
            upsert(_CERTIFICATES)
            .values(row)
            .on_conflict_do_update(index_elements=[_CERTIFICATES.c.site], set_=row)
        )

    def turn_away(self, act: Connection, site: str) -> None:
        """Its certificate opens nothing any more."""
        found = update(_CERTIFICATES).where(_CERTIFICATES.c.site == site)
        act.execute(found.values(turned_away=1))

    def admissions(self, act: Connection) -> dict[str, Admission]:
        """Every site that ever had a certificate."""
        return {
            row.site: Admission(
                pem=row.pem, node_key=row.node_key, turned_away=bool(row.turned_away)
            )
            for row in act.execute(select(_CERTIFICATES).order_by(_CERTIFICATES.c.site))
        }

    # Successions and reports.

    def add_succession(self, act: Connection, statement: Succession, *, now: int) -> None:
        """Keep a statement, which the caller has checked; a key has one successor for good."""
        row = {
            "old": statement.old,
            "site": statement.site,
            "new": statement.new,
            "by_old": statement.by_old,
            "by_new": statement.by_new,
            "asked": now,
        }
        act.execute(upsert(_SUCCESSIONS).values(row).on_conflict_do_nothing())

    def successions(self, act: Connection) -> list[Succession]:
        """All statements, oldest first."""
        return [statement for statement, _ in self.successions_asked(act)]

    def successions_asked(self, act: Connection) -> list[tuple[Succession, int]]:
        """All statements with the time at which they came, oldest first."""
        ordered = select(_SUCCESSIONS).order_by(_SUCCESSIONS.c.asked, _SUCCESSIONS.c.old)
        return [
            (
                Succession(
                    site=row.site, old=row.old, new=row.new, by_old=row.by_old, by_new=row.by_new
                ),
                row.asked,
            )
            for row in act.execute(ordered)
        ]

    def report(self, act: Connection, site: str, epoch: int, *, now: int) -> None:
        """A site has said which epoch it has pinned."""
        row = {"site": site, "epoch": epoch, "time": now}
        act.execute(
            upsert(_REPORTS)
            .values(row)
            .on_conflict_do_update(index_elements=[_REPORTS.c.site], set_=row)
        )

    def reports(self, act: Connection) -> dict[str, tuple[int, int]]:
        """Pinned epoch and time of the last report, by site."""
        return {row.site: (row.epoch, row.time) for row in act.execute(select(_REPORTS))}


def _is_new(act: Connection) -> bool:
    number = act.exec_driver_sql("PRAGMA user_version").scalar_one()
    tables = act.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
    return is_unnumbered(number, tables, version=_VERSION, code="federation/database")


def _engine(path: Path) -> Engine:
    # hide_parameters: the text of a database error must not hold an invitation's key.
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        for setting in ("busy_timeout=30000", "journal_mode=TRUNCATE", "synchronous=FULL"):
            connection.execute(f"PRAGMA {setting}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
