"""The coordinator's ledger on its disk, which is also its memory of attempts and sums."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recommons.common.privacy.ledger import Chain, Entry, split_lines, verify_chain
from recommons.common.secagg.identity import SigningIdentity
from recommons.server.folder import now

__all__ = ["COORDINATOR", "LedgerFile"]

COORDINATOR = "coordinator"


@dataclass(eq=False)
class LedgerFile:
    """An append-only file of signed lines; each is on the disk before `append` returns.

    A process that dies while it writes leaves a last line without a newline: what it announced was
    never sent, and the piece is cut off when the ledger is opened again.
    """

    _path: Path
    _identity: SigningIdentity
    _chain: Chain
    _entries: list[Entry]

    @classmethod
    def open(cls, path: Path, identity: SigningIdentity) -> "LedgerFile":
        """Open or begin a ledger.

        Raises:
            LedgerError: The file is not this writer's unbroken record.
        """
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(path, len(whole))
        lines = split_lines(whole)
        entries = verify_chain(lines, identity.public_key, writer=COORDINATOR)
        chain = Chain.resume(lines[-1]) if lines else Chain.start(COORDINATOR)
        return cls(path, identity, chain, list(entries))

    def append(self, kind: str, body: Mapping[str, Any]) -> None:
        """Write one entry durably."""
        time = now()
        self._chain, line = self._chain.append(
            kind=kind, body=body, time=time, sign=self._identity.sign
        )
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._entries.append(
            Entry(
                seq=self._chain.length - 1,
                writer=COORDINATOR,
                time=time,
                kind=kind,
                body=body,
                hash=self._chain.link,
            )
        )

    def of_run(self, kind: str, run_id: bytes) -> Iterable[Entry]:
        """The entries of one kind that belong to a run, in order."""
        run = run_id.hex()
        return (e for e in self._entries if e.kind == kind and e.body.get("run") == run)
