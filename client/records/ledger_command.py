"""`recommons site ledger export`, `clear-halt` and `forget-head`."""

from pathlib import Path

import typer

from recommons.client.records.halting import clear_halt, is_halted
from recommons.client.records.heads import forget_held
from recommons.client.site import Site
from recommons.common.ledger_copy import LedgerCopy

__all__ = ["clear_site_halt", "export_ledger", "forget_site_head"]


def export_ledger(folder: Path, output: Path, *, as_json: bool) -> None:
    """Verify the ledger and the receipts, and copy them.

    Raises:
        LedgerError: They are not as the site wrote them.
        Refusal: ``site/old-backup``: the database is older than the text.
    """
    with Site.open(folder) as site:
        copy = LedgerCopy.of_folder(site.id, site.ledger_identity.public_key, folder)
    copy.write(output)
    typer.echo(copy.summary(as_json=as_json))


def clear_site_halt(folder: Path) -> None:
    """Let a halted site go on.

    Raises:
        Refusal: ``site/halted``: the roster is none that came after the halt.
    """
    with Site.open(folder) as site:
        with site.store.transaction() as connection:
            halted = is_halted(site.store, connection)
        given_up, epoch = clear_halt(site), site.federation.roster.epoch
    if given_up is None:
        typer.echo("the site is not halted")
    else:
        typer.echo(
            f"the site goes on; given up: its ledger up to line {given_up.seq + 1}, "
            f"{given_up.hash.hex()}"
        )
        if halted:
            typer.echo(
                f"this rests on epoch {epoch} of the roster: it must have been issued after the "
                "loss, or contexts that were used may come again"
            )


def forget_site_head(folder: Path, writer: str) -> None:
    """Hold no head of a writer until its next one."""
    with Site.open(folder) as site:
        held = forget_held(site, writer)
    if held is None:
        typer.echo(f"no head of {writer} was held")
    else:
        typer.echo(f"forgotten: line {held.seq + 1} of {writer}'s ledger, {held.hash.hex()}")
