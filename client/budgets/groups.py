"""Groups of users charged alike, and the histories that the groups point to."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, Table, insert, select, text, update

from recommons.client.budgets.tables import ENTRIES, GROUPS

__all__ = [
    "ACTIVE",
    "FORGOTTEN",
    "OPTED_OUT",
    "Group",
    "advance",
    "entry_of",
    "move",
    "new_group",
    "read_groups",
]

ACTIVE, OPTED_OUT, FORGOTTEN = "active", "opted-out", "forgotten"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Users with one history and one standing.

    Attributes:
        id: The group's number.
        entry: The last entry of its history, 0 for none.
        standing: Taking part, opted out or forgotten.
        runs: The runs reserved, in the order joined.
        attempts: The attempts committed, by context.
    """

    id: int
    entry: int
    standing: str
    runs: tuple[bytes, ...]
    attempts: tuple[bytes, ...] = field(repr=False)


def read_groups(connection: Connection) -> list[Group]:
    """All groups."""
    entries: dict[int, tuple[int, bytes, bytes]] = {
        row.id: (row.parent, row.run_id, row.context) for row in connection.execute(select(ENTRIES))
    }
    known: dict[int, tuple[tuple[bytes, ...], tuple[bytes, ...]]] = {0: ((), ())}
    for number in sorted(entries):  # a parent is older than its children
        parent, run, context = entries[number]
        runs, attempts = known[parent]
        known[number] = (runs, (*attempts, context)) if context else ((*runs, run), attempts)
    return [
        Group(
            id=row.id,
            entry=row.entry,
            standing=row.standing,
            runs=known[row.entry][0],
            attempts=known[row.entry][1],
        )
        for row in connection.execute(select(GROUPS))
    ]


def entry_of(connection: Connection, parent: int, run_id: bytes, context: bytes) -> int:
    """The number of an entry, made if need be."""
    values = {"parent": parent, "run_id": run_id, "context": context}
    same = [ENTRIES.c[name] == value for name, value in values.items()]
    known: int | None = connection.execute(select(ENTRIES.c.id).where(*same)).scalar_one_or_none()
    return _made(connection, ENTRIES, values) if known is None else known


def new_group(connection: Connection, entry: int, standing: str) -> int:
    """The number of a new group without users."""
    return _made(connection, GROUPS, {"entry": entry, "standing": standing})


def advance(connection: Connection, group: int, entry: int) -> None:
    """Add an entry to a group's history."""
    connection.execute(update(GROUPS).where(GROUPS.c.id == group).values(entry=entry))


def move(connection: Connection, group: int, entry: int, standing: str, *, loaded: bool) -> None:
    """Give the loaded users of a group, or the others, a group of their own."""
    target = new_group(connection, entry, standing)
    among = "" if loaded else "NOT "
    connection.execute(
        text(
            'UPDATE budget_users SET "group" = :target WHERE "group" = :group '  # noqa: S608
            f"AND key {among}IN (SELECT key FROM present)"
        ),
        {"target": target, "group": group},
    )


def _made(connection: Connection, table: Table, values: Mapping[str, object]) -> int:
    """The number that the database gives a new row."""
    statement = insert(table).values(**values).returning(table.c.id)
    return int(connection.execute(statement).scalar_one())
