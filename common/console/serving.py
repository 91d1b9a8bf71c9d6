"""A console as a process: its password, its socket, its server."""

import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path

import typer
import uvicorn

from recommons.common.console.application import Access
from recommons.common.console.guard import Guard
from recommons.common.console.listening import PASSWORD_FILE, Listening, greeting, open_password
from recommons.common.console.sessions import LoginLimit, Sessions
from recommons.common.errors import InvalidInput

__all__ = ["serve_console"]


def serve_console(
    folder: Path,
    listening: Listening,
    *,
    role: str,
    new_password: bool,
    build: Callable[[Access], Guard],
) -> None:
    """Serve a console until SIGTERM or Ctrl-C.

    Args:
        folder: The role's folder, where the password's hash is kept.
        listening: Where to listen.
        role: ``site`` or ``coordinator``, in the cookie's name: both may run on one machine.
        new_password: Draw another password first.
        build: The console, given who may enter.

    Raises:
        InvalidInput: ``console/password`` or ``console/port``.
    """
    record, password = open_password(
        folder / PASSWORD_FILE, renew=new_password, draw=secrets.token_bytes
    )
    access = Access(
        record=record,
        sessions=Sessions(secrets.token_bytes, time.monotonic),
        limit=LoginLimit(time.monotonic),
        cookie=f"recommons-{role}-{listening.port}",
        secure=listening.secure,
    )
    app = build(access)
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
