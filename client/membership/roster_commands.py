"""What a site's operator does about the federation's roster. Only typer is imported here."""

from pathlib import Path
from typing import Annotated

import typer

from recommons.common.options import Json, JsonUnasked

__all__ = ["roster"]

roster = typer.Typer(no_args_is_help=True, help="The federation's roster, as this site pins it.")

_File = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="A roster with its approvals; else the latest that came."),
]
_Site = Annotated[Path, typer.Option("--site", metavar="DIR", help="The site's folder.")]


@roster.command("list")
def list_rosters(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The site's folder.")],
    as_json: Json = False,
) -> None:
    """Show the pinned epoch, and those that came and wait, with what they change.

    Example:
        recommons site roster list sites/plum
    """
    from recommons.client.membership.roster_command import show_rosters

    show_rosters(folder, as_json=as_json)


@roster.command()
def accept(
    site: _Site,
    file: _File = None,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="The operator's word, without being asked.")
    ] = False,
    now: Annotated[
        bool, typer.Option("--now", help="Also while a run is open here, which ends with it.")
    ] = False,
    as_json: JsonUnasked = False,
) -> None:
    """Pin a new epoch of the roster, if it may take effect here.

    It takes the operator's word, or, where the policy says by-majority, the approvals of most
    sites of the pinned epoch. While a run is open here, the agent pins it when the run has ended.

    Example:
        recommons site roster accept --site sites/plum
    """
    from recommons.client.membership.roster_command import accept_roster

    accept_roster(file, site, yes=yes, now=now, as_json=as_json)


@roster.command()
def approve(site: _Site, file: _File = None) -> None:
    """Sign a roster for sites that accept by majority; accepting it does so, too.

    Example:
        recommons site roster approve --site sites/plum
    """
    from recommons.client.membership.roster_command import approve_roster

    approve_roster(file, site)
