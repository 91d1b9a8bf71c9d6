"""What a site's operator looks at and steers. Only typer is imported here."""

from pathlib import Path
from typing import Annotated

import typer

from recommons.common.options import Json

__all__ = ["catalogue", "data", "model", "pause", "resume", "status"]

data = typer.Typer(no_args_is_help=True, help="The site's own events, as data.toml names them.")
catalogue = typer.Typer(no_args_is_help=True, help="The federation's public items at this site.")
model = typer.Typer(no_args_is_help=True, help="The federation's releases at this site.")

_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The site's folder.")]


def status(folder: _Folder, as_json: Json = False) -> None:
    """Show where the site stands: agent, pause, data, open runs, ledger, releases.

    Reads the folder only, and disturbs no agent.

    Example:
        recommons site status sites/plum
    """
    from recommons.client.operating.status_command import show_status

    show_status(folder, as_json=as_json)


def pause(
    folder: _Folder,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="What for; it stays in the site's own database.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Stay away: join no run, begin no attempt, form no vector, until `resume`.

    It holds at once, also for a running agent, and across restarts. A vector that has left already
    is finished, so that the others do not lose their round.

    Example:
        recommons site pause sites/plum --reason "moving the database"
    """
    from recommons.client.operating.status_command import pause_site

    pause_site(folder, reason, as_json=as_json)


def resume(folder: _Folder, as_json: Json = False) -> None:
    """Take part again after `pause`.

    Example:
        recommons site resume sites/plum
    """
    from recommons.client.operating.status_command import resume_site

    resume_site(folder, as_json=as_json)


@model.command("list")
def list_models(folder: _Folder, as_json: Json = False) -> None:
    """List the releases that the site has received, the latest last.

    Example:
        recommons site model list sites/plum
    """
    from recommons.client.operating.model_command import show_models

    show_models(folder, as_json=as_json)


@data.command("check")
def check_data(folder: _Folder, as_json: Json = False) -> None:
    """Read the site's events once and say how many they are; nothing is kept.

    Example:
        recommons site data check sites/plum
    """
    from recommons.client.operating.data_command import check_events

    check_events(folder, as_json=as_json)


@data.command("refresh")
def refresh_data(folder: _Folder, as_json: Json = False) -> None:
    """Read the site's events anew into the compact copy, as joining a run does.

    Give it before a run begins where the reading takes minutes: the run then need not wait.

    Example:
        recommons site data refresh sites/plum
    """
    from recommons.client.operating.data_command import refresh_events

    refresh_events(folder, as_json=as_json)


@catalogue.command("show")
def show_catalogue(folder: _Folder, as_json: Json = False) -> None:
    """Show which catalogue the site has: its items, features and hash, which plans pin.

    Example:
        recommons site catalogue show sites/plum
    """
    from recommons.client.operating import catalogue_command

    catalogue_command.show_catalogue(folder, as_json=as_json)


@catalogue.command("fetch")
def fetch_catalogue(
    folder: _Folder,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Replace the site's own without being asked.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take the catalogue that the coordinator offers, in place of the site's own.

    The agent fetches it by itself where the site has none. One that is there is replaced by your
    word alone, and not while a run is open; the earlier one stays beside it, as FILE.before.

    Example:
        recommons site catalogue fetch sites/plum
    """
    from recommons.client.operating.catalogue_command import fetch_now

    fetch_now(folder, yes=yes, as_json=as_json)
