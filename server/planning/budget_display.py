"""`recommons budget plan`: a plan file in, what it will cost out; no data, no site, no key."""

import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recommons.common.errors import InvalidInput
from recommons.common.privacy.accounting import SAMPLING_ASSUMPTION
from recommons.common.privacy.events import NEIGHBOURS, UNIT
from recommons.common.units import byte_size, epsilon_text, small_text
from recommons.server.planning.budget import Budget, Change, Readings, plan_budget
from recommons.server.planning.budget_picture import budget_picture, epsilon_words, what_changes
from recommons.server.planning.plan_file import read_plan_file

__all__ = ["budget_document", "show_budget"]

_WIDTH = 88


def show_budget(plan: Path, *, picture: Path | None, as_json: bool) -> None:
    """Run the command.

    Args:
        plan: The plan file.
        picture: Where the picture goes, or None for no picture.
        as_json: Print the figures as JSON instead of tables.

    Raises:
        InvalidInput: The plan file or the picture's name is not admissible.
        PrivacyError: No noise grants what the plan file asks for.
    """
    if picture is not None and picture.suffix != ".svg":
        raise InvalidInput(
            "budget/picture", f"--picture is {str(picture)!r}; required: a .svg file"
        )
    budget = plan_budget(read_plan_file(plan))
    if picture is not None:
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_text(budget_picture(budget), encoding="utf-8")
    if as_json:
        text = json.dumps(budget_document(budget), ensure_ascii=False, indent=2, allow_nan=False)
        sys.stdout.write(text + "\n")
        return
    print_budget(budget, Console(), picture)


def budget_document(budget: Budget) -> dict[str, Any]:
    """Every figure, unrounded, as JSON; null where there is no guarantee."""
    wish = budget.run.wish
    document: dict[str, Any] = _finite(
        {
            "model": budget.run.model.name,
            "settings": dict(budget.run.model.settings()),
            "items": len(budget.run.catalogue),
            "declared_users": dict(budget.run.declared_users),
            "unit": UNIT,
            "neighbours": NEIGHBOURS,
            "target_epsilon": wish.epsilon,
            "delta": wish.delta,
            "colluding": wish.colluding,
            "min_survivors": wish.min_survivors,
            "least_survivors": budget.least_survivors,
            "spare_attempts": wish.spare_attempts,
            "max_sites_per_person": wish.max_sites_per_person,
            "ring_bits": [spec.ring_bits for spec in budget.specs],
            "upload_bytes": budget.upload_bytes,
            "accountant": budget.accountant,
            "noise_price": budget.noise_price if math.isfinite(wish.epsilon) else None,
            "releases": [
                {**asdict(release), "round": release.round + 1} for release in budget.releases
            ],
            "released": asdict(budget.released),
            "reserved": asdict(budget.reserved),
            "changes": [asdict(change) for change in budget.changes],
        }
    )
    return document


def _finite(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def print_budget(budget: Budget, console: Console, picture: Path | None) -> None:
    """The tables and what they mean."""
    console.print()
    console.print(_releases(budget))
    console.print()
    for name, text in _sentences(budget):
        _paragraph(console, name, text)
    if budget.changes:
        console.print(_changes(budget))
        console.print()
        _paragraph(console, "Read", _how_to_read(budget))
    if picture is not None:
        console.print(Text("Picture: ").append(str(picture), style="cyan"), soft_wrap=True)


def _releases(budget: Budget) -> Table:
    run = budget.run
    users = sum(run.declared_users.values())
    table = _table(
        f"{run.model.name} on {len(run.catalogue):,} items: {users:,} declared users at "
        f"{len(run.declared_users)} sites",
        "release",
        "noise",
        "ε alone",
        "ε so far",
        "all honest",
        "own share",
    )
    for release in budget.releases:
        table.add_row(
            f"round {release.round + 1}, {release.block}",
            f"{release.noise:.3g}",
            epsilon_words(release.alone),
            *_readings(release.so_far),
        )
    table.add_section()
    table.add_row("released, each round once", "", "", *_readings(budget.released), style="bold")
    spare = run.wish.spare_attempts
    extra = f"with {_counted(spare, 'spare attempt')}" if spare else "no spare attempts"
    table.add_row(f"reserved, {extra}", "", "", *_readings(budget.reserved), style="bold")
    return table


def _readings(readings: Readings) -> tuple[str, str, str]:
    return (
        epsilon_words(readings.planned),
        epsilon_words(readings.all_honest),
        epsilon_words(readings.own_share),
    )


def _sentences(budget: Budget) -> list[tuple[str, str]]:
    wish = budget.run.wish
    if math.isinf(wish.epsilon):
        return [("Privacy", "No noise is planned, so no differential privacy guarantee is given.")]
    persons = wish.max_sites_per_person
    who = (
        "one user, at one site, added or removed"
        if persons == 1
        else f"one person, a user of up to {persons} sites, added or removed"
    )
    found = [
        (
            "Privacy",
            f"ε at δ = {small_text(wish.delta)} for {who}, as long as every sum has at least "
            f"M = {wish.min_survivors} sites of which at most c = {wish.colluding} withhold their "
            "noise (ε so far). If all sites are honest and present it is that of 'all honest'; "
            "should secure aggregation be broken, that of a site's 'own share' of noise alone.",
        ),
        (
            "Noise",
            "Width of the noise in a full sum, where 1 is the most that one user can add to it. "
            f"It is {budget.noise_price:.3f} times what would do if all were sure to be present "
            f"and honest. Each site sends {byte_size(budget.upload_bytes)} of masked sums.",
        ),
    ]
    if budget.accountant == "pld":
        found.append(("Sampling", f"The figures assume that {SAMPLING_ASSUMPTION}."))
    if budget.run.counted_only:
        found.append(
            ("Note", "The file counts items only: name a catalogue document before running it.")
        )
    return found


def _changes(budget: Budget) -> Table:
    epsilon = epsilon_text(budget.run.wish.epsilon)
    table = _table(
        "What c, M and spare attempts cost",
        "if instead",
        f"noise for ε = {epsilon}",
        "ε with this plan's noise",
    )
    before = ""
    for change in budget.changes:
        if before and before != change.what:
            table.add_row("")
        before = change.what
        style = "bold" if change.current else ""
        table.add_row(*_change(change), style=style)
    return table


def _change(change: Change) -> tuple[str, str, str]:
    name = what_changes(change) + (" (this plan)" if change.current else "")
    noise = f"× {change.noise:.3f}" if math.isfinite(change.noise) else "out of reach"
    return name, noise, epsilon_words(change.epsilon)


def _how_to_read(budget: Budget) -> str:
    wish = budget.run.wish
    least = budget.least_survivors
    lost = len(budget.run.declared_users) - least
    return (
        "The middle column is what a plan of that kind would add to reach the same ε; the right "
        "one is what this plan's noise would be worth, spare attempts included. With "
        f"c = {wish.colluding} M may go down to {least}, which tolerates "
        f"{_counted(lost, 'missing site')}. Spare attempts are paid for whether used or not."
    )


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(
        title=title,
        title_style="bold",
        title_justify="left",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="dim",
    )
    table.add_column(first, min_width=26, overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _paragraph(console: Console, name: str, text: str) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=8, style="dim")
    grid.add_column(max_width=_WIDTH - 10)
    # Closed up, since a line could break around a space.
    grid.add_row(name, Text(text.replace(" = ", "=")))
    console.print(grid)
    console.print()


def _counted(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}" if count == 1 else f"{count or 'no'} {noun}s"
