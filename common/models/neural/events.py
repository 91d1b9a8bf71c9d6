"""A user's last events in order: what the sequence model reads, in training and in serving.

Events are in order of time. Where times are equal, or unknown, a hash of the item and the plan's
seed decides: never the item's number, which may tell who bought what first.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommons.common.data.interactions import Interactions
from recommons.common.models.neural.histories import mix
from recommons.common.models.neural.shapes import GAPS, KINDS

__all__ = ["Events", "gap_steps", "last_events"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Events:
    """Users' last events, oldest first, padded behind.

    Attributes:
        items: int64, shape ``(n, L)``, 0 where padded.
        kinds: int64, shape ``(n, L)``.
        times: int64, shape ``(n, L)``; zeros where unknown.
        lengths: int64, shape ``(n,)``.
    """

    items: Integers
    kinds: Integers
    times: Integers
    lengths: Integers


def last_events(users: Interactions, most: int, *, seed: int) -> Events:
    """The last events of every user.

    Args:
        users: Histories, with times and kinds where known.
        most: At most so many a user.
        seed: The plan's: of the order of events at one time.
    """
    lengths = np.diff(users.indptr)
    row = np.repeat(np.arange(users.n_users), lengths)
    salt = np.array([seed % 2**64], np.uint64)
    lots = mix(mix(users.indices.astype(np.uint64)) ^ mix(salt))
    keys = (lots, row) if users.times is None else (lots, users.times, row)
    order = np.lexsort(keys)
    place = np.arange(len(row)) - users.indptr[row] - np.maximum(lengths - most, 0)[row]
    chosen = order[place >= 0]  # `order` keeps rows together and in place
    row, place = row[place >= 0], place[place >= 0]
    kept = np.minimum(lengths, most)
    shape = (users.n_users, int(kept.max(initial=1)))

    def padded(values: npt.NDArray[np.integer] | None) -> Integers:
        filled = np.zeros(shape, np.int64)
        if values is not None:
            filled[row, place] = values[chosen]
        return filled

    return Events(
        items=padded(users.indices),
        kinds=np.clip(padded(users.kinds), 0, KINDS - 1),
        times=padded(users.times),
        lengths=kept.astype(np.int64),
    )


def gap_steps(later: Integers, earlier: Integers) -> Integers:
    """0 for the same time, then 1 + ⌊log₄⌋ of the time between: exact, in integers."""
    powers = np.left_shift(np.int64(1), np.arange(0, 62, 2, dtype=np.int64))
    between = np.maximum(later - earlier, 0)
    steps = np.searchsorted(powers, between, side="right").astype(np.int64)
    return np.asarray(np.minimum(steps, GAPS - 1), np.int64)
