"""Reading a ledger again and again while its writer goes on: only what is new is read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recommons.common.errors import LedgerError
from recommons.common.hashing import framed
from recommons.common.privacy.ledger import ENTRY_DOMAIN, Chain, Entry
from recommons.common.privacy.ledger_line import line_hash, parse_line, unsigned_part

__all__ = ["FollowedLedger", "LinesFollowed"]

_MOST_BYTES = 64 << 20


class LinesFollowed:
    """The whole lines of a file that grows; nothing of it is changed.

    Args:
        path: The file; it may not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0

    def fresh(self) -> list[bytes] | None:
        """The lines since the last call, without newlines; None where the file was replaced.

        After None the next call begins at the file's start. A last line without a newline is left
        for later: its writer is not done with it. At most 64 MiB are read at a time.
        """
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, 2)
                if size < self._offset:
                    self._offset = 0
                    return None
                file.seek(self._offset)
                data = file.read(_MOST_BYTES)
        except FileNotFoundError:
            if not self._offset:
                return []
            self._offset = 0
            return None
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.split(b"\n")[:-1]


@dataclass(frozen=True, kw_only=True)
class _Fault:
    code: str
    message: str


class FollowedLedger:
    """A ledger's entries, each checked once: form, link to the line before, signature.

    A line that does not fit ends the reading: `fault` says why, and no later line counts.

    Args:
        path: The file.
        public_key: The writer's Ed25519 key.
        writer: The writer's id.
    """

    def __init__(self, path: Path, public_key: bytes, writer: str) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(public_key)
        self._lines, self._writer = LinesFollowed(path), writer
        self._begin()

    def _begin(self) -> None:
        self._chain = Chain.start(self._writer)
        self._entries: list[Entry] = []
        self.fault: _Fault | None = None

    def entries(self) -> list[Entry]:
        """All entries so far."""
        fresh = self._lines.fresh()
        if fresh is None:
            self._begin()
            fresh = self._lines.fresh() or []
        for line in fresh if self.fault is None else ():
            try:
                self._take(line)
            except LedgerError as error:
                self.fault = _Fault(code=error.code, message=error.message)
                break
        return self._entries

    def _take(self, line: bytes) -> None:
        number = self._chain.length + 1
        envelope: dict[str, Any] = parse_line(line, number)
        if envelope["writer"] != self._chain.writer:
            raise LedgerError("ledger/foreign-writer", f"line {number} is of another writer")
        if envelope["seq"] != self._chain.length:
            raise LedgerError("ledger/gap", f"line {number} is entry number {envelope['seq']}")
        if envelope["previous"] != self._chain.link.hex():
            raise LedgerError("ledger/fork", f"line {number} does not follow on the one before")
        try:
            signature = bytes.fromhex(envelope["signature"])
            self._key.verify(signature, framed(ENTRY_DOMAIN, unsigned_part(line)))
        except InvalidSignature as error:
            raise LedgerError("ledger/changed", f"line {number} is not signed") from error
        self._chain = Chain(writer=self._chain.writer, length=number, link=line_hash(line))
        self._entries.append(
            Entry(
                seq=envelope["seq"],
                writer=envelope["writer"],
                time=envelope["time"],
                kind=envelope["kind"],
                body=envelope["body"],
                hash=self._chain.link,
            )
        )
