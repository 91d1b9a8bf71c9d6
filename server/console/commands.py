"""`recommons coordinator console`. Only typer is imported at the top."""

from pathlib import Path
from typing import Annotated

import typer

from recommons.common.console.options import Certificate, Key, Listen, Names, NewPassword

__all__ = ["console"]


def console(
    home: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            envvar="RECOMMONS_HOME",
            help="The coordinator's home, or a simulation's coordinator folder.",
        ),
    ] = Path(),
    listen: Listen = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8501,
    name: Names = None,
    tls_certificate: Certificate = None,
    tls_key: Key = None,
    new_password: NewPassword = False,
) -> None:
    """Serve a web page on which rounds, sites, bytes and privacy spent can be watched.

    It only reads. Whoever opens it logs in with the password that is printed at the first start.

    Example:
        recommons coordinator console federation
    """
    from recommons.common.console.listening import Listening
    from recommons.server.console.start import start_console

    listening = Listening(
        host=listen, port=port, names=tuple(name or ()), certificate=tls_certificate, key=tls_key
    )
    start_console(home, listening, new_password=new_password)
