"""Health endpoints and metrics of a site over HTTP. Nothing here is about users."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recommons.client.operating.metrics import SiteMetrics
from recommons.client.operating.status import read_status
from recommons.common.errors import RecommonsError
from recommons.common.health import Health
from recommons.common.health_server import serve_health

__all__ = ["watched"]

_AGENT_LOG = "recommons.client.agent"


def reasons(folder: Path, *, connected: bool) -> list[str]:
    """Why a site cannot take part just now, by named codes; empty where it can."""
    try:
        status = read_status(folder)
    except RecommonsError as error:
        return [error.code]
    found = [] if connected else ["agent/unreachable"]
    found += ["site/paused"] if status.paused else []
    found += ["site/halted"] if status.halted else []
    found += ["site/earlier-ledger"] if status.earlier_ledger is not None else []
    if status.data is not None and not status.data.ok:
        found.append(status.data.code or "site/data")
    return found


@contextmanager
def watched(folder: Path, address: tuple[str, int]) -> Iterator[tuple[str, int]]:
    """Answer on an address for as long as the context lasts.

    Args:
        folder: The site's folder.
        address: Host and port; port 0 takes a free one.

    Yields:
        The address that is answered on.

    Raises:
        InvalidInput: The address cannot be listened on.
    """
    metrics = SiteMetrics(folder)
    health = Health(
        reasons=lambda: reasons(folder, connected=metrics.connected), registry=metrics.registry
    )
    agent = logging.getLogger(_AGENT_LOG)
    with serve_health(health, address) as listening:
        agent.addHandler(metrics)
        try:
            yield listening
        finally:
            agent.removeHandler(metrics)
