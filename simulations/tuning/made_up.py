"""Made-up users over a plan's own catalogue: nobody's data, for trying what a plan asks for.

Items have a popularity (Zipf's law in a random order) and a place: their public features where
there are any, and random directions beside them, so that tastes are partly, and only partly, what
features tell. A user likes a few places; the chance of an item is its popularity times e to the
power of how near it is to one of them. Lengths of histories are geometric. In time a user goes from
one taste to the next: what comes soon is more like the last than like the rest, and most gaps are
short.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.models.content import tower_features

__all__ = ["made_up_users"]

_RANK = 24
_TASTES = 2
_SHARPNESS = 4.0
_ZIPF = 0.9
_MEAN_LENGTH = 30
_LEAST_LENGTH = 5
_DRIFT = 0.3
"""Standard deviation of what blurs the order of a user's items, whose likeness is at most 1."""

_GAP, _GAP_SPREAD = 8.0, 3.0
"""Mean and standard deviation of the logarithm of a gap in seconds: an hour, give or take much."""

_MICROSECONDS = 1e6  # in a second

_CHUNK = 256


def made_up_users(catalogue: Catalogue, users: int, rng: np.random.Generator) -> Interactions:
    """So many users with five items or more, where the catalogue has as many, with times.

    Args:
        catalogue: The public catalogue.
        users: How many.
        rng: Draws everything.
    """
    items = len(catalogue)
    places = _places(catalogue, rng)
    popularity = -_ZIPF * np.log(1.0 + rng.permutation(items))
    rows, columns, times = [], [], []
    for start in range(0, users, _CHUNK):
        count = min(_CHUNK, users - start)
        liked = places[rng.integers(items, size=(count, _TASTES))]
        near = liked @ places.T
        keys = popularity + _SHARPNESS * near.max(axis=1) + rng.gumbel(size=(count, items))
        lengths = _LEAST_LENGTH + rng.geometric(1 / _MEAN_LENGTH, size=count)
        order = np.argsort(-keys, axis=1)
        for row in range(count):
            own = order[row, : min(int(lengths[row]), items)]
            turn = near[row, -1, own] - near[row, 0, own] + _DRIFT * rng.standard_normal(len(own))
            gaps = rng.lognormal(_GAP, _GAP_SPREAD, size=len(own))
            columns.append(own[np.argsort(turn)])
            times.append(np.cumsum(1 + (_MICROSECONDS * gaps).astype(np.int64)))
            rows.append(np.full(len(own), start + row))
    return _timed(
        np.concatenate(rows), np.concatenate(columns), np.concatenate(times), users, items
    )


def _timed(
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    times: npt.NDArray[np.int64],
    users: int,
    items: int,
) -> Interactions:
    """Distinct pairs of user and item, each with its time."""
    whole = Interactions.from_pairs(rows, columns, n_users=users, n_items=items)
    return replace(whole, times=times[np.lexsort((columns, rows))])


def _places(catalogue: Catalogue, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Unit vectors, shape ``(m, …)``: features and random directions in equal parts."""
    drawn = _unit(rng.standard_normal((len(catalogue), _RANK)))
    features = tower_features(catalogue, min(_RANK, len(catalogue) - 1))
    if not features.size:
        return drawn
    return _unit(np.hstack([_unit(features), drawn]))


def _unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
