"""The help pages of `recommons`: plain, narrow, quick to print, each ending with an example.

typer's own pages draw boxes with rich, whose import alone takes longer than everything else
`recommons --help` does. These need click only.

An option's ``rich_help_panel`` names the section it is listed in. The ``Example:`` section at the
end of a docstring becomes the end of the page, its lines kept as they are.
"""

import inspect
import os
from collections.abc import Iterable

import click

__all__ = ["PageContext", "help_page", "set_help"]

_EXAMPLE = "Example:"
_WIDTH = 100

_Rows = list[tuple[str, str]]


class PageContext(click.Context):
    """A context whose help is `help_page`."""

    def get_help(self) -> str:
        """The page shown by ``--help``."""
        return help_page(self)


def set_help(command: click.Command) -> None:
    """Give a command, and every command already in it, these help pages and ``-h``."""
    command.context_class = PageContext
    command.context_settings = {"help_option_names": ["-h", "--help"], **command.context_settings}
    text, found, example = inspect.cleandoc(command.help or "").partition(f"\n{_EXAMPLE}\n")
    if found:
        command.help, command.epilog = text.strip(), inspect.cleandoc(example)
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            set_help(inner)


def help_page(context: click.Context) -> str:
    """The page: what the command does, its usage, arguments, options, commands, an example."""
    command = context.command
    formatter = click.HelpFormatter(max_width=_WIDTH)
    formatter.write_text(command.help or "")
    formatter.write_paragraph()
    usage = " ".join(command.collect_usage_pieces(context))
    formatter.write_usage(context.command_path, usage, prefix=_bold("Usage: "))
    for heading, rows in _sections(context):
        formatter.write_paragraph()
        formatter.write(_bold(f"{heading}:") + "\n")
        formatter.indent()
        formatter.write_dl(rows, col_max=32)
        formatter.dedent()
    if command.epilog:
        formatter.write_paragraph()
        formatter.write(_bold(_EXAMPLE) + "\n")
        formatter.write("".join(f"  {line}\n" for line in command.epilog.splitlines()))
    return formatter.getvalue().rstrip("\n")


def _sections(context: click.Context) -> Iterable[tuple[str, _Rows]]:
    """Arguments, then options by section in the order of their definition, then commands."""
    arguments: _Rows = []
    options: dict[str, _Rows] = {}
    for parameter in context.command.get_params(context):
        if getattr(parameter, "hidden", False):
            continue
        section = getattr(parameter, "rich_help_panel", None) or "Options"
        if isinstance(parameter, click.Option):
            options.setdefault(section, []).append(_option_row(parameter, context))
        else:
            name = parameter.make_metavar(context)
            arguments.append((_cyan(name), getattr(parameter, "help", None) or ""))
    plain = options.pop("Options", [])
    sections = [("Arguments", arguments), *options.items(), ("Options", plain)]
    sections.append(("Commands", _command_rows(context)))
    return [(heading, rows) for heading, rows in sections if rows]


def _option_row(option: click.Option, context: click.Context) -> tuple[str, str]:
    # click's own record: typer's would import rich to escape the default value.
    record = click.Option.get_help_record(option, context)
    names, text = record or ("", "")
    return _cyan(names), text


def _command_rows(context: click.Context) -> _Rows:
    group = context.command
    if not isinstance(group, click.Group):
        return []
    commands = [(name, group.get_command(context, name)) for name in group.list_commands(context)]
    return [
        (_cyan(name), command.get_short_help_str(limit=_WIDTH))
        for name, command in commands
        if command is not None and not command.hidden
    ]


def _bold(text: str) -> str:
    return _styled(text, bold=True)


def _cyan(text: str) -> str:
    return _styled(text, fg="cyan")


def _styled(text: str, *, bold: bool | None = None, fg: str | None = None) -> str:
    """Colours; `click.echo` strips them where the output is no terminal."""
    return text if os.environ.get("NO_COLOR") else click.style(text, bold=bold, fg=fg)
