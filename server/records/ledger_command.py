"""`recommons coordinator ledger export`."""

from pathlib import Path

import typer

from recommons.common.ledger_copy import LedgerCopy
from recommons.server.records.folder import CoordinatorFolder, first_identity
from recommons.server.records.home import CoordinatorHome
from recommons.server.records.ledger import COORDINATOR
from recommons.server.records.runs import Runs

__all__ = ["export_ledger"]


def export_ledger(folder: Path, output: Path, *, as_json: bool) -> None:
    """Verify the ledger and the receipts, and copy them.

    Args:
        folder: A coordinator's home, or the folder of a run.
        output: Where the two files go.
        as_json: Print JSON.

    Raises:
        InvalidInput: ``run/folder`` or ``coordinator/no-roster``.
        LedgerError: They are not as the coordinator wrote them.
    """
    if CoordinatorHome.is_in(folder):
        first, records = first_identity(folder), folder  # the one ledger of all its runs
        key = Runs(folder).federation().coordinator_key if first is None else first.public_key
    else:
        opened = CoordinatorFolder.open(folder)
        key, records = opened.ledger_identity.public_key, opened.records
    copy = LedgerCopy.of_folder(COORDINATOR, key, records)
    copy.write(output)
    typer.echo(copy.summary(as_json=as_json))
