"""The bound on rounding, against the same gradients in extended precision."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from recommons.common.data.interactions import Interactions
from recommons.common.models.neural.batches import Negatives, tower_batches
from recommons.common.models.neural.clipping import clipped_sum
from recommons.common.models.neural.integers import SumError
from recommons.common.models.neural.rounding import gradient_error
from recommons.common.models.neural.shapes import REACH, TowerShape
from recommons.common.models.neural.towers import _pooled
from recommons.common.models.neural.two_tower import TwoTowerModel
from recommons.common.models.neural.warm_starts import bounded
from tests.common.models.neural.conftest import Course, make_model, make_users

Long = npt.NDArray[np.longdouble]
STATES = ("as trained", "at its bounds", "saturated", "tiny")


def state_of(model: TwoTowerModel, kind: str) -> dict[str, npt.NDArray[np.float64]]:
    draws = np.random.default_rng(3)
    scale = {"as trained": 0.5, "at its bounds": 1e6, "saturated": 8.0, "tiny": 1e-9}[kind]
    shapes = model._shapes.items()
    return bounded({name: scale * draws.standard_normal(shape) for name, shape in shapes})


def exact_sum(
    state: dict[str, npt.NDArray[np.float64]],
    features: npt.NDArray[np.float64],
    batch: tuple[torch.Tensor, ...],
    clip: float,
) -> dict[str, Long]:
    """The clipped sum of `FullTowers` without user layers, by hand, in 64 bits of mantissa."""
    theta = {name: value.astype(np.longdouble) for name, value in state.items()}
    items, weights, means, targets, excluded = (tensor.numpy() for tensor in batch)
    public = features.astype(np.longdouble)
    total = {name: np.zeros(value.shape, np.longdouble) for name, value in theta.items()}
    for user in range(len(items)):
        # What every batch agrees on to the last bit is where the exact gradient begins.
        table = torch.from_numpy(state["user.table.weight"])
        own = tuple(tensor[user : user + 1] for tensor in batch[:2])
        pooled = _pooled(table[own[0]], own[1]).numpy()[0].astype(np.longdouble)
        mean = means[user].astype(np.longdouble)
        bent = np.tanh((pooled + theta["user.content.weight"] @ mean) / np.longdouble(REACH))
        hidden = REACH * bent
        vectors = theta["out.weight"] + public @ theta["fuse.weight"]
        scores = np.where(excluded[user], -np.inf, vectors @ hidden + theta["out.bias"])
        odds = np.exp(scores - scores.max())
        target = targets[user].astype(np.longdouble)
        delta = odds / odds.sum() * target.sum() - target
        by_user = (vectors.T @ delta) * (1 - bent**2)
        gradient = {name: np.zeros(value.shape, np.longdouble) for name, value in theta.items()}
        np.add.at(
            gradient["user.table.weight"], items[user], weights[user][:, None] * by_user[None]
        )
        gradient["user.content.weight"] = np.outer(by_user, mean)
        gradient["out.weight"] = np.outer(delta, hidden)
        gradient["out.bias"] = delta
        gradient["fuse.weight"] = np.outer(public.T @ delta, hidden)
        norm = np.sqrt(sum(((part**2).sum() for part in gradient.values()), np.longdouble(0)))
        for name, part in gradient.items():
            total[name] += part * min(np.longdouble(1), clip / (norm + np.longdouble(1e-6)))
    return total


@pytest.mark.parametrize("kind", STATES)
@pytest.mark.parametrize("clipping", ["ghost", "hooks"])
def test_the_computed_sum_is_within_its_bound_of_the_exact_one(kind: str, clipping: str) -> None:
    model, users = make_model("full"), make_users()
    state, clip = state_of(model, kind), 0.1
    for chosen in (np.arange(60), np.arange(3, 60, 7)):
        (batch,) = tower_batches(users.take(chosen), model._features, model._reading(1), None)
        expected = exact_sum(state, model._features, batch, clip)
        found = clipped_sum(model._loaded(state), [batch], clip=clip, clipping=clipping)  # type: ignore[arg-type]
        squares = sum(
            float(((found[name].numpy() - expected[name]) ** 2).sum()) for name in expected
        )
        assert squares**0.5 <= model.error.bound(clip)
        if kind == "as trained":
            assert squares > 0  # extended precision does see more


@pytest.mark.parametrize("kind", STATES)
def test_company_and_padding_move_a_users_pooled_history_by_nothing(kind: str) -> None:
    model, users = make_model("full"), make_users()
    table = torch.from_numpy(state_of(model, kind)["user.table.weight"])
    draws = np.random.default_rng(5)
    alone = {}
    for user in range(users.n_users):
        for batch in tower_batches(
            users.take(np.array([user])), model._features, model._reading(1), None
        ):
            alone[user] = (_pooled(table[batch[0]], batch[1])[0], batch[2][0])
    assert len(alone) > 40
    for _ in range(5):
        chosen = draws.permutation(sorted(alone))[: int(draws.integers(2, 40))]
        (batch,) = tower_batches(users.take(chosen), model._features, model._reading(1), None)
        pooled = _pooled(table[batch[0]], batch[1])
        rows = {tuple(row.tolist()) for row in pooled}
        assert rows == {tuple(alone[user][0].tolist()) for user in chosen}
        means = {tuple(row.tolist()) for row in batch[2]}
        assert means == {tuple(alone[user][1].tolist()) for user in chosen}


def test_a_reduction_would_not_have_that_property() -> None:
    """Why `_pooled` adds position after position: the pitfall itself."""
    draws = torch.Generator().manual_seed(0)
    seen = torch.randn((64, 300, 6), generator=draws, dtype=torch.float64)
    weights = torch.rand((64, 300), generator=draws, dtype=torch.float64)
    weights[:, 150:] = 0
    ones = torch.rand((64, 300), generator=draws, dtype=torch.float64)
    table = torch.randn((300, 6), generator=draws, dtype=torch.float64)
    product = torch.cat([ones[u : u + 1] @ table for u in range(64)])
    summed = torch.cat(
        [(seen[u : u + 1, :150] * weights[u : u + 1, :150, None]).sum(1) for u in range(64)]
    )
    same = (
        torch.equal(ones @ table, product),
        torch.equal((seen * weights[:, :, None]).sum(1), summed),
    )
    assert not all(same)
    by_position = torch.cat(
        [_pooled(seen[u : u + 1, :150], weights[u : u + 1, :150]) for u in range(64)]
    )
    assert torch.equal(_pooled(seen, weights), by_position)


def test_one_user_moves_the_float_sum_by_at_most_the_clip_and_twice_the_bound() -> None:
    """At the bounds of the state, where gradients are largest and every user is clipped."""
    users = make_users()
    for name in ("full", "sampled, deep", "pairwise", "full, wide"):
        course = Course(make_model(name), users).advance()
        model = course.model
        towers = model._loaded(state_of(model, "at its bounds"))
        negatives = Negatives.of_state(course.state())

        def added(
            some: Interactions,
            model: TwoTowerModel = model,
            towers: torch.nn.Module = towers,
            negatives: Negatives | None = negatives,
        ) -> npt.NDArray[np.float64]:
            batches = tower_batches(some, model._features, model._reading(1), negatives)
            sums = clipped_sum(towers, batches, clip=0.1)
            return np.concatenate([tensor.numpy().ravel() for tensor in sums.values()])

        for last in (10, 30, 59):
            whole = added(users.take(np.arange(last + 1)))
            difference = whole - added(users.take(np.arange(last)))
            assert np.linalg.norm(difference) <= 0.1 + 2 * model.error.bound(0.1)


def test_the_bound_grows_with_whatever_makes_rounding_worse() -> None:
    shape = {"items": 1000, "dim": 32, "features": 16}
    other = {"largest_feature": 1.0, "most_history": 100, "most_candidates": 1000, "users": 100}

    def bound(**changes: object) -> float:
        sizes = {name: changes.pop(name, value) for name, value in shape.items()}
        rest = {name: changes.pop(name, value) for name, value in other.items()}
        error: SumError = gradient_error(TowerShape(**sizes, **changes), **rest)  # type: ignore[arg-type]
        return error.bound(0.1)

    plain = bound()
    assert 0 < plain < 1e-4
    for worse in ({"dim": 64}, {"features": 64}, {"largest_feature": 2.0}, {"users": 200},
                  {"most_candidates": 10_000}, {"activation": "identity"}, {"hidden": 8},
                  {"fusion": "deep", "fusion_hidden": 16}):  # fmt: skip
        assert bound(**worse) > plain
