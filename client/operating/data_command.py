"""`recommons site data check` and `refresh`."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import typer

from recommons.client.site import Site, SiteConfig
from recommons.client.sources.looking import NOT_COMPARED, check_bad_rows, look_at
from recommons.client.sources.settings import read_settings
from recommons.client.sources.usable import UNKNOWN, Usable, check_users
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.catalogue_document import catalogue_from_bytes
from recommons.common.units import counted

__all__ = ["check_events", "refresh_events"]


def check_events(folder: Path, *, as_json: bool) -> None:
    """Read a site's events and print how many they are, and how many are usable.

    Raises:
        DataError: They cannot be read, more rows than `data.toml` allows cannot, or no user has an
            event on an item of the catalogue.
        InvalidInput: The folder is not a site's.
    """
    config = SiteConfig.read(folder)
    settings = read_settings(folder, config.events)
    catalogue = _catalogue(folder / config.catalogue)
    look = look_at(folder, settings, catalogue)

    def check() -> None:
        check_bad_rows(look, settings)
        check_users(look.users, look.left_out | look.bad, look.usable, catalogue)

    if as_json:
        check()  # first: what fails is one object, the error's
        told = {
            "source": look.kind,
            "users": look.users,
            "events": look.rows,
            "left_out": look.left_out,
            "bad": look.bad,
            "first_bad": look.first_bad,
            "usable": look.usable and _figures(look.usable),
        }
        typer.echo(json.dumps(told))
        return
    typer.echo(f"{look.kind}: {look}")
    _print_left_out(look.left_out, look.bad)
    if look.first_bad:
        typer.echo(f"  first of them: {look.first_bad}")
    _print_usable(look.usable)
    check()


def refresh_events(folder: Path, *, as_json: bool) -> None:
    """Read a site's events into the compact copy and print what it holds.

    Raises:
        DataError: They cannot be read, or no user has an event on an item of the catalogue.
        RecommonsError: The folder cannot be opened.
    """
    with Site.open(folder) as site:
        own, catalogue = site.own_users(anew=True), site.catalogue
    made, lengths = own.manifest, np.diff(own.interactions.indptr)
    reasons = made.left_out | made.bad
    usable = Usable(
        users=int(np.count_nonzero(lengths)),
        events=made.rows - sum(reasons.values()) - made.unknown,
        unknown=made.unknown,
    )
    if as_json:
        check_users(made.users, reasons, usable, catalogue)
        figures = {"users": made.users, "events": made.rows, "pairs": made.pairs}
        figures |= {"usable_users": usable.users, "unknown_items": made.unknown}
        figures |= {"bad": sum(made.bad.values())}
        typer.echo(json.dumps({**figures, "left_out": made.left_out, "seconds": made.seconds}))
        return
    pairs = counted(made.pairs, "distinct pair")
    total = f"{counted(made.users, 'user')}, {counted(made.rows, 'event')}"
    typer.echo(f"{total}, {pairs}, in {made.seconds:.1f} s")
    _print_left_out(made.left_out, made.bad)
    _print_usable(usable)
    check_users(made.users, reasons, usable, catalogue)


def _catalogue(path: Path) -> Catalogue | None:
    """The site's; None before there is one.

    Raises:
        DataError: It is not a catalogue.
    """
    return catalogue_from_bytes(path.read_bytes()) if path.exists() else None


def _figures(usable: Usable) -> dict[str, int]:
    return {"users": usable.users, "events": usable.events, "unknown_items": usable.unknown}


def _print_usable(usable: Usable | None) -> None:
    if usable is None:
        typer.echo(f"  {NOT_COMPARED}")
        return
    if usable.unknown:
        typer.echo(f"  left out: {usable.unknown:,} ({UNKNOWN})")
    typer.echo(f"  {usable}")
    if usable.warning:
        typer.echo(f"  note: {usable.warning}")


def _print_left_out(left_out: Mapping[str, int], bad: Mapping[str, int]) -> None:
    for reason, count in left_out.items():
        typer.echo(f"  left out: {count:,} ({reason})")
    for reason, count in bad.items():
        typer.echo(f"  cannot be read: {count:,} ({reason})")
