"""What a site's operator does with its ledger. Only typer is imported here."""

from pathlib import Path
from typing import Annotated

import typer

from recommons.common.options import Json

__all__ = ["clear_halt", "forget_head", "ledger"]

ledger = typer.Typer(no_args_is_help=True, help="The site's own record, for auditors.")

_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The site's folder.")]


@ledger.command()
def export(
    folder: _Folder,
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Where the two files go.")],
    as_json: Json = False,
) -> None:
    """Verify the site's ledger and copy it, with its receipts, into a folder for an auditor.

    The files are SITE.ledger.jsonl and SITE.receipts.jsonl. They hold no user id, no data and no
    true number of users.

    Example:
        recommons site ledger export sites/plum exported/
    """
    from recommons.client.records.ledger_command import export_ledger

    export_ledger(folder, output, as_json=as_json)


def forget_head(
    folder: _Folder,
    writer: Annotated[str, typer.Argument(metavar="SITE", help="Whose head; or `coordinator`.")],
) -> None:
    """Take an earlier head of another ledger again, after its operator has cleared a halt.

    This site reveals nothing for a sum with a site whose ledger went back, or began anew. Give this
    command only when that site's operator has told you why, by another way than the coordinator:
    the command takes the check away until the site's next receipt.

    Example:
        recommons site forget-head sites/plum apple
    """
    from recommons.client.records.ledger_command import forget_site_head

    forget_site_head(folder, writer)


def clear_halt(
    folder: _Folder,
    lost_for_good: Annotated[
        bool,
        typer.Option(
            "--lost-for-good",
            help="Confirm that no newer copy of the folder exists, and that nobody knows what the "
            "lost lines spent.",
        ),
    ] = False,
) -> None:
    """Let a site go on that halted because its folder is an old backup.

    Put the newest copy of the folder in place instead, if there is one: it is not halted. Else
    have the federation issue a new epoch of its roster, pin it here, and then give this command.
    It must be an epoch issued after the loss: an earlier one, which the lost lines may have used,
    does not do, also where this folder has never seen it. The command says on which it relied.
    Every user counts as spent until the policy's window has passed.

    A site that joined anew under a name that had another ledger before (`site/earlier-ledger`)
    gives that one up in the same way, without a new epoch.

    Example:
        recommons site clear-halt sites/plum --lost-for-good
    """
    if not lost_for_good:
        raise typer.BadParameter("must be confirmed", param_hint="--lost-for-good")
    from recommons.client.records.ledger_command import clear_site_halt

    clear_site_halt(folder)
