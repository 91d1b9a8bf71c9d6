"""Recommendations from a released model: for one basket, for a file of users, for a newcomer.

Every answer says what it goes by: a user's *events*; the *interests* that a newcomer chose; or,
where nothing is known, the noised *popularity* of the release.

A user's own items are never among them. Equal scores stand in the order of the catalogue, so that
the same model and basket always give the same list.
"""

import difflib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput
from recommons.common.metrics import Scorer, top_k
from recommons.common.models.interests import interest_scores, match_interests

__all__ = [
    "RECOMMENDATION_SCHEMA",
    "Basis",
    "Reason",
    "Recommendation",
    "Recommender",
    "basket_items",
    "split_ids",
]

RECOMMENDATION_SCHEMA: dict[str, type[pl.DataType]] = {
    "user_id": pl.String,
    "item_id": pl.String,
    "rank": pl.Int32,
    "score": pl.Float32,
    "basis": pl.String,
}

Basis = Literal["events", "interests", "popularity"]
"""What an answer goes by."""

_CELLS_A_BATCH = 1 << 22  # scores of a batch: 16 MiB
_SUGGESTIONS = 3
_MOST_COMPARED = 50_000  # items; comparing more would take seconds
_ADDITIVE_TOLERANCE = 1e-3
_APART = 60_000_000  # microseconds between a basket's items: of a gap that training has seen


