"""Health endpoints and metrics of a coordinator over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager

from recommons.common.health import Health
from recommons.common.health_server import serve_health
from recommons.server.console.connections import Connections
from recommons.server.operating.control import connected
from recommons.server.operating.metrics import coordinator_registry, reasons
from recommons.server.records.home import CoordinatorHome

__all__ = ["watched"]


@contextmanager
def watched(home: CoordinatorHome, address: tuple[str, int]) -> Iterator[tuple[str, int]]:
    """Answer on an address for as long as the context lasts.

    Args:
        home: The coordinator's home.
        address: Host and port; port 0 takes a free one.

    Yields:
        The address that is answered on.

    Raises:
        InvalidInput: The address cannot be listened on.
    """
    # Asked of the SuperLink in the background, so that no scraper waits for it.
    connections = Connections(lambda: connected(home))
    online = connections.known
    health = Health(
        reasons=lambda: reasons(home, online), registry=coordinator_registry(home, online)
    )
    with connections.followed(), serve_health(health, address) as listening:
        yield listening
