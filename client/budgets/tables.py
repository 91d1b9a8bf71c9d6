"""The tables of users' charges.

Users are known by a keyed hash; the key never leaves the database, so that the table says nothing
to whoever holds ids but not the database, and the database names nobody. Users charged alike are
one *group*, and a group points to the last of its *entries*, each of which points to the one
before: millions of users cost one row each, and a plan that all of them join costs a handful.
"""

from sqlalchemy import Column, Integer, LargeBinary, MetaData, String, Table, UniqueConstraint

__all__ = ["ATTEMPTS", "BUDGET_TABLES", "CHARGES", "ENTRIES", "GROUPS", "USERS"]

BUDGET_TABLES = MetaData()

# A run the site has joined: what it charges each participant for, and since when it is silent.
CHARGES = Table(
    "charges",
    BUDGET_TABLES,
    Column("number", Integer, primary_key=True),
    Column("run_id", LargeBinary, nullable=False, unique=True),
    Column("spending", String, nullable=False),
    Column("joined", Integer, nullable=False),
    Column("active", Integer, nullable=False),
    Column("open", Integer, nullable=False),
    # How many users took part and how many had no budget left: for the site's operator alone.
    Column("took_part", Integer, nullable=False),
    Column("left_out", Integer, nullable=False),
)
# An attempt whose masked vector left, or was about to.
ATTEMPTS = Table(
    "charged_attempts",
    BUDGET_TABLES,
    Column("context", LargeBinary, primary_key=True),
    Column("run_id", LargeBinary, nullable=False),
    Column("spending", String, nullable=False),
)
# A history is an entry and all before it: a run reserved (no context) or an attempt committed.
ENTRIES = Table(
    "budget_entries",
    BUDGET_TABLES,
    Column("id", Integer, primary_key=True),
    Column("parent", Integer, nullable=False),  # 0 at the start of a history
    Column("run_id", LargeBinary, nullable=False),
    Column("context", LargeBinary, nullable=False),  # empty: the reservation
    UniqueConstraint("parent", "run_id", "context"),
)
GROUPS = Table(
    "budget_groups",
    BUDGET_TABLES,
    Column("id", Integer, primary_key=True),
    Column("entry", Integer, nullable=False),
    Column("standing", String, nullable=False),
)
USERS = Table(
    "budget_users",
    BUDGET_TABLES,
    Column("key", LargeBinary, primary_key=True),
    Column("group", Integer, nullable=False),
    sqlite_with_rowid=False,
)
