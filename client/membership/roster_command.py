"""`recommons site roster list`, `accept` and `approve`."""

import json
from pathlib import Path

import typer

from recommons.client.membership.changes import changes
from recommons.client.membership.epochs import (
    is_busy,
    note_approval,
    note_word,
    pin_epoch,
    waiting_epochs,
)
from recommons.client.site import Site
from recommons.common.durably import write_durably
from recommons.common.epochs import Epoch, approve, majority_of
from recommons.common.errors import InvalidInput, Refusal

__all__ = ["accept_roster", "approve_roster", "show_rosters"]


def show_rosters(folder: Path, *, as_json: bool) -> None:
    """Print what is pinned and what waits, with what each epoch changes."""
    with Site.open(folder) as site:
        pinned, rules = site.federation.roster, site.policy
        waiting = [epoch for epoch in waiting_epochs(folder) if epoch.roster.epoch > pinned.epoch]
        changed = [changes(site, epoch) for epoch in waiting]
    rows = [
        {
            "epoch": epoch.roster.epoch,
            "roster": epoch.roster.hash.hex(),
            "approvals": sorted(epoch.approvals),
            "majority": majority_of(pinned),
            "changes": told,
        }
        for epoch, told in zip(waiting, changed, strict=True)
    ]
    if as_json:
        typer.echo(json.dumps({"pinned": pinned.epoch, "waiting": rows}, ensure_ascii=False))
        return
    typer.echo(f"pinned: epoch {pinned.epoch}; new ones take effect {rules.roster.new_epoch}")
    for epoch, row, told in zip(waiting, rows, changed, strict=True):
        typer.echo(
            f"waits:  epoch {epoch.roster.epoch}, approved by {len(epoch.approvals)} "
            f"(majority of the pinned: {row['majority']})"
        )
        for line in told:
            typer.echo(f"        {line}")


def accept_roster(file: Path | None, folder: Path, *, yes: bool, now: bool, as_json: bool) -> None:
    """Pin an epoch, by default the latest that waits, or say why not.

    While a run is open at the site, the operator's word is kept and the agent pins the epoch when
    the run has ended; with `now` it is pinned at once, and the run ends here.

    Raises:
        InvalidInput: The file or the folder cannot be read.
        Refusal: The roster may not take effect here.
    """
    with Site.open(folder) as site:
        epoch = _epoch(file, folder)
        told = changes(site, epoch)
        later = is_busy(site) and not now
        try:
            if not (later and yes):
                pin_epoch(site, epoch, by_hand=yes)
                later = False
        except Refusal as refusal:
            if refusal.code != "roster/not-approved" or as_json:
                raise
            typer.echo("\n".join(told))
            typer.confirm(f"Pin epoch {epoch.roster.epoch} at {site.id}?", abort=True)
            if not later:
                pin_epoch(site, epoch, by_hand=True)
        if later:
            note_word(site, epoch)
    if later:
        _say_later(epoch, as_json=as_json)
        return
    Site.open(folder).store.close()  # which writes the new roster into the ledger
    pinned = {"epoch": epoch.roster.epoch, "roster": epoch.roster.hash.hex(), "changes": told}
    typer.echo(
        json.dumps(pinned, ensure_ascii=False)
        if as_json
        else f"epoch {pinned['epoch']} is pinned: {pinned['roster']}"
    )


def approve_roster(file: Path | None, folder: Path) -> None:
    """Sign an epoch without pinning it; the agent takes the signature to the coordinator.

    Raises:
        InvalidInput: The file or the folder cannot be read.
        Refusal: ``roster/signature``: the federation's key did not sign it.
    """
    with Site.open(folder) as site:
        epoch = _epoch(file, folder)
        if not epoch.is_signed_by(site.federation.federation_key):
            raise Refusal("roster/signature", "the roster is not signed by the federation's key")
        note_approval(site, epoch)
        if file is not None:
            write_durably(file, approve(epoch, site.id, site.identity).to_bytes())
        name = site.id
    typer.echo(f"{name} approves epoch {epoch.roster.epoch}")


def _say_later(epoch: Epoch, *, as_json: bool) -> None:
    number = epoch.roster.epoch
    typer.echo(
        json.dumps({"epoch": number, "pinned": False})
        if as_json
        else f"a run is open here: the agent pins epoch {number} when it has ended"
    )


def _epoch(file: Path | None, folder: Path) -> Epoch:
    if file is None:
        waiting = waiting_epochs(folder)
        if not waiting:
            raise InvalidInput("roster/none-waits", "no epoch waits at this site")
        return waiting[-1]
    try:
        return Epoch.from_bytes(file.read_bytes())
    except OSError as error:
        raise InvalidInput("roster/file", f"{file} cannot be read") from error
