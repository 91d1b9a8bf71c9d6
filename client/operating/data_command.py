"""`recommons site data check` and `refresh`."""

import json
from collections.abc import Mapping
from pathlib import Path

import typer

from recommons.client.site import Site, SiteConfig
from recommons.client.sources.looking import check_bad_rows, look_at
from recommons.client.sources.settings import read_settings

__all__ = ["check_events", "refresh_events"]


def check_events(folder: Path, *, as_json: bool) -> None:
    """Read a site's events and print how many they are.

    Raises:
        DataError: They cannot be read, or more rows than `data.toml` allows cannot.
        InvalidInput: The folder is not a site's.
    """
    config = SiteConfig.read(folder)
    settings = read_settings(folder, config.events)
    look = look_at(folder, settings)
    figures = {"users": look.users, "events": look.rows, "left_out": look.left_out, "bad": look.bad}
    if as_json:
        typer.echo(json.dumps({"source": look.kind, **figures, "first_bad": look.first_bad}))
    else:
        typer.echo(f"{look.kind}: {look.users:,} users, {look.rows:,} events")
        _print_left_out(look.left_out, look.bad)
        if look.first_bad:
            typer.echo(f"  first of them: {look.first_bad}")
    check_bad_rows(look, settings)


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
        figures |= {"unknown_items": made.unknown, "bad": sum(made.bad.values())}
        typer.echo(json.dumps({**figures, "left_out": made.left_out, "seconds": made.seconds}))
        return
    typer.echo(
        f"{made.users:,} users, {made.rows:,} events, {made.pairs:,} distinct pairs, "
        f"in {made.seconds:.1f} s"
    )
    _print_left_out(made.left_out, made.bad)
    if made.unknown:
        typer.echo(f"  left out: {made.unknown:,} (an item that is not in the catalogue)")


def _print_left_out(left_out: Mapping[str, int], bad: Mapping[str, int]) -> None:
    for reason, count in left_out.items():
        typer.echo(f"  left out: {count:,} ({reason})")
    for reason, count in bad.items():
        typer.echo(f"  cannot be read: {count:,} ({reason})")
