"""Splits: strong generalisation, seeded, by time."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.data.interactions import Interactions
from recommons.common.data.splits import TEST, TRAIN, VALIDATION, Roles, apply_roles, draw_roles
from recommons.common.errors import DataError, InvalidInput


def random_interactions(seed: int, users: int = 60, items: int = 40) -> Interactions:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, items, users)
    rows = np.repeat(np.arange(users), sizes)
    columns = np.concatenate([rng.permutation(items)[:n] for n in sizes])
    return Interactions.from_pairs(rows, columns, n_users=users, n_items=items)


def sets(interactions: Interactions) -> list[set[int]]:
    bounds = interactions.indptr
    return [set(interactions.indices[a:b].tolist()) for a, b in pairwise(bounds)]


@given(st.integers(0, 10_000))
def test_every_user_has_one_role_and_no_pair_is_lost(seed: int) -> None:
    whole = random_interactions(seed)
    split = apply_roles(whole, draw_roles(whole, np.random.default_rng(seed)))
    groups = (split.train_users, split.validation.users, split.test.users)
    assert sorted(np.concatenate(groups)) == list(range(whole.n_users))
    histories = sets(whole)
    assert sets(split.train) == [histories[u] for u in split.train_users]
    for group in (split.validation, split.test):
        shown, hidden = sets(group.fold_in), sets(group.held_out)
        for user, seen, wanted in zip(group.users, shown, hidden, strict=True):
            assert seen | wanted == histories[user]
            assert not seen & wanted
            assert len(wanted) == max(1, round(0.2 * len(histories[user])))


@given(st.integers(0, 10_000))
def test_a_tenth_of_the_eligible_users_is_in_each_group(seed: int) -> None:
    whole = random_interactions(seed)
    roles = draw_roles(whole, np.random.default_rng(seed))
    sizes = np.diff(whole.indptr)
    count = int((sizes >= 5).sum()) // 10
    assert (roles.of_user == VALIDATION).sum() == count
    assert (roles.of_user == TEST).sum() == count
    assert (sizes[roles.of_user != TRAIN] >= 5).all()


def test_the_same_seed_gives_the_same_split_and_another_seed_another() -> None:
    whole = random_interactions(0)
    first, again, other = (draw_roles(whole, np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(first.of_user, again.of_user)
    assert np.array_equal(first.hidden, again.hidden)
    assert not np.array_equal(first.of_user, other.of_user)


def test_the_hidden_items_are_the_last_in_time() -> None:
    whole = random_interactions(3)
    times = np.random.default_rng(4).permutation(len(whole.indices)).astype(np.int64)
    roles = draw_roles(whole, np.random.default_rng(5), times=times)
    compared = 0
    for user in np.flatnonzero(roles.of_user != TRAIN):
        part = slice(whole.indptr[user], whole.indptr[user + 1])
        hidden = roles.hidden[part]
        assert times[part][hidden].min() > times[part][~hidden].max()
        compared += 1
    assert compared > 0


def test_equal_times_are_decided_by_the_seed() -> None:
    whole = random_interactions(3)
    times = np.zeros(len(whole.indices), np.int64)
    first, other = (
        draw_roles(whole, np.random.default_rng(s), times=times, users_share=0.5) for s in (1, 2)
    )
    both = (first.of_user != TRAIN) & (other.of_user != TRAIN)
    pairs = np.repeat(both, np.diff(whole.indptr))
    assert not np.array_equal(first.hidden[pairs], other.hidden[pairs])


def test_without_times_the_hidden_items_are_drawn_evenly() -> None:
    # 4000 users with items 0..9, two of them hidden: each item is hidden with probability 1/5.
    users = 4000
    rows = np.repeat(np.arange(users), 10)
    whole = Interactions.from_pairs(rows, np.tile(np.arange(10), users), n_users=users, n_items=10)
    roles = draw_roles(whole, np.random.default_rng(0), users_share=0.5)
    counts = np.bincount(whole.indices[roles.hidden], minlength=10)
    assert counts.sum() == 2 * users
    deviation = (counts - 800) / np.sqrt(users * 0.2 * 0.8)
    assert np.abs(deviation).max() < 4


def test_too_few_users_with_enough_items_are_refused() -> None:
    rows = np.repeat(np.arange(2), 5)
    whole = Interactions.from_pairs(rows, np.tile(np.arange(5), 2), n_users=2, n_items=5)
    with pytest.raises(DataError) as caught:
        draw_roles(whole, np.random.default_rng(0))
    assert caught.value.code == "data/too-few-users"


@pytest.mark.parametrize(
    ("of_user", "hidden"),
    [
        ([TRAIN, TEST, TEST], [False, True, False]),
        ([TRAIN, TEST], [False, True]),
        ([TRAIN, TEST], [True, False, False]),
    ],
    ids=["a user too many", "a pair too few", "a hidden pair of a training user"],
)
def test_roles_that_do_not_fit_are_refused(of_user: list[int], hidden: list[bool]) -> None:
    whole = Interactions.from_pairs(np.array([0, 1, 1]), np.array([0, 0, 1]), n_users=2, n_items=2)
    flags: npt.NDArray[np.bool_] = np.array(hidden)
    with pytest.raises(InvalidInput):
        apply_roles(whole, Roles(of_user=np.array(of_user, np.int8), hidden=flags))
