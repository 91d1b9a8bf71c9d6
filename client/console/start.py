"""`recommons site console`: the console as a process."""

import secrets
import socket
import time
from pathlib import Path

import typer
import uvicorn

from recommons.client.console.application import site_console
from recommons.client.console.reading import SiteReader
from recommons.common.console.application import Access
from recommons.common.console.listening import PASSWORD_FILE, Listening, greeting, open_password
from recommons.common.console.sessions import LoginLimit, Sessions
from recommons.common.errors import InvalidInput

__all__ = ["start_console"]


def start_console(folder: Path, listening: Listening, *, new_password: bool) -> None:
    """Serve the console until SIGTERM or Ctrl-C.

    Args:
        folder: The site's folder.
        listening: Where to listen.
        new_password: Draw another password first.

    Raises:
        InvalidInput: ``site/folder``, ``console/password`` or ``console/port``.
    """
    reader = SiteReader(folder, time.time)
    reader.site_id()  # a folder that is not a site's gets no password
    record, password = open_password(
        folder / PASSWORD_FILE, renew=new_password, draw=secrets.token_bytes
    )
    access = Access(
        record=record,
        sessions=Sessions(secrets.token_bytes, time.monotonic),
        limit=LoginLimit(time.monotonic),
        cookie=f"recommons-site-{listening.port}",
        secure=listening.secure,
    )
    app = site_console(reader, access, names=listening.names)
    family = socket.AF_INET6 if ":" in listening.host else socket.AF_INET
    try:
        listener = socket.create_server((listening.host, listening.port), family=family)
    except OSError as error:
        raise InvalidInput(
            "console/port", f"cannot listen on {listening.host}:{listening.port}: {error.strerror}"
        ) from error
    typer.echo(greeting(listening, password))
    with listener:
        uvicorn.Server(uvicorn.Config(app, **listening.server_settings())).run(sockets=[listener])
