"""Taking up a renewed server certificate without a restart."""

import asyncio
import logging
import ssl
from contextlib import suppress
from pathlib import Path

import uvicorn

__all__ = ["serve_renewed"]

_LOOK_SECONDS = 5.0
_log = logging.getLogger(__name__)


async def serve_renewed(server: uvicorn.Server, tls: ssl.SSLContext, certificate: Path) -> None:
    """Serve until a signal; connections made after a renewal see the new certificate.

    Args:
        server: Not started yet.
        tls: The context it serves with, which was given `certificate`.
        certificate: Certificate and key in one file, PEM, which is replaced as a whole.
    """
    watching = asyncio.create_task(_watch(tls, certificate))
    try:
        await server.serve()
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _watch(tls: ssl.SSLContext, certificate: Path) -> None:
    # In the loop that makes the connections, so that none is made while the context changes.
    seen = certificate.stat().st_ino
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            present = certificate.stat().st_ino
            if present == seen:
                continue
            tls.load_cert_chain(certificate)
            seen = present
            _log.info("took up a renewed certificate")
        except (OSError, ssl.SSLError) as error:
            _log.error("the renewed certificate cannot be used: %s", type(error).__name__)
