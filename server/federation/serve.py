"""Serving the enrolment desk, and keeping the home's files in step with the book meanwhile."""

import logging
import ssl
import threading
from datetime import UTC, datetime

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from recommons.common.errors import RecommonsError
from recommons.server.federation.book import Book
from recommons.server.federation.desk import Bounds, desk_application
from recommons.server.federation.publishing import publish
from recommons.server.federation.reception import Reception
from recommons.server.records.home import CoordinatorHome

__all__ = ["Housekeeping", "desk_server", "desk_tls"]

_EVERY_SECONDS = 2.0
_log = logging.getLogger(__name__)


def desk_tls(home: CoordinatorHome) -> ssl.SSLContext:
    """TLS 1.3 with the gateway's certificate; clients show none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(home.folder / "gateway.pem")
    return context


def desk_server(
    home: CoordinatorHome, book: Book, tls: ssl.SSLContext, bounds: Bounds | None = None
) -> uvicorn.Server:
    """A server that has not started yet."""
    bounds = bounds or Bounds()
    authority = (home.folder / "authority.pem").read_bytes()
    config = uvicorn.Config(
        desk_application(Reception(home, book), authority, bounds),
        host=home.settings.listen,
        port=home.settings.enrolment_port,
        ws="none",
        lifespan="off",
        ssl_context_factory=lambda _config, _default: tls,
        limit_concurrency=bounds.connections,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=3,
        server_header=False,
        date_header=False,
        access_log=False,
        proxy_headers=False,
        log_config=None,
    )
    return uvicorn.Server(config)


class Housekeeping:
    """A thread that publishes the book and renews the server's certificate in time.

    Args:
        home: The home.
        book: Its book.
    """

    def __init__(self, home: CoordinatorHome, book: Book) -> None:
        self._home, self._book = home, book
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, within a few seconds."""
        self._stop.set()
        self._thread.join(timeout=20)

    def _keep(self) -> None:
        while True:
            try:
                self.once()
            except (RecommonsError, OSError, SQLAlchemyError) as error:
                code = error.code if isinstance(error, RecommonsError) else "command/system"
                _log.warning("%s: %s", code, type(error).__name__)
            if self._stop.wait(_EVERY_SECONDS):
                return

    def once(self) -> None:
        """One round of it.

        Raises:
            RecommonsError: A file of the home is not as it must be.
            OSError, SQLAlchemyError: The disk is full, or not there; the book is in use.
        """
        publish(self._home, self._book)
        if self._home.renew_gateway(now=datetime.now(UTC)):
            _log.info("renewed the certificate of gateway and enrolment desk")
