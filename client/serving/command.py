"""What `recommons recommend` does once it is called; `commands` only names its options."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from recommons.client.serving.files import check_output, write_recommendations
from recommons.client.serving.recommending import (
    Basis,
    Recommendation,
    basket_items,
    split_ids,
)
from recommons.client.serving.served_model import ServedModel, open_model
from recommons.client.sources import ColumnNames, read_histories
from recommons.common.units import counted

__all__ = ["recommend_for_basket", "recommend_for_newcomer", "recommend_for_users"]

_REASONS = 2


def recommend_for_basket(
    folder: Path,
    items: str,
    k: int,
    *,
    site: str | None,
    release: str | None = None,
    why: bool,
    as_json: bool,
) -> None:
    """Print recommendations for one basket.

    Args:
        folder: Output of a run.
        items: Item ids, separated by commas.
        k: Length of the list.
        site: Recommend as this site would.
        release: Of a joined site's releases, this one; None for the latest.
        why: Name what in the basket speaks for each item.
        as_json: Print JSON instead of a table.

    Raises:
        InvalidInput: No model there, or an item or site that is not known.
    """
    model = open_model(folder, site=site, release=release)
    catalogue = model.recommender.catalogue
    basket = basket_items(catalogue, split_ids(catalogue, items))
    with _waiting("preparing the model"):
        found = model.recommender.for_basket(basket, k, reasons=_REASONS if why else 0)
    named = [(catalogue.item_ids[item], catalogue.titles[item]) for item in basket.tolist()]
    if as_json:
        typer.echo(json.dumps(_as_json(model, named, found, why=why), ensure_ascii=False, indent=2))
    else:
        _print(Console(), model, named, found, why=why)


def recommend_for_newcomer(
    folder: Path,
    interests: str | None,
    k: int,
    *,
    site: str | None,
    release: str | None = None,
    as_json: bool,
) -> None:
    """Print recommendations for somebody without events: by interests, or the popular ones.

    Args:
        folder: Output of a run.
        interests: Labels or words of titles, separated by commas; None for none.
        k: Length of the list.
        site: Recommend as this site would.
        release: Of a joined site's releases, this one; None for the latest.
        as_json: Print JSON instead of a table.

    Raises:
        InvalidInput: No model there, or an interest or site that is not known.
    """
    model = open_model(folder, site=site, release=release)
    chosen = [part for part in (part.strip() for part in (interests or "").split(",")) if part]
    with _waiting("preparing the model"):
        if interests is None:
            basis: Basis = "popularity"
            found = model.recommender.for_newcomer(k)
        else:
            basis = "interests"
            found = model.recommender.for_interests(chosen, k)
    if as_json:
        told = _as_json(model, (), found, why=False, basis=basis, interests=chosen)
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    by = f"for {', '.join(chosen)}" if chosen else "by popularity: it knows nothing of the user"
    console = Console()
    console.print(Text(f"{_speaker(model)} recommends {by}", style="bold"))
    console.print()
    console.print(_table(found, why=False))
    if basis != "popularity":
        _say_whose(model)


def recommend_for_users(
    folder: Path,
    events: Path,
    k: int,
    output: Path,
    *,
    site: str | None,
    release: str | None = None,
    columns: str | None,
    as_json: bool,
) -> None:
    """Write recommendations for a file of users.

    Args:
        folder: Output of a run.
        events: The users' events.
        k: Length of each list.
        output: The file to write.
        site: Recommend as this site would.
        release: Of a joined site's releases, this one; None for the latest.
        columns: Unusual names of columns, as ``user_id=customer``.
        as_json: Print what was done as JSON instead of a sentence.

    Raises:
        InvalidInput: No model there, events that cannot be read, or an output that cannot be
            written.
    """
    check_output(output)
    model = open_model(folder, site=site, release=release)
    names = None if columns is None else ColumnNames.parse(columns)
    catalogue = model.recommender.catalogue
    histories = read_histories(events, catalogue, names=names, with_order=True)
    users = histories.interactions
    with _waiting("recommending"):
        lists = model.recommender.for_users(histories.user_ids, users, k)
        rows = write_recommendations(lists, output)
    without = int(np.count_nonzero(np.diff(users.indptr) == 0))
    done = {
        "output": str(output),
        "users": users.n_users,
        "rows": rows,
        "users_without_known_items": without,
        "events_on_unknown_items": histories.unknown_rows,
    }
    if as_json:
        typer.echo(json.dumps(done, indent=2))
        return
    typer.echo(f"{output}: {counted(rows, 'recommendation')} for {counted(users.n_users, 'user')}")
    if histories.unknown_rows:
        typer.echo(
            f"note: left out: {counted(histories.unknown_rows, 'event')} on items that the model "
            "does not know",
            err=True,
        )
    _say_whose(model)
    if without:
        nobody = f"{counted(without, 'user')} without an item that the model knows"
        typer.echo(f"note: the popular items go to {nobody}", err=True)


def _waiting(what: str) -> Status:
    """A spinner, on a terminal; nothing elsewhere."""
    return Console(stderr=True).status(what)


def _as_json(
    model: ServedModel,
    basket: Sequence[tuple[str, str]],
    found: Sequence[Recommendation],
    *,
    why: bool,
    basis: Basis = "events",
    interests: Sequence[str] = (),
) -> dict[str, Any]:
    # What is popular is so by the counts alone.
    choice = None if basis == "popularity" else model.choice()
    return {
        "model": {
            "name": model.name,
            "plan_hash": model.metadata.plan_hash,
            "epsilon": model.metadata.privacy.get("epsilon"),
            "delta": model.metadata.privacy.get("delta"),
        },
        "site": model.site,
        "serving": None if choice is None else asdict(choice),
        "basis": basis,
        "interests": list(interests),
        "basket": [{"item_id": item, "title": title} for item, title in basket],
        "recommendations": [_item_json(item, why=why) for item in found],
    }


def _item_json(item: Recommendation, *, why: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "rank": item.rank,
        "item_id": item.item_id,
        "title": item.title,
        "score": item.score,
    }
    if why:
        entry["because"] = [
            {"item_id": reason.item_id, "title": reason.title, "score": reason.score}
            for reason in item.because
        ]
    return entry


def _print(
    console: Console,
    model: ServedModel,
    basket: Sequence[tuple[str, str]],
    found: Sequence[Recommendation],
    *,
    why: bool,
) -> None:
    """A table, after a line for each item of the basket."""
    console.print(Text(f"For this basket, {_speaker(model)} recommends", style="bold"))
    for item, title in basket:
        console.print(Text("  ").append(item, style="cyan").append(f"  {title}"))
    console.print()
    console.print(_table(found, why=why))
    _say_whose(model)


def _say_whose(model: ServedModel) -> None:
    """A note where nothing of the federation's is in the answer."""
    choice = model.choice()
    if choice is not None and choice.alone_share == 1 and not choice.neural_share:
        typer.echo(
            f"note: on {model.site}'s own users the federation's model added nothing, so its own "
            "alone is served",
            err=True,
        )


def _speaker(model: ServedModel) -> str:
    return "the global model" if model.site is None else f"site {model.site}"


def _table(found: Sequence[Recommendation], *, why: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("#", justify="right", style="dim")
    table.add_column("item", style="cyan", no_wrap=True)
    table.add_column("title", ratio=2)
    table.add_column("score", justify="right")
    if why:
        table.add_column("because of", ratio=2, style="dim")
    for entry in found:
        row: list[str | Text] = [
            str(entry.rank),
            Text(entry.item_id),
            Text(entry.title),
            f"{entry.score:.3f}",
        ]
        if why:
            row.append(Text("; ".join(r.title or r.item_id for r in entry.because)))
        table.add_row(*row)
    return table
