"""`recommons coordinator console`: the console as a process."""

import secrets
import socket
import time
from pathlib import Path

import typer
import uvicorn

from recommons.common.console.application import Access
from recommons.common.console.listening import PASSWORD_FILE, Listening, greeting, open_password
from recommons.common.console.sessions import LoginLimit, Sessions
from recommons.common.errors import InvalidInput
from recommons.server.console.application import coordinator_console
from recommons.server.console.connections import Connections
from recommons.server.console.reading import CoordinatorReader

__all__ = ["start_console"]


def start_console(home: Path, listening: Listening, *, new_password: bool) -> None:
    """Serve the console until SIGTERM or Ctrl-C.

    Args:
        home: The coordinator's home.
        listening: Where to listen.
        new_password: Draw another password first.

    Raises:
        InvalidInput: ``console/folder``, ``console/password`` or ``console/port``.
    """
    reader = CoordinatorReader(home)
    reader.check()
    record, password = open_password(
        home / PASSWORD_FILE, renew=new_password, draw=secrets.token_bytes
    )
    access = Access(
        record=record,
        sessions=Sessions(secrets.token_bytes, time.monotonic),
        limit=LoginLimit(time.monotonic),
        cookie=f"recommons-coordinator-{listening.port}",
        secure=listening.secure,
    )
    connections = Connections(lambda: _connected(home))
    app = coordinator_console(reader, connections, access, names=listening.names)
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


def _connected(home: Path) -> frozenset[str] | None:
    from recommons.server.control import connected  # it imports Flower, which takes seconds
    from recommons.server.home import CoordinatorHome

    try:
        return connected(CoordinatorHome.open(home))
    except InvalidInput:  # a simulation's folder has no SuperLink
        return None
