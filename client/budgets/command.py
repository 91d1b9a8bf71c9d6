"""`recommons site budget`, `forget`, `opt-out` and `opt-in`."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import typer
from sqlalchemy import Connection

from recommons.client.budgets.figures import BudgetFigures, budget_figures
from recommons.client.budgets.groups import ACTIVE, FORGOTTEN
from recommons.client.budgets.keys import KeyedHash
from recommons.client.site import Site
from recommons.client.sources.own import remove_copy
from recommons.client.sources.settings import read_settings
from recommons.common.checks import require
from recommons.common.errors import DataError, InvalidInput, RecommonsError
from recommons.common.policy import BudgetPolicy
from recommons.common.privacy.accounting import epsilon_of

__all__ = ["change_standing", "show_budget"]


def show_budget(folder: Path, user: str | None, *, as_json: bool) -> None:
    """Print budgets by what users have in common, or one user's.

    Raises:
        RecommonsError: The folder cannot be opened.
    """
    with Site.open(folder) as site:
        mostly_new = user is None and _mostly_new(site)
        with site.store.transaction() as transaction:
            figures = _figures(site, transaction, user)
            runs = _runs(site, transaction)
        rules = site.policy.budget
    if as_json:
        document: dict[str, object] = {
            "budget": rules.model_dump(mode="json"),
            "users": [_document(entry) for entry in figures],
        }
        typer.echo(json.dumps(document if user is not None else {**document, "runs": runs}))
        return
    typer.echo(_headline(rules))
    _print(
        ("users", "standing", "runs", "reserved ε", "released ε"),
        [(f.users, f.standing, f.runs, f.reserved, f.released) for f in figures],
    )
    if mostly_new:
        typer.echo(
            "\nMost users in the site's data are new to its budgets. If they are the same people "
            "under ids\nwritten in another way, what was spent about them does not count.",
            err=True,
        )
    if user is None:
        typer.echo("")
        _print(
            ("run", "ε", "took part", "no budget left"),
            [(r["run"], r["reserved_epsilon"], r["took_part"], r["left_out"]) for r in runs],
        )


def change_standing(folder: Path, users: Sequence[str], standing: str, *, as_json: bool) -> None:
    """Let users opt out, be forgotten or come back, and say what they were before.

    Raises:
        InvalidInput: ``input/argument``: an empty id, which no row of events can have.
        RecommonsError: The folder cannot be opened; or users are forgotten, durably, and the
            compact copy of the events, with their histories, could not be removed. The same command
            tries again, and the ledger is told nothing twice.
    """
    require(all(users), "USER", "", "the id of a user, as the site's data have it")
    before: dict[str, str | None] = {}
    with Site.open(folder) as site:
        budgets = site.store.budgets
        with site.store.transaction() as transaction:
            hashed = KeyedHash(budgets.secret(transaction))
            for user in users:
                before[user] = budgets.set_standing(transaction, hashed(user), standing)
                if standing == FORGOTTEN and before[user] != FORGOTTEN:
                    site.record(transaction, "user-forgotten", {})
        site.publish_ledger()
        if standing == FORGOTTEN:
            _remove_copy(site)
    if as_json:
        changes = [{"user": u, "before": was, "now": standing} for u, was in before.items()]
        typer.echo(json.dumps({"users": changes}, ensure_ascii=False))
        return
    for user, was in before.items():
        note = "" if was else " (no run has known a user of this id so far)"
        typer.echo(f"{user}: {was or ACTIVE} → {standing}{note}")


def _remove_copy(site: Site) -> None:
    still = "forgotten, but the compact copy of the events is still there; correct this, and forget"
    try:
        remove_copy(site.folder, read_settings(site.folder, site.config.events))
    except DataError as error:
        raise DataError(error.code, f"{still} again: {error.message}") from error
    except OSError as error:
        said = f"{error.filename}: {error.strerror}"
        raise RecommonsError("command/system", f"{still} again: {said}") from error


def _runs(site: Site, transaction: Connection) -> list[dict[str, object]]:
    budgets, delta = site.store.budgets, site.policy.budget.delta
    heads = budgets.head_counts(transaction)
    return [
        {
            "run": charge.run.hex(),
            "reserved_epsilon": _finite(epsilon_of(charge.spending, delta)),
            "open": charge.open,
            "took_part": heads[charge.run][0],
            "left_out": heads[charge.run][1],
        }
        for charge in budgets.charges(transaction)
    ]


def _mostly_new(site: Site) -> bool:
    """Whether the site charged users, and most of those in its data are none of them."""
    budgets = site.store.budgets
    with site.store.transaction() as transaction:
        if not budgets.sizes(transaction):
            return False
    try:
        keys = site.own_users().keys
    except (DataError, InvalidInput):
        return False  # the site itself will say so
    with site.store.transaction() as transaction:
        budgets.load(transaction, keys)
        present = budgets.present(transaction)
    return 2 * present.get(0, 0) > sum(present.values())


def _figures(site: Site, transaction: Connection, user: str | None) -> list[BudgetFigures]:
    budgets = site.store.budgets
    key = None if user is None else KeyedHash(budgets.secret(transaction))(user)
    now = site.now(transaction)
    return budget_figures(budgets, transaction, site.policy.budget, now, key=key)


def _document(figures: BudgetFigures) -> dict[str, object]:
    """Infinite ε, where something was released without noise, is null."""
    return {
        "users": figures.users,
        "standing": figures.standing,
        "runs": figures.runs,
        "reserved_epsilon": _finite(figures.reserved),
        "released_epsilon": _finite(figures.released),
    }


def _headline(rules: BudgetPolicy) -> str:
    window = f"any {rules.window_days} days" if rules.window_days else "all time"
    return f"Budget of each user: ε {rules.epsilon} at δ {rules.delta:g} in {window}\n"


def _finite(number: float) -> float | None:
    return None if math.isinf(number) else number


def _print(names: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    for line in (names, *cells):
        typer.echo("  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip())


def _cell(value: object) -> str:
    if value is None:
        return "∞"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
