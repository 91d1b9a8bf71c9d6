"""``python -m recommons.simulations.attacks [--json]``: every attack and how it ends.

Ends with 1 if any attack did not end as it must.
"""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from rich.console import Console
from rich.table import Column, Table

from recommons.simulations.attacks import Trial, run_all

__all__ = ["main"]


def _table(trials: Sequence[Trial]) -> Table:
    names = ("attack", "the attacker …", "is stopped by", "ends in", "")
    table = Table(*(Column(name, overflow="fold") for name in names))
    for trial in trials:
        verdict = "[green]held[/]" if trial.held else "[bold red]BROKEN[/]"
        if trial.held and trial.code is None:
            verdict = "[yellow]not preventable[/]"
        ended = trial.code or "no refusal"
        if trial.note:
            ended = f"{ended}\n[dim]{trial.note}[/]"
        attack = trial.attack
        table.add_row(attack.name, attack.does, attack.rule, ended, verdict)
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every attack and print the table, or JSON."""
    parser = ArgumentParser(prog="python -m recommons.simulations.attacks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    trials = run_all()
    broken = sum(not trial.held for trial in trials)
    if options.json:
        document = {"held": not broken, "attacks": [trial.to_json() for trial in trials]}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        console = Console()
        console.print(_table(trials))
        console.print(f"{len(trials)} attacks, {len(trials) - broken} ended as they must")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
