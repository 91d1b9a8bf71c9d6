"""The public catalogue on its way to a site: fetched where it has none, or when it is asked for.

What comes is whatever the coordinator has put there: a plan pins its catalogue by hash, so that a
site with another one refuses, and one that is there is replaced by the operator's word alone.
"""

import logging
from pathlib import Path

import httpx

from recommons.client.agent.link import named
from recommons.client.agent.logs import event
from recommons.client.site import SiteConfig
from recommons.common.data.catalogue_document import catalogue_from_bytes
from recommons.common.durably import write_durably
from recommons.common.errors import DataError

__all__ = ["download_catalogue", "fetch_catalogue"]

_PATH = "/v1/recommons/catalogue"
_LARGEST = 256 << 20
_NONE = (httpx.codes.NO_CONTENT, httpx.codes.NOT_FOUND)  # the latter of an older coordinator
_log = logging.getLogger(__name__)


def fetch_catalogue(folder: Path, client: httpx.Client) -> None:
    """Put the coordinator's catalogue where `site.json` says, unless there is one.

    Args:
        folder: The site's folder.
        client: A line to the coordinator's gateway, over mutual TLS.

    Raises:
        DataError: ``data/catalogue``: what came is not a catalogue; nothing is kept.
        LinkError: The line was lost; the next call tries again.
    """
    place = folder / SiteConfig.read(folder).catalogue
    if place.exists():
        return
    data = download_catalogue(client)
    if data is None:
        return
    found = catalogue_from_bytes(data)
    write_durably(place, data)
    event(_log, "catalogue", items=len(found), hash=found.hash.hex())


def download_catalogue(client: httpx.Client) -> bytes | None:
    """The document that the coordinator offers; None where it offers none.

    Raises:
        DataError: ``data/catalogue``: longer than any catalogue may be.
        LinkError: The line was lost.
    """

    def fetch() -> bytes | None:
        content = bytearray()
        with client.stream("GET", _PATH) as response:
            if response.status_code in _NONE:
                return None
            response.raise_for_status()
            for chunk in response.iter_raw():
                content += chunk
                if len(content) > _LARGEST:
                    break
        return bytes(content)

    data = named(fetch)
    if data is not None and len(data) > _LARGEST:
        raise DataError(
            "data/catalogue", f"the coordinator's is over {_LARGEST >> 20} MiB; required: less"
        )
    return data
