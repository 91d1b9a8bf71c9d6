"""Users' histories as batches of tensors, each user's part a function of that user alone.

Which of a user's items a round hides from the user tower, and which it asks for, follows from the
user's own items, the public seed and the round: integer hashes, no generator whose state another
user might move.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recommons.common.data.interactions import Interactions

__all__ = ["History", "Reading", "mix", "read_histories"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_GOLDEN = 0x9E3779B97F4A7C15
_INTERVAL = 2.0**-53


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How histories are read in one round.

    Attributes:
        most_items: L, most items of a history that are read; of longer ones a hash chooses.
        most_targets: Most items a user is asked for.
        hide: Mean share of a history that is hidden from the user tower and asked for; a user's
            own share is uniform between 0 and twice this (at most 1). At 0 nothing is hidden and
            every item is asked for.
        batch_cells: Users × longest history of a batch, at most (one user is always let in).
        batch_users: Users of a batch, at most.
        seed: The plan's.
        round: The round.
    """

    most_items: int
    most_targets: int
    hide: float
    batch_cells: int
    batch_users: int
    seed: int
    round: int


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class History:
    """A batch of users, padded.

    Attributes:
        items: int64, shape ``(n, L)``: what the user tower sees; 0 where padded.
        weights: float64, shape ``(n, L)``: 1/√(number of items seen), 0 where padded.
        features: float64, shape ``(n, r)``: mean public features of the items seen.
        seen: CSR of what is seen, shape ``(n, m)``.
        targets: int64, shape ``(n, T)``: what is asked for; 0 where padded.
        target_weights: float64, shape ``(n, T)``: 1/(number asked for), 0 where padded.
        own: CSR of the users' whole histories, shape ``(n, m)``.
    """

    items: Integers
    weights: Floats
    features: Floats
    seen: sp.csr_array
    targets: Integers
    target_weights: Floats
    own: sp.csr_array


def read_histories(users: Interactions, features: Floats, reading: Reading) -> Iterator[History]:
    """The users who have something to see and something to be asked for, shortest first.

    Args:
        users: Histories.
        features: Public item features, float64, shape ``(m, r)``.
        reading: How to read them.
    """
    seen, asked = _roles(users, reading)
    lengths = np.diff(seen.indptr)
    wanted = np.diff(asked.indptr)
    order = np.argsort(lengths, kind="stable")
    order = order[(lengths[order] > 0) & (wanted[order] > 0)]
    whole = users.matrix(np.bool_)
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < min(len(order), start + reading.batch_users) and (
            (stop + 1 - start) * int(lengths[order[stop]]) <= reading.batch_cells
        ):
            stop += 1
        rows = order[start:stop]
        yield _batch(seen[rows], asked[rows], whole[rows], features)
        start = stop


def _roles(users: Interactions, reading: Reading) -> tuple[sp.csr_array, sp.csr_array]:
    """What each user's tower sees, and what the user is asked for."""
    row = np.repeat(np.arange(users.n_users), np.diff(users.indptr))
    items = users.indices.astype(np.uint64)
    salt = mix(np.array([(reading.seed + reading.round * _GOLDEN) % 2**64], np.uint64))
    person = np.zeros(users.n_users, np.uint64)
    np.add.at(person, row, mix(items ^ salt))  # modulo 2^64: the same in any order
    person = mix(person + salt)
    cell = mix(mix(items + person[row]) ^ salt)
    kept = _first(row, cell, users.n_users, reading.most_items)
    hidden = np.zeros(len(row), np.bool_)
    if reading.hide:
        share = np.minimum(1.0, 2 * reading.hide) * _unit(mix(person ^ _word(0x5EED)))
        hidden = _unit(mix(cell)) < share[row]
    asked = np.flatnonzero(hidden) if reading.hide else np.arange(len(row))
    order = mix(cell[asked] ^ _word(0xA5))
    asked = asked[_first(row[asked], order, users.n_users, reading.most_targets)]
    return _matrix(users, row, np.flatnonzero(kept & ~hidden)), _matrix(users, row, asked)


def _first(row: Integers, key: Words, n_users: int, most: int) -> npt.NDArray[np.bool_]:
    """True for the `most` smallest keys of each row."""
    order = np.lexsort((key, row))
    counts = np.bincount(row, minlength=n_users)
    rank = np.empty(len(row), np.int64)
    rank[order] = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rank < most


def _matrix(users: Interactions, row: Integers, chosen: Integers) -> sp.csr_array:
    indptr = np.zeros(users.n_users + 1, np.int64)
    np.cumsum(np.bincount(row[chosen], minlength=users.n_users), out=indptr[1:])
    shape = (users.n_users, users.n_items)
    return sp.csr_array((np.ones(len(chosen)), users.indices[chosen], indptr), shape=shape)


def _batch(seen: sp.csr_array, asked: sp.csr_array, own: sp.csr_array, features: Floats) -> History:
    lengths = np.diff(seen.indptr)
    items, mask = _padded(seen)
    targets, target_mask = _padded(asked)
    # SciPy adds a row's items in the row's own order: the same in any company.
    means = (seen @ features) / lengths[:, None]
    return History(
        items=items,
        weights=mask / np.sqrt(lengths)[:, None],
        features=np.ascontiguousarray(means),
        seen=seen,
        targets=targets,
        target_weights=target_mask / np.diff(asked.indptr)[:, None],
        own=own,
    )


def _padded(rows: sp.csr_array) -> tuple[Integers, Floats]:
    lengths = np.diff(rows.indptr)
    inside = np.arange(lengths.max(initial=1)) < lengths[:, None]
    items = np.zeros(inside.shape, np.int64)
    items[inside] = rows.indices
    return items, inside.astype(np.float64)


def _word(value: int) -> np.uint64:
    return np.uint64(value)


def mix(words: Words) -> Words:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014), modulo 2^64."""
    words = words + _word(_GOLDEN)
    words = (words ^ (words >> _word(30))) * _word(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> _word(27))) * _word(0x94D049BB133111EB)
    return words ^ (words >> _word(31))


def _unit(words: Words) -> Floats:
    """In [0, 1)."""
    return (words >> _word(11)).astype(np.float64) * _INTERVAL
