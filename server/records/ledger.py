"""The coordinator's ledger on its disk, which is also its memory of attempts and sums."""

import fcntl
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recommons.common.errors import RecommonsError
from recommons.common.heads import COORDINATOR
from recommons.common.privacy.ledger import Chain, Entry, split_lines, verify_chain
from recommons.common.secagg.identity import SigningIdentity
from recommons.server.records.folder import now

__all__ = ["COORDINATOR", "LedgerFile", "ReceiptFile", "append_durably"]


@dataclass(eq=False)
class LedgerFile:
    """An append-only file of signed lines; each is on the disk before `append` returns.

    A process that dies while it writes leaves a last line without a newline: what it announced was
    never sent, and the piece is cut off when the ledger is opened again.

    Two processes may not go on from one line: the one that comes second finds the file longer than
    it knows, and stops.
    """

    _path: Path
    _identity: SigningIdentity
    _chain: Chain
    _entries: list[Entry]
    _size: int

    @classmethod
    def open(cls, path: Path, identity: SigningIdentity) -> "LedgerFile":
        """Open or begin a ledger.

        Raises:
            LedgerError: The file is not this writer's unbroken record.
        """
        data = _whole_lines(path)
        lines = split_lines(data)
        entries = verify_chain(lines, identity.public_key, writer=COORDINATOR)
        chain = Chain.resume(lines[-1]) if lines else Chain.start(COORDINATOR)
        return cls(path, identity, chain, list(entries), len(data))

    def append(self, kind: str, body: Mapping[str, Any]) -> Entry:
        """Write one entry durably.

        Raises:
            RecommonsError: ``run/ledger-busy``: another process has written to the file.
        """
        time = now()
        chain, line = self._chain.append(kind=kind, body=body, time=time, sign=self._identity.sign)
        self._size = append_durably(self._path, line, expected_size=self._size)
        self._chain = chain
        entry = Entry(
            seq=self._chain.length - 1,
            writer=COORDINATOR,
            time=time,
            kind=kind,
            body=body,
            hash=self._chain.link,
        )
        self._entries.append(entry)
        return entry

    def entries(self, *kinds: str) -> Iterable[Entry]:
        """The entries of these kinds, in order."""
        return (entry for entry in self._entries if entry.kind in kinds)

    def of_run(self, kind: str, run_id: bytes) -> Iterable[Entry]:
        """The entries of one kind that belong to a run, in order."""
        run = run_id.hex()
        return (entry for entry in self.entries(kind) if entry.body.get("run") == run)


@dataclass(eq=False)
class ReceiptFile:
    """The receipts the coordinator has issued; each is on the disk before it is sent."""

    _path: Path
    _lines: set[bytes]

    @classmethod
    def open(cls, path: Path) -> "ReceiptFile":
        """Open or begin the file."""
        return cls(path, set(_whole_lines(path).splitlines()))

    def keep(self, receipt: bytes) -> None:
        """Write a receipt durably, once; issued again it has the same bytes."""
        if receipt not in self._lines:
            append_durably(self._path, receipt)
            self._lines.add(receipt)


def append_durably(path: Path, line: bytes, *, expected_size: int | None = None) -> int:
    """Add a line to a file that only its owner can read; on the disk when this returns.

    Args:
        path: The file; made where there is none.
        line: Without a newline.
        expected_size: Bytes the file must have.

    Returns:
        Bytes it has now.

    Raises:
        RecommonsError: ``run/ledger-busy``: it has another size.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = os.fstat(file.fileno()).st_size
        if expected_size not in (None, size):
            raise RecommonsError(
                "run/ledger-busy", f"{path.name} was written to by another process meanwhile"
            )
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return size + len(line) + 1


def _whole_lines(path: Path) -> bytes:
    """A file's lines; a torn last one is cut off on the disk, too.

    Read and cut under the lock that `append_durably` holds: a line that another process is just
    writing is not torn.
    """
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        return b""
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            file.truncate(len(whole))
            os.fsync(file.fileno())
    return whole
