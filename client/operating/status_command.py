"""`recommons site status`, `pause` and `resume`."""

import json
from collections.abc import Iterator
from pathlib import Path

import typer

from recommons.client.operating.pausing import pause, resume
from recommons.client.operating.status import SiteStatus, read_status
from recommons.client.site import Site
from recommons.common.units import counted

__all__ = ["pause_site", "resume_site", "show_status"]


def show_status(folder: Path, *, as_json: bool) -> None:
    """Print where a site stands.

    Raises:
        InvalidInput: The folder is not a site's.
    """
    status = read_status(folder)
    if as_json:
        typer.echo(json.dumps(status.to_json(), ensure_ascii=False))
        return
    for name, said in _lines(status):
        typer.echo(f"{name:<12} {said}")


def pause_site(folder: Path, reason: str, *, as_json: bool) -> None:
    """Pause a site.

    Raises:
        RecommonsError: The folder cannot be opened.
    """
    with Site.open(folder) as site:
        held = pause(site, reason)
        name = site.id
    if as_json:
        typer.echo(json.dumps({"site": name, "paused": True, "since": held.since}))
    else:
        typer.echo(f"{name}: paused since {held.since}")


def resume_site(folder: Path, *, as_json: bool) -> None:
    """Let a paused site take part again.

    Raises:
        RecommonsError: The folder cannot be opened.
    """
    with Site.open(folder) as site:
        ended = resume(site)
        name = site.id
    if as_json:
        typer.echo(json.dumps({"site": name, "paused": False, "was_paused": ended is not None}))
    elif ended is None:
        typer.echo(f"{name}: was not paused")
    else:
        typer.echo(f"{name}: takes part again; it was paused since {ended.since}")


def _lines(status: SiteStatus) -> Iterator[tuple[str, str]]:
    yield "site", status.site
    if status.federation is None:
        yield "federation", "none pinned yet"
    else:
        yield "federation", f"{status.federation}, epoch {status.epoch}"
    yield "agent", "running" if status.running else "not running: `recommons site start`"
    if status.halted:
        yield "HALTED", "this folder is an old backup: `recommons site clear-halt --help`"
    if status.earlier_ledger is not None:
        said = f"others hold {status.earlier_ledger} lines of a ledger of {status.site} from before"
        yield "REFUSES", f"{said}: `recommons site clear-halt --help`"
    if status.paused is not None:
        why = f" ({status.paused.reason})" if status.paused.reason else ""
        yield "PAUSED", f"since {status.paused.since}{why}: `recommons site resume`"
    yield "data", _data(status)
    yield "open runs", ", ".join(run[:8] for run in status.open_runs) or "none"
    yield "ledger", counted(status.ledger_entries, "entry")
    last = f", the last at {status.last_answer}" if status.last_answer else ""
    yield (
        "sent",
        f"{counted(status.answers, 'answer')} of {status.bytes_sent:,} bytes together{last}",
    )
    yield "releases", ", ".join(status.releases) or "none received"
    if status.certificate_ends is not None:
        yield "certificate", f"until {status.certificate_ends}"


def _data(status: SiteStatus) -> str:
    health = status.data
    if health is None:
        return "not read yet: `recommons site data check`"
    if not health.ok:
        return f"{health.source} could not be read since {health.time}: {health.code}"
    bad = f"; {health.bad:,} of them cannot be read and are left out" if health.bad else ""
    return (
        f"{health.source}, read at {health.time} in {health.seconds:.1f} s: "
        f"{counted(health.users or 0, 'user')}, {counted(health.events or 0, 'event')}{bad}"
    )
