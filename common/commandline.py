"""The one command, `recommons`: finds the rooms' sub-commands and speaks for their errors.

Each room registers its sub-commands as entry points of the group ``recommons.commands``; the value
names a function or a Typer app in the room's ``commands`` module. That module imports only typer
at its top and everything heavy inside its functions, so that ``recommons --help`` can read every
command's first line within half a second. A command returns None, or its exit status.

A docstring that ends with an ``Example:`` section shows it at the foot of the command's help.

===================================  ===========  ===================================
how a command ends                   exit status  what is printed
===================================  ===========  ===================================
it returns                           0, or its    its own output
                                     own status
`InvalidInput`, a wrong option       2            message, code and remedy on stderr
another `RecommonsError`             1            message, code and remedy on stderr
a fault of ours, a full disk, …      1            its kind and place on stderr
a question answered with no          1            one line on stderr
Ctrl-C                               130          one line on stderr
===================================  ===========  ===================================

With ``--json`` an error is one JSON object on standard output instead:
``{"error": {"code": …, "message": …, "remedy": …}}``. ``RECOMMONS_DEBUG=1`` lets the traceback
through.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, cast

import click
import typer
from typer.main import get_command, get_group

from recommons.common.errors import InvalidInput, RecommonsError
from recommons.common.helppage import set_help

__all__ = ["COMMAND_GROUP", "CommandTable", "load_command", "main", "run_alone"]

COMMAND_GROUP = "recommons.commands"


class CommandTable(MutableMapping[str, click.Command]):
    """Sub-commands by name, each imported when it is first asked for.

    Args:
        points: The entry points; of two with one name the first counts.
    """

    def __init__(self, points: Sequence[EntryPoint]) -> None:
        self._points = {point.name: point for point in reversed(points)}
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            self._loaded[name] = load_command(self._points[name])
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        self._points.pop(name, None)
        self._loaded.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._points.keys() | self._loaded.keys()))

    def __len__(self) -> int:
        return len(self._points.keys() | self._loaded.keys())

    def __contains__(self, name: object) -> bool:
        return name in self._points or name in self._loaded


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `recommons` and return its exit status.

    Args:
        arguments: The words after the program's name; by default those of this process.
    """
    return _run(_root, "recommons", arguments)


def run_alone(command: Callable[..., object], program: str) -> int:
    """Run one function as a program of its own, its faults told as those of `recommons`.

    Args:
        command: Takes its options as typer does.
        program: Its name in usage lines.
    """

    def build() -> click.Command:
        single = typer.Typer(add_completion=False)
        single.command()(command)
        return get_command(single)

    return _run(build, program, None)


def _run(build: Callable[[], click.Command], program: str, arguments: Sequence[str] | None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    try:
        status = build().main(args=words, prog_name=program, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        return _say_usage(error, as_json)
    except click.Abort:
        typer.echo("Aborted.", err=True)
        return 1
    except KeyboardInterrupt:  # while commands were looked up; later, typer returns 130
        status = 130
    except RecommonsError as error:
        return _say_named(error, as_json)
    except Exception as error:  # noqa: BLE001 - the last place where a fault can be told plainly
        return _say_fault(error, as_json)
    if status == 130:
        typer.echo("Interrupted.", err=True)
    return status if isinstance(status, int) else 0


def _root() -> click.Group:
    app = typer.Typer(
        name="recommons", callback=_recommons, no_args_is_help=True, suggest_commands=False
    )
    group = cast(click.Group, get_command(app))  # a group, as it has a callback
    set_help(group)
    group.commands = CommandTable(tuple(entry_points(group=COMMAND_GROUP)))
    return group


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"recommons {version('recommons')}")
        raise typer.Exit


def _recommons(
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Train one recommender across organisations that may not pool their users' behaviour.

    Example:
        recommons simulate
    """


def load_command(point: EntryPoint) -> click.Command:
    """Import a sub-command; one that cannot be imported says why when it is called."""
    try:
        target = point.load()
    except (ImportError, AttributeError) as error:
        return _unavailable(point.name, error)
    if isinstance(target, typer.Typer):
        command: click.Command = get_group(target)
    else:
        single = typer.Typer(add_completion=False)
        single.command()(target)
        command = get_command(single)
    command.name = point.name
    set_help(command)
    return command


def _unavailable(name: str, error: Exception) -> click.Command:
    """A command in place of one that cannot be imported, so that the others still work."""
    reason = str(error)

    def refuse() -> None:
        raise RecommonsError(
            "command/unavailable", f"the command {name!r} cannot be imported: {reason}"
        ) from error

    return click.Command(
        name,
        callback=refuse,
        help=f"Not available here: {reason}",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )


def _debugging() -> bool:
    return os.environ.get("RECOMMONS_DEBUG", "") not in {"", "0"}


def _say_named(error: RecommonsError, as_json: bool) -> int:
    if _debugging():
        traceback.print_exception(error)
    _say(error.code, error.message, error.remedy, as_json)
    return 2 if isinstance(error, InvalidInput) else 1


def _say_usage(error: click.ClickException, as_json: bool) -> int:
    """A wrong option or argument, told as any other error, after the command's usage."""
    context = getattr(error, "ctx", None)
    if isinstance(context, click.Context) and not as_json:
        typer.echo(context.get_usage(), err=True)
    return _say_named(InvalidInput("command/usage", error.format_message()), as_json)


def _say_fault(error: Exception, as_json: bool) -> int:
    """A fault that has no name. Its text may hold data, so only its kind and place are told."""
    if _debugging():
        traceback.print_exception(error)
    code, message = "command/fault", f"{type(error).__name__} {_place(error)}"
    if isinstance(error, OSError) and error.strerror:
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        code, message = "command/system", ": ".join([error.strerror, *names])
    elif isinstance(error, MemoryError):
        code, message = "command/system", "there is not enough memory"
    named = RecommonsError(code, message)
    _say(named.code, named.message, named.remedy, as_json)
    return 1


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"at {frames[-1].filename}:{frames[-1].lineno}" if frames else "at an unknown place"


def _say(code: str, message: str, remedy: str, as_json: bool) -> None:
    if as_json:
        error = {"code": code, "message": message, "remedy": remedy}
        typer.echo(json.dumps({"error": error}, ensure_ascii=False))
        return
    typer.secho("error: ", err=True, fg="red", bold=True, nl=False)
    typer.echo(message, err=True)
    for name, text in (("code", code), ("remedy", remedy)):
        typer.secho(f"{name}: ", err=True, bold=True, nl=False)
        typer.echo(text, err=True)


if __name__ == "__main__":
    sys.exit(main())
