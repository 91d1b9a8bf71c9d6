"""Every answer that left the site: when, of which kind, how large, and its hash.

A line is durable before the answer's first byte leaves. What is listed are answers to the
coordinator's messages, refusals and faults included. Polls and heartbeats are not: they carry the
node's signature and nothing else.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, func, insert, select

from recommons.client.records.database import DATABASE

__all__ = ["META", "MOST_KEPT", "Outbound", "OutboundTotals", "note_outbound", "sent", "totals"]

MOST_KEPT = 50_000
"""So many answers are kept; of earlier ones the number and the bytes."""

META = MetaData()
"""The table of this module."""

_OUTBOUND = Table(
    "outbound",
    META,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("time", Integer, nullable=False),  # seconds since 1970
    Column("kind", String, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("total", Integer, nullable=False),  # of this answer and all before it
    Column("sha256", String, nullable=False),
    Column("code", String),
    sqlite_autoincrement=True,  # a number is never given again, so the last one is the count
)


@dataclass(frozen=True, kw_only=True)
class Outbound:
    """One answer.

    Attributes:
        number: From 1, in the order in which they left.
        time: Seconds since 1970, by the site's clock.
        kind: The message type that was answered, ``other`` where it is none of the protocol's.
        bytes: Its size.
        sha256: Hash of the answer as Flower sends it, in hex.
        code: Why the agent refused, None where the site's app answered.
    """

    number: int
    time: int
    kind: str
    bytes: int
    sha256: str
    code: str | None


@dataclass(frozen=True, kw_only=True)
class OutboundTotals:
    """All answers that ever left: how many, and their bytes."""

    messages: int
    bytes: int


def note_outbound(
    site_folder: Path, *, kind: str, size: int, sha256: str, code: str | None, now: float
) -> None:
    """Write an answer down, durably; it may leave when this returns.

    Args:
        site_folder: The site's folder.
        kind: See `Outbound`.
        size: Bytes.
        sha256: Of the answer, in hex.
        code: Why the agent refused, if it did.
        now: Seconds since 1970.
    """
    from recommons.client.records.store import SiteStore  # it makes this module's table

    store = SiteStore(site_folder / DATABASE)
    try:
        with store.transaction() as connection:
            row = {"time": int(now), "kind": kind, "bytes": size, "sha256": sha256, "code": code}
            before = totals(connection)
            connection.execute(insert(_OUTBOUND).values(total=before.bytes + size, **row))
            oldest = before.messages + 1 - MOST_KEPT
            if oldest > 0:
                connection.execute(_OUTBOUND.delete().where(_OUTBOUND.c.number <= oldest))
    finally:
        store.close()


def sent(connection: Connection, *, most: int) -> list[Outbound]:
    """The latest answers, the last first."""
    rows = connection.execute(select(_OUTBOUND).order_by(_OUTBOUND.c.number.desc()).limit(most))
    return [
        Outbound(
            number=row.number,
            time=row.time,
            kind=row.kind,
            bytes=row.bytes,
            sha256=row.sha256,
            code=row.code,
        )
        for row in rows
    ]


def totals(connection: Connection) -> OutboundTotals:
    """How many answers ever left, and how large they were together."""
    last = select(func.max(_OUTBOUND.c.number)).scalar_subquery()
    row = connection.execute(select(_OUTBOUND).where(_OUTBOUND.c.number == last)).first()
    if row is None:
        return OutboundTotals(messages=0, bytes=0)
    return OutboundTotals(messages=row.number, bytes=row.total)
