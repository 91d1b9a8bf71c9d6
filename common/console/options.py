"""The options that both roles' `console` commands have. Only typer is imported."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Certificate", "Key", "Listen", "Names", "NewPassword"]

Listen = Annotated[
    str,
    typer.Option(
        "--listen", metavar="ADDRESS", help="Address to listen on; beyond loopback only with TLS."
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name", metavar="HOST", help="A name that browsers reach it by, besides localhost."
    ),
]
Certificate = Annotated[
    Path | None,
    typer.Option("--tls-certificate", metavar="PEM", help="Certificate with its chain."),
]
Key = Annotated[Path | None, typer.Option("--tls-key", metavar="PEM", help="The key to it.")]
NewPassword = Annotated[
    bool, typer.Option("--new-password", help="Draw another password and print it once.")
]
