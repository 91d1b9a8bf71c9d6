"""`recommons audit`. Only typer is imported here: heavy things wait inside the functions."""

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated

import click
import typer
from typer.core import TyperGroup

__all__ = ["audit"]

_DEFAULT = "ledgers"
_GROUP = "recommons.commands.audit"


class _WithDefault(TyperGroup):
    """A group that audits ledgers unless its first word names another sub-command.

    The others register as entry points, because `common` imports no other room.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default's name before arguments that name no sub-command."""
        named = args[:1] and args[0] in self.list_commands(ctx)
        return super().parse_args(ctx, args if named else [_DEFAULT, *args])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The default goes by the group's own name."""
        name, command, rest = super().resolve_command(ctx, args)
        return ("" if name == _DEFAULT else name), command, rest

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The default, and what other rooms add."""
        return sorted({*super().list_commands(ctx), *_points()})

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """A sub-command, imported when it is asked for."""
        if name not in self.commands and name in _points():
            from recommons.common.commandline import load_command

            self.commands[name] = load_command(_points()[name])
        return super().get_command(ctx, name)


def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=_GROUP)}


audit = typer.Typer(
    cls=_WithDefault, help="Verify ledgers: what was released about whom, and at which epsilon."
)


@audit.command(_DEFAULT, hidden=True)
def audit_ledgers(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH…",
            help="Ledgers, receipts, and folders that hold them, e.g. a run's output.",
        ),
    ],
    trust: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A federation.json, signed roster or roster that was compared out of band.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the report as one page, for people and paper."),
    ] = None,
    every_signature: Annotated[
        bool | None,
        typer.Option(
            "--every-signature/--last-signatures",
            show_default="every one, up to 20,000 lines",
            help="Verify each line's signature, or each ledger's last, which covers the rest.",
        ),
    ] = None,
    cross_check: Annotated[
        bool | None,
        typer.Option(
            "--cross-check/--no-cross-check",
            show_default="with --html",
            help="Show what other accountants say of the same releases, too; takes seconds.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> int:
    """Verify ledgers: what was released about whom, and at which epsilon.

    Trusts nobody but the federation's key: signatures, chains, certificates and policies are
    checked again, and every epsilon is recomputed from the raw events. Exit status: 0 passed,
    1 violation, 2 unverifiable because something needed is missing.

    `recommons audit empirical --help` is another kind of audit: of the code, by experiment.

    Example:
        recommons audit runs/001
        recommons audit exported/ --trust federation.json --html report.html
        recommons audit plum.ledger.jsonl coordinator.ledger.jsonl --json
    """
    from recommons.common.audit.command import run_audit

    return run_audit(
        paths,
        trust=trust,
        html=html,
        as_json=as_json,
        each_line=every_signature,
        cross_check=cross_check,
    )
