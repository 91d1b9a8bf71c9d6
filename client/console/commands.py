"""`recommons site console`. Only typer is imported at the top."""

from pathlib import Path
from typing import Annotated

import typer

from recommons.common.console.options import Certificate, Key, Listen, Names, NewPassword

__all__ = ["console"]


def console(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The site's folder.")],
    listen: Listen = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8502,
    name: Names = None,
    tls_certificate: Certificate = None,
    tls_key: Key = None,
    new_password: NewPassword = False,
) -> None:
    """Serve a web page that shows what the site takes part in and every message that left it.

    It reads, and can pause the site. Whoever opens it logs in with the password that is printed at
    the first start.

    Example:
        recommons site console sites/plum
    """
    from recommons.client.console.start import start_console
    from recommons.common.console.listening import Listening

    listening = Listening(
        host=listen, port=port, names=tuple(name or ()), certificate=tls_certificate, key=tls_key
    )
    start_console(folder, listening, new_password=new_password)
