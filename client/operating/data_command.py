"""`recommons site data check` and `refresh`."""

import json
from pathlib import Path

import typer

from recommons.client.site import Site, SiteConfig
from recommons.client.sources.looking import look_at
from recommons.client.sources.settings import read_settings
from recommons.common.errors import InvalidInput

__all__ = ["check_events", "refresh_events"]


def check_events(folder: Path, *, as_json: bool) -> None:
    """Read a site's events and print how many they are.

    Raises:
        DataError: They cannot be read.
        InvalidInput: The folder is not a site's.
    """
    try:
        config = SiteConfig.model_validate_json((folder / "site.json").read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidInput(
            "site/folder", f"{folder} is not a site's folder: site.json cannot be read"
        ) from error
    look = look_at(folder, read_settings(folder, config.events))
    if as_json:
        figures = {"users": look.users, "events": look.rows, "left_out": look.left_out}
        typer.echo(json.dumps({"source": look.kind, **figures}))
        return
    typer.echo(f"{look.kind}: {look.users:,} users, {look.rows:,} events")
    for reason, count in look.left_out.items():
        typer.echo(f"  left out: {count:,} ({reason})")


def refresh_events(folder: Path, *, as_json: bool) -> None:
    """Read a site's events into the compact copy and print what it holds.

    Raises:
        DataError: They cannot be read.
        RecommonsError: The folder cannot be opened.
    """
    with Site.open(folder) as site:
        made = site.own_users(anew=True).manifest
    if as_json:
        figures = {"users": made.users, "events": made.rows, "pairs": made.pairs}
        figures |= {"unknown_items": made.unknown}
        typer.echo(json.dumps({**figures, "left_out": made.left_out, "seconds": made.seconds}))
        return
    typer.echo(
        f"{made.users:,} users, {made.rows:,} events, {made.pairs:,} distinct pairs, "
        f"in {made.seconds:.1f} s"
    )
    for reason, count in made.left_out.items():
        typer.echo(f"  left out: {count:,} ({reason})")
    if made.unknown:
        typer.echo(f"  left out: {made.unknown:,} (an item that is not in the catalogue)")
