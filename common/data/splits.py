"""Strong generalisation: validation and test users are never trained on.

A part of each such user's items is hidden; the rest is what a model may see to recommend (the
fold-in). The protocol is that of Liang et al. 2018, "Variational autoencoders for collaborative
filtering", section 4.1, with the *latest* items hidden where times are known.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from recommons.common.data.interactions import Interactions
from recommons.common.errors import DataError, InvalidInput

__all__ = [
    "TEST",
    "TRAIN",
    "VALIDATION",
    "HeldOutUsers",
    "Roles",
    "Split",
    "apply_roles",
    "draw_roles",
]

TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Roles:
    """Who trains, who is evaluated, and which pairs are hidden.

    Attributes:
        of_user: int8, shape ``(n_users,)``: `TRAIN`, `VALIDATION` or `TEST`.
        hidden: bool, aligned with ``Interactions.indices``; true only in rows that do not train.
        source: ``benchmark`` for a fixed split that came with the data, else ``drawn``.
    """

    of_user: npt.NDArray[np.int8] = field(repr=False)
    hidden: npt.NDArray[np.bool_] = field(repr=False)
    source: Literal["benchmark", "drawn"] = "drawn"


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldOutUsers:
    """Users kept from training, row by row.

    Attributes:
        users: int64, each row's position in the whole data set, ascending.
        fold_in: What a model may see of them.
        held_out: What it should find; disjoint from `fold_in`, row by row.
    """

    users: npt.NDArray[np.int64] = field(repr=False)
    fold_in: Interactions = field(repr=False)
    held_out: Interactions = field(repr=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """A data set divided into training, validation and test users.

    Attributes:
        train_users: int64, each training row's position in the whole data set, ascending.
        train: Full histories of the training users.
        validation: Validation users.
        test: Test users.
        source: Where the roles came from.
    """

    train_users: npt.NDArray[np.int64] = field(repr=False)
    train: Interactions = field(repr=False)
    validation: HeldOutUsers
    test: HeldOutUsers
    source: Literal["benchmark", "drawn"]


def apply_roles(interactions: Interactions, roles: Roles) -> Split:
    """Divide the users as the roles say.

    Raises:
        InvalidInput: The roles are of another shape, or hide a pair of a training user.
    """
    if len(roles.of_user) != interactions.n_users or len(roles.hidden) != len(interactions.indices):
        raise InvalidInput("input/argument", "roles are not of the shape of these interactions")
    role_of_pair = np.repeat(roles.of_user, np.diff(interactions.indptr))
    if np.any(roles.hidden & (role_of_pair == TRAIN)):
        raise InvalidInput("input/argument", "roles hide pairs of training users")
    train_users = np.flatnonzero(roles.of_user == TRAIN)
    shown = interactions.where(~roles.hidden)
    hidden = interactions.where(roles.hidden)

    def group(role: int) -> HeldOutUsers:
        users = np.flatnonzero(roles.of_user == role)
        return HeldOutUsers(users=users, fold_in=shown.take(users), held_out=hidden.take(users))

    return Split(
        train_users=train_users,
        train=shown.take(train_users),
        validation=group(VALIDATION),
        test=group(TEST),
        source=roles.source,
    )


def draw_roles(
    interactions: Interactions,
    rng: np.random.Generator,
    *,
    times: npt.NDArray[np.int64] | None = None,
    users_share: float = 0.1,
    items_share: float = 0.2,
    least_items: int = 5,
) -> Roles:
    """Draw validation and test users, and hide the last of each one's items.

    Args:
        interactions: All users.
        rng: Draws the users, and the items where times are missing or equal.
        times: When each pair first occurred, aligned with ``interactions.indices``; without it
            the hidden items are drawn.
        users_share: Share of the eligible users in each of the two groups, rounded down, at least
            one user.
        items_share: Share of a user's distinct items that is hidden, rounded to the nearest whole
            number, at least one.
        least_items: Users with fewer distinct items always train.

    Raises:
        DataError: Fewer than three users are eligible.
    """
    sizes = np.diff(interactions.indptr)
    eligible = np.flatnonzero(sizes >= least_items)
    if len(eligible) < 3:
        raise DataError(
            "data/too-few-users",
            f"{len(eligible)} users have {least_items} or more distinct items; a split into "
            "training, validation and test users requires at least 3",
        )
    count = max(1, int(users_share * len(eligible) + 1e-9))
    drawn = rng.permutation(eligible)[: 2 * count]
    of_user = np.full(interactions.n_users, TRAIN, np.int8)
    of_user[drawn[:count]] = VALIDATION
    of_user[drawn[count:]] = TEST
    wanted = np.where(of_user == TRAIN, 0, np.maximum(1, np.rint(items_share * sizes))).astype(int)
    return Roles(of_user=of_user, hidden=_last_of_each(interactions, wanted, times, rng))


def _last_of_each(
    interactions: Interactions,
    wanted: npt.NDArray[np.int64],
    times: npt.NDArray[np.int64] | None,
    rng: np.random.Generator,
) -> npt.NDArray[np.bool_]:
    """Mark the last ``wanted[u]`` pairs of each user in order of time, equal times at random."""
    sizes = np.diff(interactions.indptr)
    concerned = np.flatnonzero(np.repeat(wanted > 0, sizes))
    rows = np.repeat(np.arange(interactions.n_users), sizes)[concerned]
    lots = rng.random(len(concerned))
    keys = (lots, rows) if times is None else (lots, times[concerned], rows)
    ordered = np.lexsort(keys)
    rows = rows[ordered]
    first = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=interactions.n_users))))
    rank_from_end = first[rows + 1] - 1 - np.arange(len(rows))
    hidden = np.zeros(len(interactions.indices), np.bool_)
    hidden[concerned[ordered[rank_from_end < wanted[rows]]]] = True
    return hidden
