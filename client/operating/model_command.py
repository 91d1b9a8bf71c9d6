"""`recommons site model list`."""

import json
from pathlib import Path

import typer

from recommons.client.releases import Installed, installed
from recommons.client.site import SiteConfig
from recommons.common.units import byte_size

__all__ = ["show_models"]


def show_models(folder: Path, *, as_json: bool) -> None:
    """Print the releases that a site knows.

    Raises:
        InvalidInput: The folder is not a site's, or ``release/…``: a note is damaged.
    """
    SiteConfig.read(folder)
    releases = installed(folder)
    if as_json:
        typer.echo(json.dumps({"releases": [_document(release) for release in releases]}))
        return
    if not releases:
        typer.echo("none received yet")
        return
    typer.echo(f"{'release':<9}{'model':<12}{'ε':>6}{'δ':>9}{'size':>9}  run")
    for release in releases:
        note = release.note
        epsilon = "∞" if note.epsilon is None else f"{note.epsilon:.3g}"
        size = byte_size(_bytes(release)) if release.complete else "missing"
        typer.echo(
            f"{release.path.name:<9}{note.model:<12}{epsilon:>6}{note.delta:>9.2g}{size:>9}  "
            f"{note.run[:8]}"
        )


def _document(release: Installed) -> dict[str, object]:
    note = release.note
    return {
        "release": release.path.name,
        "model": note.model,
        "run": note.run,
        "plan": note.plan,
        "epsilon": note.epsilon,
        "delta": note.delta,
        "bytes": _bytes(release),
        "complete": release.complete,
    }


def _bytes(release: Installed) -> int:
    return sum(file.size for file in release.note.files.values())
