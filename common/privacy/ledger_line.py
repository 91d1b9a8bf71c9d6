"""One line of a ledger: its bytes, its envelope and its hash."""

import hashlib
import re
from typing import Any, NoReturn

from recommons.common.errors import LedgerError
from recommons.common.hashing import canonical_value, framed
from recommons.common.privacy.ledger_entries import entry_fault
from recommons.common.privacy.ledger_forms import TIME, WRITER, read_form

__all__ = [
    "SCHEMA_VERSION",
    "START_DOMAIN",
    "WRITER",
    "fail",
    "line_hash",
    "parse_line",
    "parse_strictly",
    "unsigned_part",
]

SCHEMA_VERSION = 1
START_DOMAIN = "recommons/ledger/1/start"

_LINE_START = framed("recommons/ledger/1/line")  # what `digest` of a line begins with
_MAX_LINE_BYTES = 4 << 20
_HASH = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"[0-9a-f]{128}")
_SIGNATURE_MEMBER = b',"signature":"'
_FIELDS = frozenset({"version", "writer", "seq", "previous", "time", "kind", "body", "signature"})


def line_hash(line: bytes) -> bytes:
    """SHA-256 of a line without its newline, in a domain of its own (32 bytes)."""
    return hashlib.sha256(_LINE_START + len(line).to_bytes(8, "big") + line).digest()


def parse_line(line: bytes, number: int) -> dict[str, Any]:
    """The envelope of one line, its form and schema checked; not its signature or place.

    Args:
        line: The line without its newline.
        number: Its number from 1, for messages.

    Returns:
        The envelope; what is in it may be shared with other lines' and must not be changed.

    Raises:
        LedgerError: ``ledger/not-canonical`` or ``ledger/schema``.
    """
    found = read_form(line) if len(line) <= _MAX_LINE_BYTES else None
    return parse_strictly(line, number) if found is None else found


def parse_strictly(line: bytes, number: int) -> dict[str, Any]:
    """The same as `parse_line`, without the short way: what that way may do is decided here."""
    if len(line) > _MAX_LINE_BYTES:
        fail("ledger/not-canonical", number, f"has more than {_MAX_LINE_BYTES} bytes")
    try:
        value = canonical_value(line)
    except ValueError:
        fail("ledger/not-canonical", number, "is not canonical JSON (RFC 8785)")
    if fault := _envelope_fault(value):
        fail("ledger/schema", number, fault)
    return dict(value)


def unsigned_part(line: bytes) -> bytes:
    """The canonical line without its signature: what the signature is over.

    The last member of that name is the envelope's own: ``time``, ``version`` and ``writer``, which
    follow it, hold no quotation mark.
    """
    start = line.rindex(_SIGNATURE_MEMBER)
    return line[:start] + line[start + len(_SIGNATURE_MEMBER) + 2 * 64 + 1 :]


def _envelope_fault(value: object) -> str | None:
    if not isinstance(value, dict) or set(value) != _FIELDS:
        return "has not exactly the fields of a ledger line"
    if value["version"] != SCHEMA_VERSION or isinstance(value["version"], bool):
        return f"has another version than {SCHEMA_VERSION}"
    if not isinstance(value["seq"], int) or isinstance(value["seq"], bool) or value["seq"] < 0:
        return "has no valid seq"
    patterns = {"writer": WRITER, "previous": _HASH, "time": TIME, "signature": _SIGNATURE}
    for name, pattern in patterns.items():
        if not isinstance(value[name], str) or pattern.fullmatch(value[name]) is None:
            return f"has no valid {name}"
    fault = entry_fault(value["kind"], value["body"])
    return fault and f"is not as its kind requires: {fault}"


def fail(code: str, number: int, what: str) -> NoReturn:
    """Raise the named fault at a line, numbered from 1."""
    raise LedgerError(code, f"line {number} {what}", line=number)
