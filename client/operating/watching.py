"""Health endpoints and metrics over HTTP, for this machine's own supervisors and scrapers.

| path | answers |
|---|---|
| `/livez` | 200 as long as the process answers |
| `/readyz` | 200 where the site can take part; 503 with the reasons, as JSON, where it cannot |
| `/metrics` | Prometheus text |

Only GET, only these paths, no body is read. Nothing here is about users. There is no login:
listen on loopback, or where only the scraper comes.
"""

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from recommons.client.operating.metrics import SiteMetrics
from recommons.client.operating.status import read_status
from recommons.common.errors import InvalidInput, RecommonsError

__all__ = ["parse_address", "watched"]

_AGENT_LOG = "recommons.client.agent"
_SECONDS = 10.0  # for one request


def parse_address(text: str) -> tuple[str, int]:
    """``PORT`` on loopback, or ``HOST:PORT``.

    Raises:
        InvalidInput: It is neither.
    """
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise InvalidInput("input/argument", f"health is {text!r}; required: PORT or HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)


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
    try:
        server = _Server(address, folder, metrics)
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

    def __init__(self, address: tuple[str, int], folder: Path, metrics: SiteMetrics) -> None:
        self.folder, self.metrics = folder, metrics
        super().__init__(address, _Answer)


class _Answer(BaseHTTPRequestHandler):
    timeout = _SECONDS
    server: _Server

    def version_string(self) -> str:
        """Nothing about the software to whoever asks."""
        return "recommons"

    def do_GET(self) -> None:
        """One of the three paths."""
        if self.path == "/livez":
            self._send(HTTPStatus.OK, "application/json", b'{"alive": true}\n')
        elif self.path == "/readyz":
            found = reasons(self.server.folder, connected=self.server.metrics.connected)
            status = HTTPStatus.SERVICE_UNAVAILABLE if found else HTTPStatus.OK
            document = {"ready": not found, "reasons": found}
            self._send(status, "application/json", json.dumps(document).encode() + b"\n")
        elif self.path == "/metrics":
            text = generate_latest(self.server.metrics.registry)
            self._send(HTTPStatus.OK, CONTENT_TYPE_LATEST, text)
        else:
            self._send(HTTPStatus.NOT_FOUND, "application/json", b'{"error": "no such path"}\n')

    def log_message(self, format: str, *_arguments: object) -> None:
        """Scrapes are no events."""

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)
