"""`recommons site catalogue show` and `fetch`."""

import json
from pathlib import Path

import typer

from recommons.client.agent.catalogue import download_catalogue
from recommons.client.agent.connection import gateway_client
from recommons.client.membership.epochs import is_busy
from recommons.client.site import Site, SiteConfig
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.catalogue_document import catalogue_from_bytes
from recommons.common.durably import write_durably
from recommons.common.errors import InvalidInput, Refusal

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
    with gateway_client(folder) as client:
        data = download_catalogue(client)
    if data is None:
        raise InvalidInput("site/catalogue", "the coordinator offers no catalogue")
    offered = catalogue_from_bytes(data)
    own = _read(place) if place.exists() else None
    if own is None or own.hash != offered.hash:
        if own is not None:
            with Site.open(folder) as site:
                busy = is_busy(site)
            if busy:
                raise Refusal("site/busy", "a run over the present catalogue is open here")
            typer.echo(_change(own, offered), err=True)
            if not yes:
                typer.confirm("Replace this site's catalogue?", abort=True, err=True)
            write_durably(place.with_name(f"{place.name}.before"), place.read_bytes())
        write_durably(place, data)
    _print(config.catalogue, offered, as_json=as_json)


def _read(place: Path) -> Catalogue:
    try:
        data = place.read_bytes()
    except OSError as error:
        raise InvalidInput("site/catalogue", f"{place.name} cannot be read") from error
    return catalogue_from_bytes(data)


def _change(own: Catalogue, offered: Catalogue) -> str:
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
    told = f"{len(columns)} feature columns" if columns else "no features"
    typer.echo(f"{name}: {len(found):,} items, {told}, hash {found.hash.hex()}")
