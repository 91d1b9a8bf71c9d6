"""`recommons site catalogue show` and `fetch`."""

import json
from contextlib import suppress
from pathlib import Path

import typer

from recommons.client.agent.catalogue import download_catalogue
from recommons.client.membership.epochs import is_busy
from recommons.client.site import Site, SiteConfig
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.catalogue_document import catalogue_from_bytes, offered_from_bytes
from recommons.common.durably import create_durably, write_durably
from recommons.common.errors import DataError, InvalidInput, Refusal
from recommons.common.units import counted

__all__ = ["fetch_now", "show_catalogue"]


def show_catalogue(folder: Path, *, as_json: bool) -> None:
    """Print what the site's copy holds.

    Raises:
        InvalidInput: ``site/catalogue``: it is not there; or the folder is not a site's.
        DataError: It is not a catalogue.
    """
    config = SiteConfig.read(folder)
    _print(config.catalogue, _read(folder / config.catalogue), as_json=as_json)


def fetch_now(folder: Path, *, yes: bool, as_json: bool) -> None:
    """Take the coordinator's catalogue, in the place of the site's own after its operator's word.

    Raises:
        RecommonsError: ``site/catalogue``: the coordinator offers none; ``site/busy``: a run is
            open here, which would end with it; the line is down; what came is not a catalogue.
    """
    config = SiteConfig.read(folder)
    place = folder / config.catalogue
    data = download_catalogue(folder)
    if data is None:
        raise InvalidInput("site/catalogue", "the coordinator offers no catalogue")
    offered = offered_from_bytes(data)
    if not place.exists():
        with suppress(FileExistsError):  # one came meanwhile: the operator is asked
            create_durably(place, data)
    own = _readable(place)
    if own is None or own.hash != offered.hash:
        _replace(folder, place, own, offered, data, yes=yes)
    _print(config.catalogue, offered, as_json=as_json)


def _replace(
    folder: Path, place: Path, own: Catalogue | None, offered: Catalogue, data: bytes, *, yes: bool
) -> None:
    """Put another copy in the place of the site's own, which stays beside it.

    One that is not readable may go at any time: no round goes on with it.
    """
    if own is not None:
        _check_idle(folder)
    typer.echo(_change(own, offered), err=True)
    if not yes:
        typer.confirm("Replace this site's catalogue?", abort=True, err=True)
        if own is not None:
            _check_idle(folder)  # a run may have been joined while the question stood
    write_durably(place.with_name(f"{place.name}.before"), place.read_bytes())
    write_durably(place, data)


def _check_idle(folder: Path) -> None:
    with Site.open(folder) as site:
        busy = is_busy(site)
    if busy:
        raise Refusal("site/busy", "a run over the present catalogue is open here")


def _readable(place: Path) -> Catalogue | None:
    """The site's own copy; None where it is no catalogue."""
    try:
        return _read(place)
    except DataError:
        return None


def _read(place: Path) -> Catalogue:
    try:
        data = place.read_bytes()
    except OSError as error:
        raise InvalidInput("site/catalogue", f"{place.name} cannot be read") from error
    return catalogue_from_bytes(data)


def _change(own: Catalogue | None, offered: Catalogue) -> str:
    if own is None:
        return f"the site's own is not readable; the coordinator's has {len(offered):,} items"
    before, after = set(own.item_ids), set(offered.item_ids)
    said = f"{len(after - before):,} items are new, {len(before - after):,} are gone, "
    said += f"{len(after & before):,} stay"
    if before == after:
        return said + "; titles or features change"
    return said + "; releases over the present one cannot be served until there is a new one"


def _print(name: str, found: Catalogue, *, as_json: bool) -> None:
    columns = [column.name for column in found.features]
    if as_json:
        figures = {"file": name, "items": len(found), "features": columns}
        typer.echo(json.dumps({**figures, "hash": found.hash.hex()}))
        return
    told = counted(len(columns), "feature column") if columns else "no features"
    typer.echo(f"{name}: {counted(len(found), 'item')}, {told}, hash {found.hash.hex()}")
