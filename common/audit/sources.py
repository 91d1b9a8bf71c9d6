"""Files given to an audit: which are ledgers, which are receipts, told by what is in them.

Nothing here trusts a byte. A file's name decides nothing but how it is called in findings, and that
receipts lie beside a ledger (`Source.companion`).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath

__all__ = ["FileKind", "Source", "kind_of"]

_LOOKED_AT = 20
_LONGEST_LINE = 4 << 20
_LEDGER_MARKS = (b'"previous":"', b'"signature":"', b'"writer":"')
_RECEIPT_MARKS = (b'"coordinator":{', b'"heads":[', b'"federation":"')


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file as it was given.

    Attributes:
        name: How findings call it, as it was given on the command line.
        data: All its bytes.
    """

    name: str
    data: bytes

    @property
    def companion(self) -> str:
        """The same for a ledger and the receipts beside it: the name less what tells them apart."""
        path = PurePath(self.name)
        stem = path.name.removesuffix(".jsonl").removesuffix("ledger").removesuffix("receipts")
        return str(path.parent / f"{stem}*")


class FileKind(Enum):
    """What a file is."""

    LEDGER = "ledger"
    RECEIPTS = "receipts"
    EMPTY = "empty"
    OTHER = "other"


def kind_of(data: bytes) -> FileKind:
    """What the bytes are: by the first lines that can be read, or else by the marks they bear."""
    if not data or data.isspace():
        return FileKind.EMPTY
    for line in _first_lines(data):
        fields = _fields(line)
        if {"writer", "previous", "seq"} <= fields:
            return FileKind.LEDGER
        if {"coordinator", "heads", "federation"} <= fields:
            return FileKind.RECEIPTS
    if all(mark in data for mark in _LEDGER_MARKS):
        return FileKind.LEDGER
    return FileKind.RECEIPTS if all(mark in data for mark in _RECEIPT_MARKS) else FileKind.OTHER


def _first_lines(data: bytes) -> Iterable[bytes]:
    start = 0
    for _ in range(_LOOKED_AT):
        if start >= len(data):
            return
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        if end - start <= _LONGEST_LINE:
            yield data[start:end]
        start = end + 1


def _fields(line: bytes) -> set[str]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return set()
    return set(value) if isinstance(value, dict) else set()
