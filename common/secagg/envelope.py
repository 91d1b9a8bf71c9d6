"""What every message begins with: version, kind and context."""

from enum import IntEnum

from recommons.common.errors import ProtocolAbort
from recommons.common.secagg.context import PROTOCOL_VERSION
from recommons.common.secagg.wire import Reader, u8

__all__ = ["HASH_BYTES", "HEADER_BYTES", "MessageKind", "begin", "header", "message_context"]

HASH_BYTES = 32
HEADER_BYTES = 2 + HASH_BYTES


class MessageKind(IntEnum):
    """The nine steps."""

    ADVERTISE = 1
    KEYS = 2
    SHARES = 3
    INBOX = 4
    MASKED = 5
    SURVIVORS = 6
    SIGNATURE = 7
    CERTIFICATE = 8
    REVEAL = 9

    @property
    def title(self) -> str:
        """For messages to people: ``keys message``."""
        return f"{self.name.lower()} message"


def header(kind: MessageKind, ctx: bytes) -> bytes:
    """The first bytes of a message."""
    return u8(PROTOCOL_VERSION) + u8(kind) + ctx


def begin(data: bytes, kind: MessageKind) -> tuple[Reader, bytes]:
    """Reads the header of a message of this kind; returns the reader behind it, and ctx.

    Raises:
        ProtocolAbort: Another version (``secagg/version``), another kind (``secagg/out-of-order``)
            or too short (``secagg/malformed``).
    """
    reader = Reader(data, kind.title)
    found, ctx = _header(reader)
    if found is not kind:
        raise ProtocolAbort(
            "secagg/out-of-order", f"a {found.title} came; expected: a {kind.title}"
        )
    return reader, ctx


def message_context(data: bytes) -> tuple[MessageKind, bytes]:
    """Kind and ctx of a message, to find the round it belongs to; the rest is not looked at."""
    return _header(Reader(data, "message"))


def _header(reader: Reader) -> tuple[MessageKind, bytes]:
    version = reader.u8()
    if version != PROTOCOL_VERSION:
        raise ProtocolAbort(
            "secagg/version", f"protocol version {version}; spoken here: {PROTOCOL_VERSION}"
        )
    kind = reader.u8()
    if kind not in MessageKind._value2member_map_:
        raise reader.wrong(f"unknown kind {kind}")
    return MessageKind(kind), reader.take(HASH_BYTES)
