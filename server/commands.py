"""The coordinator's sub-commands. Only typer is imported here: heavy things wait inside."""

from pathlib import Path
from typing import Annotated

import typer

from recommons.common.options import Json
from recommons.server.console.commands import console
from recommons.server.coordinator_commands import bundle, resume, run, start, status, stop

__all__ = ["coordinator"]

coordinator = typer.Typer(
    no_args_is_help=True,
    help="Run a federation: its processes, its runs, its state.\n\n"
    "Example:\n    recommons coordinator start federation",
)

ledger = typer.Typer(no_args_is_help=True, help="The coordinator's own record, for auditors.")
coordinator.add_typer(ledger, name="ledger")

for _command in (start, run, status, stop, resume, console, bundle):
    coordinator.command()(_command)


@ledger.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The home, or a run's folder.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Where the two files go.")],
    as_json: Json = False,
) -> None:
    """Verify the coordinator's ledger and copy it, with its receipts, for an auditor.

    The files are coordinator.ledger.jsonl and coordinator.receipts.jsonl; they hold all runs.

    Example:
        recommons coordinator ledger export federation exported/
        recommons coordinator ledger export runs/001/coordinator exported/
    """
    from recommons.server.records.ledger_command import export_ledger

    export_ledger(folder, output, as_json=as_json)
