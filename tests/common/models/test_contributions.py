"""What every federated model's contribution must be, whatever the model."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.models import user_step
from recommons.common.models.interface import (
    Arrays,
    FederatedModel,
    NoisySum,
    PublicFigures,
)
from recommons.common.models.registry import build_model
from recommons.common.privacy.mechanism import BlockMechanism

Mechanisms = Callable[..., tuple[BlockMechanism, ...]]
Sums = Mapping[str, np.ndarray]
STEPS = [("als", 8.0, 0), ("als", 8.0, 1), ("als", 8.0, 2), ("als", 1.0, 1), ("ease", 8.0, 0)]


class Round:
    """One round of a model, with the public state of a small population."""

    def __init__(
        self, model: FederatedModel, number: int, mechanisms: Mechanisms, others: Interactions
    ) -> None:
        self.model, self.number = model, number
        done: tuple[Mapping[str, NoisySum], ...] = ()
        for index, requests in enumerate(model.rounds()[:number]):
            blocks = mechanisms(requests)
            sums = model.contribute(index, model.public_state(done), others, blocks)
            values = {
                block.name: NoisySum(
                    values=np.asarray(sums[block.name] * block.grid, np.float64), stddev=0.1
                )
                for block in blocks
            }
            done = (*done, values)
        self.state: Arrays = model.public_state(done)
        self.blocks = mechanisms(model.rounds()[number])

    def sums(self, users: Interactions) -> Sums:
        return self.model.contribute(self.number, self.state, users, self.blocks)


@pytest.fixture(params=STEPS, ids=lambda step: f"{step[0]}-{step[1]:g}-round{step[2]}")
def step(
    request: pytest.FixtureRequest,
    catalogue: Catalogue,
    mechanisms: Mechanisms,
    draw: Callable[..., Interactions],
) -> Round:
    name, epsilon, number = request.param
    figures = PublicFigures(declared_users={"a": 60}, n_items=len(catalogue), epsilon=epsilon)
    options: dict[str, Any] = {"dim": 6} if name == "als" else {}
    model = build_model(name, catalogue, figures, **options)
    return Round(model, number, mechanisms, draw(50, seed=9))


def assert_same(first: Sums, second: Sums) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert first[name].dtype == np.int64
        np.testing.assert_array_equal(first[name], second[name])


def added(parts: Sequence[Sums]) -> Sums:
    return {name: np.sum([part[name] for part in parts], axis=0) for name in parts[0]}


def alone(step: Round, users: Interactions) -> list[Sums]:
    return [step.sums(users.take(np.array([row]))) for row in range(users.n_users)]


def test_the_sum_is_that_of_each_users_own_integers(step: Round, users: Interactions) -> None:
    assert_same(step.sums(users), added(alone(step, users)))


def test_one_more_user_changes_the_sum_by_exactly_that_users_integers(
    step: Round, users: Interactions
) -> None:
    last = users.n_users - 1
    without = step.sums(users.take(np.arange(last)))
    own = step.sums(users.take(np.array([last])))
    assert_same(step.sums(users), added([without, own]))


def test_the_sum_does_not_depend_on_order_or_batches(
    step: Round, users: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = step.sums(users)
    order = np.random.default_rng(2).permutation(users.n_users)
    assert_same(step.sums(users.take(order)), whole)
    monkeypatch.setattr(user_step, "BATCH_USERS", 7)
    monkeypatch.setattr(user_step.user_batches, "__defaults__", (7,))
    assert_same(step.sums(users), whole)


def test_the_sum_does_not_depend_on_threads(step: Round, users: Interactions) -> None:
    whole = step.sums(users)
    with ThreadPoolExecutor(4) as pool:
        for again in pool.map(step.sums, [users] * 4):
            assert_same(again, whole)


def test_no_users_give_zeros_and_an_empty_history_adds_none(
    step: Round, users: Interactions
) -> None:
    empty = np.flatnonzero(np.diff(users.indptr) == 0)
    for nobody in (users.take(np.array([], np.int64)), users.take(empty)):
        for block, values in zip(step.blocks, step.sums(nobody).values(), strict=True):
            assert values.shape == (block.size,)
            assert not values.any()


@pytest.mark.parametrize("sensitivity", [1, 3, 100, 2**20])
def test_a_users_integers_stay_within_the_sensitivity_and_near_it(
    step: Round, users: Interactions, mechanisms: Mechanisms, sensitivity: int
) -> None:
    step.blocks = mechanisms(step.model.rounds()[step.number], sensitivity)
    for row, sums in enumerate(alone(step, users)):
        for block in step.blocks:
            squares = sum(int(value) ** 2 for value in sums[block.name])
            assert squares <= sensitivity**2
            if sensitivity == 2**20 and users.indptr[row + 1] > users.indptr[row]:
                assert squares > (0.99 * sensitivity) ** 2


def test_the_public_state_and_the_contribution_are_pure(step: Round, users: Interactions) -> None:
    before = {name: array.copy() for name, array in step.state.items()}
    first = step.sums(users)
    assert_same(step.sums(users), first)
    for name, array in before.items():
        np.testing.assert_array_equal(step.state[name], array)
