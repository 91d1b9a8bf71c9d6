"""Items that no site has ever seen: can they be recommended from their public features alone?

A tenth of the items, drawn by a seed, is taken out of every training user's history before the
federation is founded; they stay in the public catalogue. After a whole run, test users are asked
for the hidden items that they have, among all hidden items, from what else they have:

    python -m recommons.simulations.benchmarks.hidden_items --epsilon 4
    python -m recommons.simulations.benchmarks.hidden_items ml-1m --epsilon 4 --delta 0.000207

Beside the model stand rankings of the hidden items that are the same for everybody: a random one;
the newest first, where titles have years; by the model's mean score over users, which is what it
knows of their popularity; and by the popularity that they really have among the training users,
which nobody may know who has never seen them.
"""

import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer

from recommons.client.sources import load_dataset
from recommons.common.commandline import run_alone
from recommons.common.data.dataset import Dataset, split_dataset
from recommons.common.data.interactions import Interactions
from recommons.common.data.splits import HeldOutUsers
from recommons.common.metrics import Scorer
from recommons.common.models.content import YEAR
from recommons.common.models.scoring import GlobalModel
from recommons.simulations.benchmarks.given import JudgedUsers, named_values
from recommons.simulations.benchmarks.pipeline import whole_run
from recommons.simulations.online_retail import load_online_retail

__all__ = ["HiddenItems", "hide_items", "judge"]

_SHARE = 0.1
_CUTOFF = 20
_BATCH = 512
_RANDOM_ORDERS = 20

Order = Callable[[Interactions], npt.NDArray[np.floating]]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class HiddenItems:
    """Training users without the hidden items, and others who are asked for them.

    Attributes:
        items: int64, positions of the hidden items, ascending.
        train: Training users' histories without them.
        popularity: float64, shape ``(m,)``: how many training users have each item.
        seen: What else the judged users have.
        wanted: The hidden items that they have; at least one each.
    """

    items: npt.NDArray[np.int64]
    train: Interactions
    popularity: npt.NDArray[np.float64]
    seen: Interactions
    wanted: Interactions


def hide_items(
    train: Interactions, judged: HeldOutUsers, seed: int, *, share: float = _SHARE
) -> HiddenItems:
    """Draw the hidden items and take them out.

    Args:
        train: Training users.
        judged: Users whose fold-in and held-out items are taken together.
        seed: Draws the items.
        share: Of the catalogue.
    """
    count = round(share * train.n_items)
    items = np.sort(np.random.default_rng(seed).choice(train.n_items, count, replace=False))
    hidden = np.zeros(train.n_items, np.bool_)
    hidden[items] = True
    whole = (judged.fold_in.matrix(np.int8) + judged.held_out.matrix(np.int8)).tocoo()
    everything = Interactions.from_pairs(
        whole.row, whole.col, n_users=judged.fold_in.n_users, n_items=train.n_items
    )
    mark = hidden[everything.indices]
    seen, wanted = everything.where(~mark), everything.where(mark)
    some = np.flatnonzero(np.diff(wanted.indptr) > 0)
    return HiddenItems(
        items=items,
        train=train.where(~hidden[train.indices]),
        popularity=np.bincount(train.indices, minlength=train.n_items).astype(np.float64),
        seen=seen.take(some),
        wanted=wanted.take(some),
    )


def judge(score: Order, hidden: HiddenItems) -> float:
    """Recall@20 of wanted items among the hidden ones; equal scores count against the model."""
    recalls: list[float] = []
    users = zip(hidden.seen.batches(_BATCH), hidden.wanted.batches(_BATCH), strict=True)
    for seen, wanted in users:
        scores = np.asarray(score(seen))[:, hidden.items]
        for row, (start, stop) in enumerate(zip(wanted.indptr, wanted.indptr[1:], strict=False)):
            own = scores[row, np.searchsorted(hidden.items, wanted.indices[start:stop])]
            better = (scores[row][None, :] > own[:, None]).sum(axis=1)
            equal = (scores[row][None, :] == own[:, None]).sum(axis=1)
            hits = int(np.count_nonzero(better + equal <= _CUTOFF))
            recalls.append(hits / min(_CUTOFF, stop - start))
    return float(np.mean(recalls))


def rankings(dataset: Dataset, hidden: HiddenItems, score: Scorer) -> dict[str, float]:
    """Recall@20 of the model and of rankings that are the same for everybody."""
    draws, m = np.random.default_rng(0), len(dataset.catalogue)

    def same(values: npt.NDArray[np.floating]) -> float:
        return judge(lambda users: np.broadcast_to(values, (users.n_users, m)), hidden)

    some = hidden.train.take(np.arange(0, hidden.train.n_users, 7))
    mean = np.mean([score(batch).mean(axis=0) for batch in some.batches(_BATCH)], axis=0)
    years = [YEAR.search(title) for title in dataset.catalogue.titles]
    newest = np.array([float(year.group(1)) if year else 0.0 for year in years])
    found = {
        "model": judge(score, hidden),
        "random": float(np.mean([same(draws.random(m)) for _ in range(_RANDOM_ORDERS)])),
        "model's mean score": same(mean),
        "real popularity, unknown to all": same(hidden.popularity + 1e-6 * draws.random(m)),
    }
    if newest.any():
        found["newest first"] = same(newest + 1e-6 * draws.random(m))
    return found


def main(
    data: Annotated[
        Path | None, typer.Argument(help="As in `recommons simulate`; by default embedded data.")
    ] = None,
    model: Annotated[str, typer.Option(help="The model.")] = "als",
    epsilon: Annotated[str, typer.Option(help="ε, or inf.")] = "4",
    delta: Annotated[float | None, typer.Option(help="δ.")] = None,
    sites: Annotated[int, typer.Option(help="Sites.")] = 8,
    runs: Annotated[int, typer.Option(min=1, help="Whole runs, with seeds one apart.")] = 1,
    first: Annotated[int, typer.Option("--seed", min=0, help="The first run's.")] = 0,
    users: Annotated[JudgedUsers, typer.Option(help="Who is judged.")] = JudgedUsers.VALIDATION,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE, a setting of the model.")
    ] = None,
) -> None:
    """Recall@20 among hidden items, by whole runs; a line of JSON a run."""
    dataset = load_online_retail() if data is None else load_dataset(data)
    given = named_values(settings or [])
    for seed in range(first, first + runs):
        split = split_dataset(dataset, np.random.default_rng(seed))
        hidden = hide_items(split.train, users.of(split), seed)
        release, _ = whole_run(
            dataset.catalogue,
            dataset.user_ids.gather(split.train_users),
            hidden.train,
            model=model,
            epsilon=math.inf if epsilon == "inf" else float(epsilon),
            delta=delta,
            settings=given,
            sites=sites,
            seed=seed,
            name=dataset.name,
        )
        found = rankings(dataset, hidden, GlobalModel(release=release).scorer.score)
        row = {"seed": seed, "model": model, "epsilon": epsilon, "users": users, "recall@20": found}
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(run_alone(main, "python -m recommons.simulations.benchmarks.hidden_items"))
