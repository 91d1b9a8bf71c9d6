"""The public catalogue on its way to a site: fetched where it has none, or when it is asked for.

What comes is whatever the coordinator has put there: a plan pins its catalogue by hash, so that a
site with another one refuses, and one that is there is replaced by the operator's word alone.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from recommons.client.agent.connection import gateway_client_async
from recommons.client.agent.link import MOST_REFUSAL_BYTES, LinkError, named, refusal
from recommons.client.agent.logs import event
from recommons.client.membership.epochs import is_busy
from recommons.client.records.database import DATABASE
from recommons.client.site import Site, SiteConfig
from recommons.common.data.catalogue_document import MOST_OFFERED_BYTES, offered_from_bytes
from recommons.common.durably import create_durably
from recommons.common.errors import DataError, Refusal
from recommons.common.plan import Plan

__all__ = ["CatalogueChore", "download_catalogue", "fetch_catalogue"]

DOWNLOAD_SECONDS = 600.0
"""For the whole of it, at a megabit a second; who sends it drop by drop holds nobody up longer."""

_PATH = "/v1/recommons/catalogue"
_NONE = (httpx.codes.NO_CONTENT, httpx.codes.NOT_FOUND)  # the latter of an older coordinator
_PAUSE_SECONDS = 3600.0
_PAUSE_PER_SECOND = 10.0
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class CatalogueChore:
    """`fetch_catalogue` as the agent's chore, which does not ask in vain again and again.

    After a document that was refused it waits for an hour, after another failure for ten times as
    long as that took; an agent that starts anew asks at once.

    Attributes:
        clock: Seconds of a steady clock.
    """

    clock: Callable[[], float] = time.monotonic
    _not_before: float = float("-inf")

    def __call__(self, folder: Path, _client: httpx.Client) -> None:
        """Raises as `fetch_catalogue`."""
        began = self.clock()
        if began < self._not_before:
            return
        try:
            fetch_catalogue(folder)
        except Exception as error:
            now = self.clock()
            refused = isinstance(error, DataError | Refusal)
            pause = _PAUSE_SECONDS if refused else _PAUSE_PER_SECOND * (now - began)
            self._not_before = now + pause
            raise


def fetch_catalogue(folder: Path, *, seconds: float = DOWNLOAD_SECONDS) -> None:
    """Put the coordinator's catalogue where `site.json` says, unless there is one.

    Args:
        folder: The site's folder.
        seconds: How long that may take.

    Raises:
        DataError: ``data/catalogue``: what came is not a catalogue; nothing is kept.
        Refusal: ``site/busy``: it is not the catalogue of the run that is open here.
        LinkError: The line was lost; the next call tries again.
    """
    place = folder / SiteConfig.read(folder).catalogue
    if os.path.lexists(place):
        return
    data = download_catalogue(folder, seconds=seconds)
    if data is None:
        return
    found = offered_from_bytes(data)
    offered = found.hash.hex()
    _check_open_run(folder, offered)
    try:
        create_durably(place, data)
    except FileExistsError:
        return  # the operator was faster
    event(_log, "catalogue", items=len(found), hash=offered)


def download_catalogue(folder: Path, *, seconds: float = DOWNLOAD_SECONDS) -> bytes | None:
    """The document that the coordinator offers; None where it offers none.

    Args:
        folder: The site's folder.
        seconds: How long that may take, from the first byte that is sent to the last that comes.

    Returns:
        At most one byte more than `offered_from_bytes` takes.

    Raises:
        LinkError: The line was lost, or too slow.
        InvalidInput: As `gateway_client_async`.
    """
    client = gateway_client_async(folder)
    try:
        response, body = named(lambda: asyncio.run(_answer(client, seconds)))
    except TimeoutError:
        raise LinkError("agent/unreachable", f"no whole answer within {seconds:g} s") from None
    if response.status_code in _NONE:
        return None
    if not response.is_success:
        raise refusal(response, body)
    return body


async def _answer(client: httpx.AsyncClient, seconds: float) -> tuple[httpx.Response, bytes]:
    """The answer, and as much of its body as may be."""
    body = bytearray()
    async with asyncio.timeout(seconds), client, client.stream("GET", _PATH) as response:
        most = MOST_OFFERED_BYTES + 1 if response.is_success else MOST_REFUSAL_BYTES
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) >= most:
                break
    return response, bytes(body[:most])


def _check_open_run(folder: Path, offered: str) -> None:
    """Under an open run nothing comes but the catalogue that its plan pins, by its hash."""
    if not (folder / DATABASE).exists():
        return  # it has only just joined
    with Site.open(folder) as site:
        if not is_busy(site):
            return
        with site.store.transaction() as transaction:
            runs = [site.store.run(transaction, run) for run in site.store.open_runs(transaction)]
    pinned = {Plan.from_bytes(run.plan).catalogue.hash for run in runs if run is not None}
    if offered not in pinned:
        raise Refusal("site/busy", "the coordinator offers another catalogue than the open run's")
