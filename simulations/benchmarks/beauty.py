"""Amazon Beauty as the papers on sequences use it: all users train, the last items are held out.

One line a user, ``user item item …`` in order of time, at least five items each; attributes of
items beside it. The last item of a sequence is the test item, the one before it the validation
item, and the rest is what models are trained on (Kang and McAuley 2018, section IV; the files are
those of Zhou et al. 2020). Every item of the catalogue is ranked, less the user's own.

Ids say nothing: they are numbered by first appearance in the file, so that neighbours in number
are neighbours in one sequence. Times are places in the sequence, all that the files tell.

    python -m recommons.simulations.benchmarks.beauty s3rec-beauty --epsilon 8 --users test
"""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import polars as pl
import typer

from recommons.common.commandline import run_alone
from recommons.common.data.catalogue import Catalogue, FeatureColumn
from recommons.common.data.interactions import Interactions
from recommons.common.errors import DataError
from recommons.common.metrics import Scorer
from recommons.common.models.scoring import GlobalModel, popularity_scorer
from recommons.simulations.benchmarks.given import JudgedUsers, named_values
from recommons.simulations.benchmarks.pipeline import whole_run

__all__ = ["Sequences", "load_sequences", "next_item_quality"]

_SEQUENCES, _ATTRIBUTES = "sequences.txt", "item2attributes.json"
_CUTOFF = 10
_BATCH = 256
_LEAST_ITEMS = 3


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Sequences:
    """The data set.

    Attributes:
        catalogue: Items, with their attributes as one column of categories where asked for.
        user_ids: One id a user.
        whole: Every user's items; the times are places in the sequence, from 0.
    """

    catalogue: Catalogue
    user_ids: pl.Series
    whole: Interactions

    def before_last(self, count: int) -> Interactions:
        """What came before the last `count` items of each user."""
        return self.whole.where(self._places_from_end() >= count)

    def held_out(self, count: int) -> Interactions:
        """The item at place `count` from the end: 1 for the last."""
        return self.whole.where(self._places_from_end() == count - 1)

    def _places_from_end(self) -> npt.NDArray[np.int64]:
        lengths = np.diff(self.whole.indptr)
        times = self.whole.times
        if times is None:
            raise DataError("data/missing-column", "sequences have no order")
        return np.repeat(lengths, lengths) - 1 - times


def load_sequences(folder: Path, *, attributes: bool = True) -> Sequences:
    """Read the two files.

    Args:
        folder: Holds ``sequences.txt`` and, for attributes, ``item2attributes.json``.
        attributes: Whether items have public attributes.

    Raises:
        DataError: A file is missing or is not of this form.
    """
    try:
        lines = (folder / _SEQUENCES).read_text(encoding="utf-8").splitlines()
        rows = [[int(cell) for cell in line.split()] for line in lines]
        named = json.loads((folder / _ATTRIBUTES).read_bytes()) if attributes else {}
    except OSError:
        raise DataError(
            "data/not-found", f"{folder}: no {_SEQUENCES} and {_ATTRIBUTES} that can be read"
        ) from None
    except ValueError:
        raise DataError(
            "data/unreadable", f"{folder}: expected lines of whole numbers, and a JSON object"
        ) from None
    if any(len(set(row[1:])) != len(row) - 1 or len(row) <= _LEAST_ITEMS for row in rows):
        raise DataError(
            "data/unreadable",
            f"{_SEQUENCES}: a user with an item twice or too few; expected {_LEAST_ITEMS} or more",
        )
    item_ids = tuple(sorted({str(item) for row in rows for item in row[1:]}))
    position = {item: place for place, item in enumerate(item_ids)}
    lengths = np.array([len(row) - 1 for row in rows])
    items = np.array([position[str(item)] for row in rows for item in row[1:]], np.int64)
    user = np.repeat(np.arange(len(rows)), lengths)
    times = np.concatenate([np.arange(length) for length in lengths])
    order = np.lexsort((items, user))
    whole = Interactions(
        indptr=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        indices=items[order].astype(np.int32),
        n_items=len(item_ids),
        times=times[order].astype(np.int64),
    )
    features: tuple[FeatureColumn, ...] = ()
    if attributes:
        values = tuple(tuple(f"a{label}" for label in named.get(item, ())) for item in item_ids)
        features = (FeatureColumn(name="attributes", kind="categories", values=values),)
    return Sequences(
        catalogue=Catalogue(item_ids=item_ids, titles=("",) * len(item_ids), features=features),
        user_ids=pl.Series("user_id", [f"u{row[0]:06d}" for row in rows]),
        whole=whole,
    )


