"""`recommons site console`: the console as a process."""

import time
from pathlib import Path

from recommons.client.console.application import site_console
from recommons.client.console.reading import SiteReader
from recommons.common.console.listening import Listening
from recommons.common.console.serving import serve_console

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
    serve_console(
        folder,
        listening,
        role="site",
        new_password=new_password,
        build=lambda access: site_console(reader, access, names=listening.names),
    )
