"""Options that commands of several rooms have. Only typer is imported."""

from typing import Annotated

import typer

__all__ = ["Json", "JsonUnasked"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JsonUnasked = Annotated[bool, typer.Option("--json", help="Print JSON; does not ask.")]