def next_item_quality(
    score: Scorer, seen: Interactions, wanted: Interactions, users: npt.NDArray[np.integer]
) -> dict[str, float]:
    """NDCG@10 and hit rate@10 of one item a user among all that the user has not.

    Items of equal score share the mean of their ranks: a model that cannot tell items apart gains
    nothing from it.

    Args:
        score: From histories to scores, shape ``(n, m)``.
        seen: What the model may see, all users.
        wanted: One item a user.
        users: Rows to judge.
    """
    gains: list[npt.NDArray[np.float64]] = []
    hits: list[npt.NDArray[np.bool_]] = []
    for start in range(0, len(users), _BATCH):
        rows = users[start : start + _BATCH]
        shown, targets = seen.take(rows), wanted.take(rows).indices
        scores = np.array(score(shown), np.float32)
        row = np.repeat(np.arange(len(rows)), np.diff(shown.indptr))
        scores[row, shown.indices] = -np.inf
        own = scores[np.arange(len(rows)), targets][:, None]
        rank = 1 + (scores > own).sum(axis=1) + ((scores == own).sum(axis=1) - 1) / 2
        hit = rank <= _CUTOFF
        gains.append(np.where(hit, 1 / np.log2(rank + 1), 0.0))
        hits.append(hit)
    return {
        f"ndcg@{_CUTOFF}": float(np.concatenate(gains).mean()),
        f"hit@{_CUTOFF}": float(np.concatenate(hits).mean()),
    }


def main(
    data: Annotated[Path, typer.Argument(help="Holds sequences.txt and item2attributes.json.")],
    model: Annotated[str, typer.Option(help="The model.")] = "sequence",
    epsilon: Annotated[str, typer.Option(help="ε, or inf.")] = "8",
    delta: Annotated[float | None, typer.Option(help="δ.")] = None,
    attributes: Annotated[bool, typer.Option(help="Whether items have attributes.")] = True,
    sites: Annotated[int, typer.Option(help="Sites.")] = 8,
    runs: Annotated[int, typer.Option(min=1, help="Whole runs, with seeds one apart.")] = 1,
    first: Annotated[int, typer.Option("--seed", min=0, help="The first run's.")] = 0,
    users: Annotated[
        JudgedUsers, typer.Option(help="validation: the last item but one; test: the last.")
    ] = JudgedUsers.VALIDATION,
    sample: Annotated[int, typer.Option(min=1, help="Judge every so-manieth user.")] = 1,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE, a setting of the model.")
    ] = None,
) -> None:
    """NDCG@10 and hit rate@10 of the next item, by whole runs; a line of JSON a run.

    For test, models train on all but the last item; for validation, on all but the last two.
    """
    read = load_sequences(data, attributes=attributes)
    place = 1 if users is JudgedUsers.TEST else 2
    train, wanted = read.before_last(place), read.held_out(place)
    judged = np.arange(0, train.n_users, sample)
    for seed in range(first, first + runs):
        release, training = whole_run(
            read.catalogue,
            read.user_ids,
            train,
            model=model,
            epsilon=math.inf if epsilon == "inf" else float(epsilon),
            delta=delta,
            settings=named_values(settings or []),
            sites=sites,
            seed=seed,
            name=data.name,
        )
        scorers = {
            "model": GlobalModel(release=release).scorer,
            "popularity": popularity_scorer(release),
        }
        row: dict[str, Any] = {"seed": seed, "model": model, "epsilon": epsilon, "users": users}
        for name, scorer in scorers.items():
            row[name] = next_item_quality(scorer.score, train, wanted, judged)
        row["sums"] = training.attempts
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(run_alone(main, "python -m recommons.simulations.benchmarks.beauty"))
