"""What was charged about each user, in the site's own database.

Everything here happens within a caller's transaction, that of the step it belongs to.
"""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, func, insert, select, text, update

from recommons.client.budgets.groups import (
    ACTIVE,
    Group,
    advance,
    entry_of,
    move,
    new_group,
    read_groups,
)
from recommons.client.budgets.rules import Charge
from recommons.client.budgets.tables import ATTEMPTS, CHARGES, GROUPS, USERS
from recommons.common.privacy.spending import Spending

__all__ = ["BudgetStore"]


class BudgetStore:
    """The tables of users' charges.

    Args:
        fact: Reads a single value of the database.
        set_fact: Replaces one.
    """

    def __init__(
        self,
        fact: Callable[[Connection, str], bytes | None],
        set_fact: Callable[[Connection, str, bytes | None], None],
    ) -> None:
        self._fact, self._set_fact = fact, set_fact

    def secret(self, connection: Connection) -> bytes:
        """The key of the users' hashes, drawn when it is first asked for."""
        known = self._fact(connection, "user-key")
        if known is None:
            known = secrets.token_bytes(32)
            self._set_fact(connection, "user-key", known)
        return known

    def now(self, connection: Connection, clock: float) -> int:
        """The time, in whole seconds; never before a time that was used already."""
        now = self.now_unused(connection, clock)
        if now > self._last(connection):
            self._set_fact(connection, "clock", b"%d" % now)
        return now

    def now_unused(self, connection: Connection, clock: float) -> int:
        """As `now`, for a question whose answer changes nothing: nothing is written down."""
        return max(int(clock), self._last(connection))

    def _last(self, connection: Connection) -> int:
        return int(self._fact(connection, "clock") or b"0")

    def generation(self, connection: Connection) -> int:
        """Counts up whenever users move between groups."""
        return int(self._fact(connection, "budget-generation") or b"0")

    def charges(self, connection: Connection) -> list[Charge]:
        """Every run ever joined, in that order."""
        rows = connection.execute(select(CHARGES).order_by(CHARGES.c.number))
        return [
            Charge(
                run=row.run_id,
                spending=_spending(row.spending),
                joined=row.joined,
                active=row.active,
                open=bool(row.open),
            )
            for row in rows
        ]

    def head_counts(self, connection: Connection) -> dict[bytes, tuple[int, int]]:
        """By run, how many users took part and how many had no budget left when it was joined."""
        columns = (CHARGES.c.run_id, CHARGES.c.took_part, CHARGES.c.left_out)
        return {r.run_id: (r.took_part, r.left_out) for r in connection.execute(select(*columns))}

    def committed(self, connection: Connection) -> dict[bytes, tuple[bytes, Spending]]:
        """By context, the run and the cost of every attempt whose vector left."""
        rows = connection.execute(select(ATTEMPTS))
        return {row.context: (row.run_id, _spending(row.spending)) for row in rows}

    def add_charge(
        self, connection: Connection, *, run_id: bytes, spending: Spending, now: int
    ) -> None:
        """Write down what a run charges, before any user is charged for it."""
        connection.execute(
            insert(CHARGES).values(
                run_id=run_id,
                spending=json.dumps(spending.to_json()),
                joined=now,
                active=now,
                open=1,
                took_part=0,
                left_out=0,
            )
        )

    def touch(self, connection: Connection, run_id: bytes, now: int) -> None:
        """Note that something of a run may leave."""
        connection.execute(update(CHARGES).where(CHARGES.c.run_id == run_id).values(active=now))

    def close(self, connection: Connection, run_id: bytes) -> None:
        """Note that nothing of a run leaves any more."""
        connection.execute(update(CHARGES).where(CHARGES.c.run_id == run_id).values(open=0))

    def groups(self, connection: Connection) -> list[Group]:
        """All groups."""
        return read_groups(connection)

    def sizes(self, connection: Connection) -> dict[int, int]:
        """Number of users by group."""
        group = USERS.c.group
        counts = connection.execute(select(group, func.count().label("n")).group_by(group))
        return {row.group: row.n for row in counts}

    def load(self, connection: Connection, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
        """Lay the users in the data beside the table, for this transaction; see `present`.

        Returns:
            Their places in ascending order of their keys: the rows of what was laid down.
        """
        order = np.lexsort((keys[:, 1], keys[:, 0]))
        connection.execute(text("DROP TABLE IF EXISTS temp.present"))
        connection.execute(
            text("CREATE TEMP TABLE present (key BLOB PRIMARY KEY, row INTEGER) WITHOUT ROWID")
        )
        # One statement that cuts the keys out of one blob: millions of rows in a second or two,
        # each going to the end of the table.
        connection.execute(
            text(
                "WITH RECURSIVE n(i) AS (SELECT 0 WHERE :size > 0 UNION ALL "
                "SELECT i + 1 FROM n WHERE i + 1 < :size) "
                "INSERT OR IGNORE INTO present SELECT substr(:keys, 16 * i + 1, 16), i FROM n"
            ),
            {"size": len(order), "keys": keys[order].astype(">u8").tobytes()},
        )
        return order

    def present(self, connection: Connection) -> dict[int, int]:
        """By group, how many of its users are among those loaded; 0 for those in none."""
        rows = connection.execute(
            text(
                'SELECT coalesce(u."group", 0) AS "group", count(*) AS n FROM present p '
                'LEFT JOIN budget_users u ON u.key = p.key GROUP BY u."group"'
            )
        )
        return {row.group: row.n for row in rows}

    def others(self, connection: Connection, groups: Iterable[int]) -> npt.NDArray[np.int64]:
        """Rows of the loaded users that are in none of these groups; usually few."""
        connection.execute(text("DROP TABLE IF EXISTS temp.wanted"))
        connection.execute(text("CREATE TEMP TABLE wanted (id INTEGER PRIMARY KEY)"))
        rows = [(group,) for group in groups]
        if rows:
            connection.exec_driver_sql("INSERT INTO wanted VALUES (?)", rows)
        found = connection.exec_driver_sql(
            "SELECT p.row FROM present p LEFT JOIN budget_users u ON u.key = p.key "
            'WHERE u."group" IS NULL OR u."group" NOT IN (SELECT id FROM wanted)'
        )
        return np.fromiter((row[0] for row in found), np.int64)

    def reserve(
        self,
        connection: Connection,
        run_id: bytes,
        groups: Iterable[Group],
        present: Mapping[int, int],
    ) -> None:
        """Charge the loaded users of these groups, and those in none yet, for a run.

        A group of which only some are loaded is divided; the smaller part moves.

        Args:
            connection: The transaction.
            run_id: The run.
            groups: Who is charged.
            present: What `present` says of the loaded users.
        """
        sizes = self.sizes(connection)
        for group in groups:
            here = present.get(group.id, 0)
            if not here:
                continue
            entry = entry_of(connection, group.entry, run_id, b"")
            away = sizes[group.id] - here
            if away and here <= away:
                move(connection, group.id, entry, group.standing, loaded=True)
            else:
                if away:
                    move(connection, group.id, group.entry, group.standing, loaded=False)
                advance(connection, group.id, entry)
        if present.get(0):
            group_id = new_group(connection, entry_of(connection, 0, run_id, b""), ACTIVE)
            connection.execute(
                text(
                    "INSERT INTO budget_users SELECT p.key, :group FROM present p "
                    "WHERE NOT EXISTS (SELECT 1 FROM budget_users u WHERE u.key = p.key) "
                    "ORDER BY p.key"
                ),
                {"group": group_id},
            )
        self._moved(connection)

    def note_heads(
        self, connection: Connection, run_id: bytes, *, took_part: int, left_out: int
    ) -> None:
        """Keep, for the operator, how many took part and how many could not."""
        connection.execute(
            update(CHARGES)
            .where(CHARGES.c.run_id == run_id)
            .values(took_part=took_part, left_out=left_out)
        )

    def commit(
        self,
        connection: Connection,
        *,
        run_id: bytes,
        context: bytes,
        spending: Spending,
        groups: Iterable[int],
    ) -> None:
        """Note that an attempt's vector with these groups' users is about to leave."""
        connection.execute(
            insert(ATTEMPTS).values(
                context=context, run_id=run_id, spending=json.dumps(spending.to_json())
            )
        )
        for group in groups:
            before = connection.execute(
                select(GROUPS.c.entry).where(GROUPS.c.id == group)
            ).scalar_one()
            advance(connection, group, entry_of(connection, before, run_id, context))

    def group_of(self, connection: Connection, key: bytes) -> int | None:
        """The group of one user, None for one never heard of."""
        return connection.execute(
            select(USERS.c.group).where(USERS.c.key == key)
        ).scalar_one_or_none()

    def set_standing(self, connection: Connection, key: bytes, standing: str) -> str | None:
        """Let one user opt out, be forgotten or come back; what was charged stays.

        Returns:
            The user's standing before, None for one never heard of.
        """
        number = self.group_of(connection, key)
        before, entry = None, 0
        if number is not None:
            row = connection.execute(select(GROUPS).where(GROUPS.c.id == number)).one()
            before, entry = str(row.standing), int(row.entry)
        if before == standing:
            return before
        alike = select(GROUPS.c.id).where(GROUPS.c.entry == entry, GROUPS.c.standing == standing)
        target = connection.execute(alike.limit(1)).scalar_one_or_none()
        if target is None:
            target = new_group(connection, entry, standing)
        connection.execute(USERS.delete().where(USERS.c.key == key))
        connection.execute(insert(USERS).values(key=key, group=target))
        self._moved(connection)
        return before

    def _moved(self, connection: Connection) -> None:
        generation = self.generation(connection) + 1
        self._set_fact(connection, "budget-generation", b"%d" % generation)


def _spending(document: str) -> Spending:
    value: Mapping[str, object] = json.loads(document)
    return Spending.from_json(value)
