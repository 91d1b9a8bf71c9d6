"""A small HTTP server around the pages of `common.health`, for a host's supervisors and scrapers.

Only GET, only those paths, no body is read. There is no login: listen on loopback, or where only
the scraper comes. It runs inside the process that is watched and takes little of it: a few callers
at once, one page at a time, and a fault of a page ends with that page.
"""

import logging
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from recommons.common.errors import InvalidInput, RecommonsError
from recommons.common.health import Health, HealthAnswer, unready

__all__ = ["serve_health"]

_LOG = logging.getLogger(__name__)

_SECONDS = 10.0  # for one read or write

_MOST_CALLERS = 8
"""At once; each takes a thread. One more is hung up on."""


@contextmanager
def serve_health(health: Health, address: tuple[str, int]) -> Iterator[tuple[str, int]]:
    """Answer on an address for as long as the context lasts.

    Args:
        health: The pages.
        address: Host, of IPv4 or IPv6, and port; port 0 takes a free one.

    Yields:
        The address that is answered on.

    Raises:
        InvalidInput: The address cannot be listened on.
    """
    try:
        server = _Server(address, health)
    except OSError as error:
        raise InvalidInput(
            "input/argument", f"health is {address[0]}:{address[1]}: {error.strerror}"
        ) from error
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    try:
        host, port = server.server_address[:2]
        yield str(host), int(port)
    finally:
        server.shutdown()
        server.server_close()


# Not HTTPServer, which asks the name service for the host's name when it begins to listen.
class _Server(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 16

    def __init__(self, address: tuple[str, int], health: Health) -> None:
        self._health = health
        self._places = threading.BoundedSemaphore(_MOST_CALLERS)
        self._answering = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Answer)

    def answer(self, path: str) -> HealthAnswer:
        """One at a time; 503 where what the page shows cannot be found out."""
        try:
            with self._answering:
                return self._health.answer(path)
        except RecommonsError as error:
            return unready([error.code])
        except Exception as error:  # noqa: BLE001 - whatever it is, the process goes on
            _log_fault(error)
            return unready(["command/fault"])

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """In a thread of its own, while there are places."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Gives the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """A peer that went away, or takes nothing, is no event."""
        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError | TimeoutError):
            _log_fault(error)


def _log_fault(error: BaseException) -> None:
    """By its type alone: what it says may hold anything."""
    told = {"fields": {"code": "command/fault"}}
    _LOG.warning("health page failed: %s", type(error).__name__, extra=told)


class _Answer(BaseHTTPRequestHandler):
    timeout = _SECONDS
    server: _Server

    def version_string(self) -> str:
        """Nothing about the software to whoever asks."""
        return "recommons"

    def do_GET(self) -> None:
        """One of the pages."""
        answer = self.server.answer(self.path)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *_arguments: object) -> None:
        """Scrapes are no events."""
