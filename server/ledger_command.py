"""`recommons coordinator ledger export`."""

from pathlib import Path

import typer

from recommons.common.ledger_copy import LedgerCopy
from recommons.server.folder import CoordinatorFolder
from recommons.server.ledger import COORDINATOR

__all__ = ["export_ledger"]


def export_ledger(folder: Path, output: Path, *, as_json: bool) -> None:
    """Verify the ledger and the receipts, and copy them.

    Raises:
        LedgerError: They are not as the coordinator wrote them.
    """
    opened = CoordinatorFolder.open(folder)
    copy = LedgerCopy.verified(
        COORDINATOR,
        opened.ledger_identity.public_key,
        *(_read(opened.records / name) for name in ("ledger.jsonl", "receipts.jsonl")),
    )
    output.mkdir(parents=True, exist_ok=True)
    for name, data in copy.files().items():
        (output / name).write_bytes(data)
    typer.echo(copy.summary(as_json=as_json))


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