@dataclass(frozen=True, kw_only=True)
class Reason:
    """What one item of the basket adds to a recommendation's score."""

    item_id: str
    title: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """One recommended item.

    Attributes:
        rank: From 1.
        item_id: The item.
        title: Its title, empty where unknown.
        score: The model's score; only its order means anything.
        because: The items of the basket that speak for it most, best first; empty where the
            score is not a sum over the basket.
    """

    rank: int
    item_id: str
    title: str
    score: float
    because: tuple[Reason, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Recommender:
    """A model ready to score.

    Attributes:
        catalogue: Its items.
        score: From histories to scores.
        counts: The release's noised popularity, for those of whom nothing is known.
    """

    catalogue: Catalogue
    score: Scorer
    counts: npt.NDArray[np.float64] = field(repr=False)

    def for_basket(
        self, items: npt.NDArray[np.integer], k: int, *, reasons: int = 0
    ) -> tuple[Recommendation, ...]:
        """The k best items for a basket.

        Args:
            items: Distinct positions of the basket's items in the catalogue, the latest last (for
                models that read an order).
            k: Length of the list; shorter where the catalogue ends.
            reasons: At most how many reasons to give for each.

        Raises:
            InvalidInput: k < 1.
        """
        order = np.argsort(items)
        basket = Interactions(
            indptr=np.array([0, len(items)], np.int64),
            indices=items[order].astype(np.int32),
            n_items=len(self.catalogue),
            times=order.astype(np.int64) * _APART,
        )
        scores = self.score(basket)
        best = top_k(scores, basket, k)[0]
        best = best[best >= 0]
        added = self._added(items, scores[0]) if reasons else None
        because = (
            {}
            if added is None
            else {item: self._reasons(items, added[:, item], reasons) for item in best.tolist()}
        )
        return self._listed(best, scores[0], because)

    def for_interests(self, interests: Sequence[str], k: int) -> tuple[Recommendation, ...]:
        """The k best items for a newcomer who chose interests: labels, or words of titles.

        Raises:
            InvalidInput: k < 1, or an interest that matches nothing.
        """
        matches = match_interests(self.catalogue, interests)
        return self._newcomers(interest_scores(self.score, matches, self.counts), k)

    def for_newcomer(self, k: int) -> tuple[Recommendation, ...]:
        """The k items of the highest noised popularity, for somebody of whom nothing is known.

        Raises:
            InvalidInput: k < 1.
        """
        return self._newcomers(self.counts.astype(np.float32), k)

    def _newcomers(self, scores: npt.NDArray[np.float32], k: int) -> tuple[Recommendation, ...]:
        best = top_k(scores[None], None, k)[0]
        return self._listed(best[best >= 0], scores, {})

    def _listed(
        self,
        best: npt.NDArray[np.integer],
        scores: npt.NDArray[np.floating],
        because: Mapping[int, tuple[Reason, ...]],
    ) -> tuple[Recommendation, ...]:
        return tuple(
            Recommendation(
                rank=rank,
                item_id=self.catalogue.item_ids[item],
                title=self.catalogue.titles[item],
                score=float(scores[item]),
                because=because.get(item, ()),
            )
            for rank, item in enumerate(best.tolist(), start=1)
        )

    def for_users(self, user_ids: pl.Series, users: Interactions, k: int) -> Iterator[pl.DataFrame]:
        """The k best items of each user, a batch of users at a time.

        A user without a known item gets the most popular ones: there is nothing else to go by.

        Args:
            user_ids: One id a row of `users`.
            users: Their histories.
            k: Length of each list; shorter where the catalogue ends.

        Yields:
            Frames of `RECOMMENDATION_SCHEMA`, users in the order given, best items first.
        """
        item_ids = pl.Series(self.catalogue.item_ids)
        size = max(1, _CELLS_A_BATCH // users.n_items)
        for number, batch in enumerate(users.batches(size)):
            known = np.diff(batch.indptr) > 0
            scores = np.array(self.score(batch))
            scores[~known] = self.counts
            best = top_k(scores, batch, k)
            rows, places = np.nonzero(best >= 0)
            items = best[rows, places]
            yield pl.DataFrame(
                {
                    "user_id": user_ids.gather(rows + number * size),
                    "item_id": item_ids.gather(items),
                    "rank": (places + 1).astype(np.int32),
                    "score": scores[rows, items].astype(np.float32, copy=False),
                    "basis": np.where(known[rows], "events", "popularity").tolist(),
                },
                schema=RECOMMENDATION_SCHEMA,
            )

    def _rows(
        self, items: npt.NDArray[np.integer], rows: npt.NDArray[np.integer], n_rows: int
    ) -> Interactions:
        return Interactions.from_pairs(rows, items, n_users=n_rows, n_items=len(self.catalogue))

    def _added(
        self, items: npt.NDArray[np.integer], total: npt.NDArray[np.floating]
    ) -> npt.NDArray[np.float32] | None:
        """Each basket item's own scores, if those of the basket are their sum; otherwise None."""
        alone = self.score(self._rows(items, np.arange(len(items)), len(items)))
        finite = np.isfinite(total)
        error = np.abs(alone.sum(axis=0) - total)[finite].max(initial=0.0)
        scale = np.abs(total[finite]).max(initial=0.0)
        return alone if error <= _ADDITIVE_TOLERANCE * scale else None

    def _reasons(
        self, items: npt.NDArray[np.integer], added: npt.NDArray[np.floating], count: int
    ) -> tuple[Reason, ...]:
        order = np.argsort(-added, kind="stable")[:count]
        return tuple(
            Reason(
                item_id=self.catalogue.item_ids[items[row]],
                title=self.catalogue.titles[items[row]],
                score=float(added[row]),
            )
            for row in order.tolist()
            if added[row] > 0
        )


def split_ids(catalogue: Catalogue, text: str) -> list[str]:
    """Item ids at the commas, unless the whole is one id that has a comma in it."""
    if text in catalogue.index:
        return [text]
    return [part for part in (part.strip() for part in text.split(",")) if part]


def basket_items(catalogue: Catalogue, basket: Sequence[str]) -> npt.NDArray[np.int64]:
    """Positions of the items a caller typed, distinct and in that order, by their last mention.

    Raises:
        InvalidInput: An item is not in the catalogue; names it, and the nearest that are. (It is
            what the caller typed, not a user's data.)
    """
    if not basket:
        raise InvalidInput("input/argument", "items is empty; required: at least one item id")
    for item in basket:
        if item not in catalogue.index:
            raise InvalidInput(
                "recommend/unknown-item",
                f"items has {item!r}, which is not in the catalogue; {_nearest(catalogue, item)}",
            )
    latest_first = dict.fromkeys(catalogue.index[item] for item in reversed(basket))
    return np.array(list(latest_first), np.int64)[::-1]


def _nearest(catalogue: Catalogue, typed: str) -> str:
    """Ids that look like what was typed, or whose titles hold or resemble it."""
    wanted = typed.casefold()
    titles = [title.casefold() for title in catalogue.titles]
    found = [position for position, title in enumerate(titles) if wanted and wanted in title]
    if len(catalogue) <= _MOST_COMPARED:
        found += [catalogue.index[item] for item in _alike(typed, catalogue.item_ids)]
        found += [titles.index(title) for title in _alike(wanted, titles) if title]
    named = [_named(catalogue, position) for position in dict.fromkeys(found)]
    return f"near it: {', '.join(named[:_SUGGESTIONS])}" if named else "nothing is near it"


def _alike(typed: str, words: Sequence[str]) -> list[str]:
    """Words that resemble what was typed; of those, first the ones that begin like it."""
    close = difflib.get_close_matches(typed, words, n=4 * _SUGGESTIONS, cutoff=0.7)
    return sorted(close, key=lambda word: -_shared_beginning(typed, word))


def _shared_beginning(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _named(catalogue: Catalogue, position: int) -> str:
    title = catalogue.titles[position]
    return catalogue.item_ids[position] + (f" ({title})" if title else "")
