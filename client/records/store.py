"""A site's durable memory: contexts, round states, replies, spending and the ledger, in SQLite.

Every step of a round is one transaction: the new state, the exact bytes of the reply, what was
spent and the ledger's lines become durable together, before anything is sent. Nothing is computed
twice for one context, whatever the order of crashes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from recommons.client.budgets.store import BudgetStore
from recommons.client.budgets.tables import BUDGET_TABLES
from recommons.client.records import books, outbox
from recommons.client.records.database import SharedDatabase, reading_engine, waiting_by_name
from recommons.common.errors import Refusal
from recommons.common.tables import is_unnumbered

__all__ = ["RunRecord", "SiteStore"]

_VERSION = 1
"""Of the tables of `site.db`, all modules' together."""

_META = MetaData()

# A plan the site has joined.
_RUNS = Table(
    "runs",
    _META,
    Column("run_id", LargeBinary, primary_key=True),
    Column("plan", LargeBinary, nullable=False),
    Column("ended", Integer, nullable=False, default=0),
)
# A context is used once, ever: the primary key says so. `state` is null when the attempt is over.
_CONTEXTS = Table(
    "contexts",
    _META,
    Column("context", LargeBinary, primary_key=True),
    Column("run_id", LargeBinary, nullable=False),
    Column("round", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("begun", Integer, nullable=False),  # in seconds of the site's clock
    Column("state", LargeBinary),
    Column("draw", LargeBinary),  # the key of the coins by which users are drawn
)


def _table_of_replies(name: str) -> Table:
    return Table(
        name,
        _META,
        Column("context", LargeBinary, primary_key=True),
        Column("step", String, primary_key=True),
        Column("request_hash", LargeBinary, nullable=False),
        Column("reply", LargeBinary, nullable=False),
    )


# By themselves, as these two may be large: SQLite writes a whole row anew whatever changes in it.
# They are deleted without being overwritten (`_as_it_is`): nothing secret may lie in their pages.
_PUBLIC_STATES = Table(
    "public_states",
    _META,
    Column("context", LargeBinary, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)
_VECTORS = _table_of_replies("vectors")
_REPLIES = _table_of_replies("replies")
_VECTOR_STEP = "masked"
# Single values: the roster and policy last written into the ledger, why the site is halted.
_FACTS = Table(
    "facts",
    _META,
    Column("name", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run this site has joined.

    Attributes:
        plan: The plan's canonical bytes.
        opened: Attempts begun, by round.
        ended: The coordinator has ended the run.
    """

    plan: bytes
    opened: Mapping[int, int]
    ended: bool


class SiteStore:
    """One site's database.

    Args:
        path: The database file; made on first use, readable by its owner alone.
        read_only: Look only: nothing is made or changed, and no writer waits for a transaction
            that is open for a moment.

    Raises:
        InvalidInput: ``site/database``: it has tables of another version.
        RecommonsError: ``site/locked``: another process holds it.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        with waiting_by_name():
            self._shared = None if read_only else SharedDatabase.of(path, _make_tables)
        self._engine = reading_engine(path) if self._shared is None else self._shared.engine
        self._closed = False
        if read_only:
            with self.transaction() as connection:
                _is_new(connection)
        self.budgets = BudgetStore(self.fact, self.set_fact)

    def close(self) -> None:
        """Give the file back; what is done with the store after that is undefined."""
        if self._shared is None:
            self._engine.dispose()
        elif not self._closed:
            self._closed = True
            self._shared.leave()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All or nothing, durable on return.

        Raises:
            RecommonsError: ``site/locked``: another process holds the file; nothing was written.
        """
        with waiting_by_name(), self._engine.begin() as connection:
            yield connection

    def run(self, connection: Connection, run_id: bytes) -> RunRecord | None:
        """The run, if this site has joined it."""
        row = connection.execute(select(_RUNS).where(_RUNS.c.run_id == run_id)).first()
        if row is None:
            return None
        opened = connection.execute(
            select(_CONTEXTS.c.round, func.count().label("attempts"))
            .where(_CONTEXTS.c.run_id == run_id)
            .group_by(_CONTEXTS.c.round)
        )
        attempts = {found.round: found.attempts for found in opened}
        return RunRecord(plan=row.plan, opened=attempts, ended=bool(row.ended))

    def plans(self, connection: Connection) -> list[bytes]:
        """Every plan this site ever joined, ended or not; each has reserved its budget for good."""
        return [row.plan for row in connection.execute(select(_RUNS.c.plan))]

    def open_runs(self, connection: Connection) -> list[bytes]:
        """The runs that were joined and have not ended, in no order."""
        rows = connection.execute(select(_RUNS.c.run_id).where(_RUNS.c.ended == 0))
        return [row.run_id for row in rows]

    def end_run(self, connection: Connection, run_id: bytes) -> None:
        """No more attempts; the replies, the revealed shares among them, are forgotten."""
        connection.execute(update(_RUNS).where(_RUNS.c.run_id == run_id).values(ended=1))
        _forget_replies(connection, _CONTEXTS.c.run_id == run_id)

    def add_run(self, connection: Connection, run_id: bytes, plan: bytes) -> None:
        """Remember a joined run; its whole budget counts as reserved from here on."""
        connection.execute(insert(_RUNS).values(run_id=run_id, plan=plan))

    def use_context(
        self,
        connection: Connection,
        *,
        context: bytes,
        run_id: bytes,
        round: int,
        attempt: int,
        now: int,
    ) -> None:
        """Claim a context for good, and note when.

        Raises:
            Refusal: The context was used before.
        """
        values = {"context": context, "run_id": run_id, "round": round, "attempt": attempt}
        try:
            connection.execute(insert(_CONTEXTS).values(begun=now, **values))
        except IntegrityError as error:
            raise Refusal(
                "site/context-used", f"round {round}, attempt {attempt} was already used"
            ) from error

    def begun(self, connection: Connection, context: bytes) -> int | None:
        """When a context was claimed, None for one that was not."""
        return connection.execute(
            select(_CONTEXTS.c.begun).where(_CONTEXTS.c.context == context)
        ).scalar_one_or_none()

    def state(self, connection: Connection, context: bytes) -> bytes | None:
        """The round's state, None when the attempt is unknown or over."""
        return connection.execute(
            select(_CONTEXTS.c.state).where(_CONTEXTS.c.context == context)
        ).scalar_one_or_none()

    def set_state(self, connection: Connection, context: bytes, state: bytes | None) -> None:
        """Replace the round's state; None erases it, and all that goes with it."""
        gone = {"state": None, "draw": None}
        values = {"state": state} if state is not None else gone
        if state is None:
            gone_with_it = _PUBLIC_STATES.delete().where(_PUBLIC_STATES.c.context == context)
            with _as_it_is(connection):
                connection.execute(gone_with_it)
        connection.execute(update(_CONTEXTS).where(_CONTEXTS.c.context == context).values(**values))

    def public_state(self, connection: Connection, context: bytes) -> bytes:
        """The round's public state, as it came with the keys."""
        data: bytes | None = connection.execute(
            select(_PUBLIC_STATES.c.data).where(_PUBLIC_STATES.c.context == context)
        ).scalar_one_or_none()
        return data or b""

    def set_public_state(self, connection: Connection, context: bytes, data: bytes) -> None:
        """Keep the round's public state until the vector is masked."""
        connection.execute(insert(_PUBLIC_STATES).values(context=context, data=data))

    def draw_key(self, connection: Connection, context: bytes) -> bytes:
        """The key of the attempt's coins; empty where there is none."""
        key: bytes | None = connection.execute(
            select(_CONTEXTS.c.draw).where(_CONTEXTS.c.context == context)
        ).scalar_one()
        return key or b""

    def set_draw_key(self, connection: Connection, context: bytes, key: bytes) -> None:
        """Keep the key of the attempt's coins until the attempt is over: secret, never sent."""
        connection.execute(update(_CONTEXTS).where(_CONTEXTS.c.context == context).values(draw=key))

    def open_attempts(
        self, connection: Connection, run_id: bytes | None = None
    ) -> list[tuple[bytes, bytes, int, int]]:
        """(run, context, round, attempt) of the attempts that still hold secrets.

        Args:
            connection: The transaction.
            run_id: Of this run; by default of all.
        """
        columns = (_CONTEXTS.c.run_id, _CONTEXTS.c.context, _CONTEXTS.c.round, _CONTEXTS.c.attempt)
        found = select(*columns).where(_CONTEXTS.c.state.is_not(None))
        if run_id is not None:
            found = found.where(_CONTEXTS.c.run_id == run_id)
        rows = connection.execute(found)
        return [(row.run_id, row.context, row.round, row.attempt) for row in rows]

    def reply(
        self, connection: Connection, context: bytes, step: str
    ) -> tuple[bytes, bytes] | None:
        """(hash of the request, bytes of the reply) if this step was answered before."""
        table = _replies_of(step)
        row = connection.execute(
            select(table.c.request_hash, table.c.reply).where(
                table.c.context == context, table.c.step == step
            )
        ).first()
        return None if row is None else (row.request_hash, row.reply)

    def set_reply(
        self, connection: Connection, *, context: bytes, step: str, request: bytes, reply: bytes
    ) -> None:
        """Keep the exact bytes of a reply, so that a repeated request gets them again."""
        values = {"context": context, "step": step, "request_hash": request, "reply": reply}
        connection.execute(insert(_replies_of(step)).values(**values))

    def forget_replies(self, connection: Connection, run_id: bytes, before_round: int) -> None:
        """Drop the replies of rounds that are over; the contexts stay used."""
        _forget_replies(connection, _CONTEXTS.c.run_id == run_id, _CONTEXTS.c.round < before_round)

    def fact(self, connection: Connection, name: str) -> bytes | None:
        """A single value, or None where it was never set."""
        return connection.execute(
            select(_FACTS.c.value).where(_FACTS.c.name == name)
        ).scalar_one_or_none()

    def set_fact(self, connection: Connection, name: str, value: bytes | None) -> None:
        """Replace a single value; None forgets it."""
        connection.execute(_FACTS.delete().where(_FACTS.c.name == name))
        if value is not None:
            connection.execute(insert(_FACTS).values(name=name, value=value))


def _make_tables(engine: Engine) -> None:
    with engine.begin() as connection:
        if _is_new(connection):
            connection.exec_driver_sql(f"PRAGMA user_version={_VERSION}")
        for tables in (_META, books.META, outbox.META, BUDGET_TABLES):
            tables.create_all(connection)


def _is_new(connection: Connection) -> bool:
    """Whether nothing is in the file yet.

    Raises:
        InvalidInput: ``site/database``: it has tables of another version.
    """
    number = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
    return is_unnumbered(number, tables, version=_VERSION, code="site/database")


def _replies_of(step: str) -> Table:
    return _VECTORS if step == _VECTOR_STEP else _REPLIES


def _forget_replies(connection: Connection, *contexts: ColumnElement[bool]) -> None:
    over = select(_CONTEXTS.c.context).where(*contexts)
    connection.execute(_REPLIES.delete().where(_REPLIES.c.context.in_(over)))
    with _as_it_is(connection):
        connection.execute(_VECTORS.delete().where(_VECTORS.c.context.in_(over)))


@contextmanager
def _as_it_is(connection: Connection) -> Iterator[None]:
    """Delete without overwriting with zeros: what everybody may know, or the coordinator has.

    Zeros for vectors of many megabytes cost more than all the rest of a step.
    """
    connection.exec_driver_sql("PRAGMA secure_delete=OFF").close()
    try:
        yield
    finally:
        connection.exec_driver_sql("PRAGMA secure_delete=ON").close()
