"""`recommons coordinator ledger export`."""

from pathlib import Path

import typer

from recommons.common.ledger_copy import LedgerCopy
from recommons.server.records.folder import CoordinatorFolder
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
        InvalidInput: ``run/folder`` or ``run/unknown``.
        LedgerError: They are not as the coordinator wrote them.
    """
    if CoordinatorHome.is_in(folder):
        folder = Runs(folder).path()  # any run of a home leads to the one ledger of all
    opened = CoordinatorFolder.open(folder)
    copy = LedgerCopy.of_folder(COORDINATOR, opened.ledger_identity.public_key, opened.records)
    copy.write(output)
    typer.echo(copy.summary(as_json=as_json))
