"""Users' last events as batches of tensors, each user's part a function of that user alone."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from recommons.common.data.interactions import Interactions
from recommons.common.models.neural.batches import NEVER, Negatives
from recommons.common.models.neural.clipping import Batch
from recommons.common.models.neural.events import Events, gap_steps, last_events

__all__ = ["sequence_batches"]

Floats = npt.NDArray[np.float64]


def sequence_batches(
    users: Interactions,
    features: Floats,
    negatives: Negatives | None,
    *,
    last: int,
    most_cells: int,
    seed: int,
) -> Iterator[Batch]:
    """Batches for `FullSequence`, or for `CandidateSequence` where there are negatives.

    Users with fewer than two events foretell nothing and are left out. Shortest first.

    Args:
        users: The users of the sum.
        features: Public item features, float64, shape ``(m, r)``.
        negatives: The round's, or none.
        last: L, events that are read before the last one that is asked for.
        most_cells: Users × longest sequence of a batch, at most (one user is always let in).
        seed: The plan's.
    """
    if negatives is not None:
        negatives.check(users.n_items)
    lengths = np.minimum(np.diff(users.indptr), last + 1)
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] >= 2]
    start = 0
    while start < len(order):
        stop = start + 1
        while (
            stop < len(order) and (stop + 1 - start) * int(lengths[order[stop]] - 1) <= most_cells
        ):
            stop += 1
        some = users.take(order[start:stop])
        yield _batch(some, last_events(some, last + 1, seed=seed), features, negatives)
        start = stop


def _batch(
    users: Interactions, events: Events, features: Floats, negatives: Negatives | None
) -> Batch:
    places = events.items.shape[1] - 1
    known = events.lengths - 1
    items, targets = events.items[:, :-1].copy(), events.items[:, 1:].copy()
    inside = np.arange(places) < known[:, None]
    items[~inside] = 0
    targets[~inside] = 0
    weights = inside / known[:, None]
    times = events.times[:, :-1]
    gaps = gap_steps(times[:, :, None], times[:, None, :])
    encoder = (items, features[items], events.kinds[:, :-1] * inside, gaps, known[:, None])
    if negatives is None:
        # The items up to each place; where there is none, the user's first once more.
        place = np.arange(places)
        upto = (place[None, :] <= place[:, None]) & inside[:, None, :]
        had = np.where(upto, items[:, None, :], items[:, :1, None])
        return _tensors((*encoder, targets, weights, had))
    shared = np.broadcast_to(negatives.items, (len(items), len(negatives.items)))
    candidates = np.ascontiguousarray(np.hstack([targets, shared]))
    own = users.matrix(np.bool_)[:, negatives.items].toarray()
    corrections = np.where(own, NEVER, negatives.corrections)
    return _tensors((*encoder, candidates, features[candidates], weights, corrections))


def _tensors(arrays: tuple[npt.NDArray[np.generic], ...]) -> Batch:
    return tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)
