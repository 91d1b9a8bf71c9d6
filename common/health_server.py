"""A small HTTP server around the pages of `common.health`, for a host's supervisors and scrapers.

Only GET, only those paths, no body is read. There is no login: listen on loopback, or where only
the scraper comes.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from recommons.common.errors import InvalidInput
from recommons.common.health import Health

__all__ = ["serve_health"]

_SECONDS = 10.0  # for one request


@contextmanager
def serve_health(health: Health, address: tuple[str, int]) -> Iterator[tuple[str, int]]:
    """Answer on an address for as long as the context lasts.

    Args:
        health: The pages.
        address: Host and port; port 0 takes a free one.

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
