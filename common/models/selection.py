"""What a site's own users say about a model: how much of what is hidden from it comes back.

Two halves of the users, each trained on while the other is judged. In one a fifth of each user's
items is hidden at random: a test of filling gaps. In the other a run of neighbours in the
catalogue's order is hidden, which in many catalogues is about the order in which items came: a test
of items unlike those at hand, as tomorrow's are. Histories carry no times at this point.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommons.common.data.interactions import Interactions

__all__ = ["Fold", "folds", "recovered"]

HIDDEN_SHARE = 0.2
LEAST_ITEMS = 3
MOST_JUDGED = 300
MOST_JUDGED_CELLS = 1 << 24  # 64 MiB of scores at a time
MOST_TRAINED = 4000
CUTOFFS = (10, 20, 50, 100)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Fold:
    """Users to train on, and others with some of their items hidden.

    Attributes:
        train: Full histories.
        visible: What a model may see of the judged users.
        hidden: What it should find, for the same users: at least one item each.
    """

    train: Interactions
    visible: Interactions
    hidden: Interactions


def folds(own: Interactions, rng: np.random.Generator) -> Iterator[Fold]:
    """The two folds, or fewer where there are too few users with three items or more."""
    order = rng.permutation(own.n_users)
    most = max(1, min(MOST_JUDGED, MOST_JUDGED_CELLS // own.n_items))
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    for train, judged, in_a_run in ((*halves, False), (*halves[::-1], True)):
        enough = judged[np.diff(own.indptr)[judged] >= LEAST_ITEMS][:most]
        if len(train) and len(enough):
            visible, hidden = _hide(own.take(enough), rng, in_a_run=in_a_run)
            kept = own.take(np.sort(train[:MOST_TRAINED]))
            yield Fold(train=kept, visible=visible, hidden=hidden)


def recovered(scores: npt.NDArray[np.float32], fold: Fold) -> float:
    """Recall of the hidden items among the best unseen ones, a mean over users and cutoffs.

    Args:
        scores: Shape ``(n_users, n_items)``, minus infinity at what the users show.
        fold: The judged users.
    """
    n_users, n_items = scores.shape
    lengths = np.diff(fold.hidden.indptr)
    row = np.repeat(np.arange(n_users), lengths)
    own = scores[row, fold.hidden.indices]
    places = [max(n_items - k, 0) for k in CUTOFFS]
    ordered = np.partition(scores, places, axis=1)
    recalls = [
        np.bincount(row, own >= ordered[row, place], minlength=n_users) / np.minimum(lengths, k)
        for k, place in zip(CUTOFFS, places, strict=True)
    ]
    return float(np.mean(recalls))


def _hide(
    users: Interactions, rng: np.random.Generator, *, in_a_run: bool
) -> tuple[Interactions, Interactions]:
    """Hide a fifth of each user's items, at least one: what is left, and what is hidden."""
    lengths = np.diff(users.indptr)
    row = np.repeat(np.arange(users.n_users), lengths)
    place = np.arange(len(row)) - np.repeat(users.indptr[:-1], lengths)
    if in_a_run:
        start = (rng.random(users.n_users) * lengths).astype(np.int64)
        rank = (place - start[row]) % lengths[row]
    else:
        rank = np.empty_like(place)
        rank[np.lexsort((rng.random(len(row)), row))] = place
    hidden = rank < np.maximum(np.round(lengths * HIDDEN_SHARE), 1)[row]
    return users.where(~hidden), users.where(hidden)
