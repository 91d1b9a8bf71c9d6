"""Health endpoints and metrics over HTTP, for this machine's own supervisors and scrapers.

Only GET, only the paths of `common.health`, no body is read. Nothing here is about users. There is
no login: listen on loopback, or where only the scraper comes.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from recommons.client.operating.metrics import SiteMetrics
from recommons.client.operating.status import read_status
from recommons.common.errors import InvalidInput, RecommonsError
from recommons.common.health import Health, parse_address

__all__ = ["parse_address", "watched"]

_AGENT_LOG = "recommons.client.agent"
_SECONDS = 10.0  # for one request


def reasons(folder: Path, *, connected: bool) -> list[str]:
    """Why a site cannot take part just now, by named codes; empty where it can."""
    try:
        status = read_status(folder)
    except RecommonsError as error:
        return [error.code]
    found = [] if connected else ["agent/unreachable"]
    found += ["site/paused"] if status.paused else []
    found += ["site/halted"] if status.halted else []
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
    try:
        server = _Server(address, health)
    except OSError as error:
        raise InvalidInput(
            "input/argument", f"health is {address[0]}:{address[1]}: {error.strerror}"
        ) from error
    agent = logging.getLogger(_AGENT_LOG)
    agent.addHandler(metrics)
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        host, port = server.server_address[:2]
        yield str(host), int(port)
    finally:
        agent.removeHandler(metrics)
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 16

    def __init__(self, address: tuple[str, int], health: Health) -> None:
        self.health = health
        super().__init__(address, _Answer)


class _Answer(BaseHTTPRequestHandler):
    timeout = _SECONDS
    server: _Server

    def version_string(self) -> str:
        """Nothing about the software to whoever asks."""
        return "recommons"

    def do_GET(self) -> None:
        """One of the pages."""
        answer = self.server.health.answer(self.path)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *_arguments: object) -> None:
        """Scrapes are no events."""
