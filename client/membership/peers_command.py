"""`recommons site peers` and `recommons site rotate`."""

import json
from pathlib import Path

import typer

from recommons.client.membership.peers import set_verified, verify_peer
from recommons.client.membership.rotation import begin_rotation
from recommons.client.site import Site
from recommons.common.errors import InvalidInput
from recommons.common.peers import fingerprint, readable

__all__ = ["forget_one", "rotate_key", "show_peers", "verify_one"]


def show_peers(folder: Path, *, as_json: bool) -> None:
    """Print the pinned roster with fingerprints."""
    with Site.open(folder) as site:
        roster, own, rules = site.federation.roster, site.id, site.policy.peers
    rows = [
        {
            "site": entry.site,
            "fingerprint": readable(fingerprint(entry.public_key)),
            "own": entry.site == own,
            "verified": rules.verified.get(entry.site) == fingerprint(entry.public_key),
        }
        for entry in roster.sites
    ]
    if as_json:
        document = {"federation": roster.federation, "epoch": roster.epoch, "sites": rows}
        typer.echo(json.dumps(document, ensure_ascii=False))
        return
    typer.echo(f"{roster.federation}, epoch {roster.epoch}")
    for row in sorted(rows, key=lambda row: not row["own"]):
        mark = "this site" if row["own"] else "verified" if row["verified"] else "not verified"
        typer.echo(f"  {row['site']!s:20} {row['fingerprint']}  {mark}")


def verify_one(folder: Path, peer: str, told: str) -> None:
    """Mark a peer as verified.

    Raises:
        InvalidInput, Refusal: As `peers.verify_peer`.
    """
    with Site.open(folder) as site:
        verify_peer(folder, site.federation.roster, site.id, peer, told)
    Site.open(folder).store.close()  # which writes the new policy into the ledger
    typer.echo(f"{peer} is verified")


def forget_one(folder: Path, peer: str) -> None:
    """Take a peer out of the verified ones.

    Raises:
        InvalidInput: ``federation/not-a-member``: it is not among them.
    """
    with Site.open(folder) as site:
        if peer not in site.policy.peers.verified:
            raise InvalidInput("federation/not-a-member", f"{peer!r} is not among the verified")
    set_verified(folder, {peer: None})
    Site.open(folder).store.close()
    typer.echo(f"{peer} is not verified any more")


def rotate_key(folder: Path, *, yes: bool) -> None:
    """Draw the next signing key; the agent takes the statement to the coordinator."""
    with Site.open(folder) as site:
        if not yes:
            typer.confirm(f"Draw a new signing key for {site.id}?", abort=True)
        made = begin_rotation(site)
    typer.echo(
        f"drawn; the agent sends the statement with its next news\n"
        f"  {readable(fingerprint(made.new))}\n"
        f"ask the federation's operator: recommons federation approve {made.site}"
    )
