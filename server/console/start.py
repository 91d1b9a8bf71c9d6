"""`recommons coordinator console`: the console as a process."""

from pathlib import Path

from recommons.common.console.listening import Listening
from recommons.common.console.serving import serve_console
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
    connections = Connections(lambda: _connected(home))
    serve_console(
        home,
        listening,
        role="coordinator",
        new_password=new_password,
        build=lambda access: coordinator_console(
            reader, connections, access, names=listening.names
        ),
    )


def _connected(home: Path) -> frozenset[str] | None:
    from recommons.server.operating.control import (
        connected,  # it imports Flower, which takes seconds
    )
    from recommons.server.records.home import CoordinatorHome

    try:
        return connected(CoordinatorHome.open(home))
    except InvalidInput:  # a simulation's folder has no SuperLink
        return None
