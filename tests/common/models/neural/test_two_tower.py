"""The two-tower model: the contract of every model, and what a summed block must keep."""

import json

import numpy as np
import pytest
import torch

from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput, PrivacyError
from recommons.common.models.interface import NoisySum, PublicFigures
from recommons.common.models.neural.soundness import check_sound
from recommons.common.models.neural.tower_scoring import TowerScorer
from recommons.common.models.neural.two_tower import TwoTowerModel, TwoTowerSettings
from tests.common.models.neural.conftest import (
    ITEMS,
    KINDS,
    USERS,
    VARIANTS,
    Course,
    make_catalogue,
    make_model,
    make_users,
)


def batches(course: Course, users: Interactions) -> list[tuple[torch.Tensor, ...]]:
    from recommons.common.models.neural.batches import Negatives, tower_batches

    model, number = course.model, len(course.done)
    negatives = Negatives.of_state(course.state())
    return list(tower_batches(users, model._features, model._reading(number), negatives))


def module(course: Course) -> torch.nn.Module:
    return course.model._module(course.state())


def test_every_shipped_module_is_sound_and_ghost_clippable(
    course: Course, users: Interactions
) -> None:
    (batch,) = batches(course, users)
    probe = tuple(tensor[-4:] for tensor in batch)
    check_sound(module(course), probe, ghost_only=not course.model._candidates)
    check_sound(module(course), probe, clipping="hooks")


def test_settings_describe_the_model_and_survive_json() -> None:
    for name in VARIANTS:
        model = make_model(name)
        settings = json.loads(json.dumps(model.settings()))
        again = TwoTowerModel.from_settings(settings, make_catalogue())
        assert again.options == model.options
        with pytest.raises(InvalidInput):
            TwoTowerModel.from_settings(settings | {"unknown": 1}, make_catalogue())


def test_shares_add_up_and_states_and_sums_have_the_announced_shapes(course: Course) -> None:
    model = course.model
    shares = [block.share for blocks in model.rounds() for block in blocks]
    assert sum(shares) == pytest.approx(1.0)
    assert len(model.sampling()) == len(model.rounds())
    assert model.sampling()[-model.options.steps :] == (0.5,) * model.options.steps
    assert set(model.sampling()[: -model.options.steps]) == {None}
    for number in range(len(course.done) + 1):
        shapes = model.state_shapes(number)
        state = model.public_state(course.done[:number])
        assert {name: array.shape for name, array in state.items()} == dict(shapes)
        assert all(array.dtype == np.float64 for array in state.values())
    (block,) = course.blocks()
    assert course.sums(course.users)["update"].shape == (block.size,)


def test_one_user_more_moves_the_integers_by_at_most_the_sensitivity(
    course: Course, users: Interactions
) -> None:
    draws = np.random.default_rng(1)
    (block,) = course.blocks()
    for _ in range(6):
        chosen = draws.permutation(USERS)[: int(draws.integers(1, USERS))]
        with_one = course.sums(users.take(chosen))["update"]
        without = course.sums(users.take(chosen[1:]))["update"]
        difference = (with_one - without).astype(object)
        assert int((difference * difference).sum()) <= block.sensitivity**2


@pytest.mark.parametrize("name", ["full", "sampled, deep", "pairwise"])
def test_a_big_user_comes_near_the_sensitivity(name: str, users: Interactions) -> None:
    """So that the bound is not idle: C is small beside the users' gradients."""
    step = Course(make_model(name, clip=1e-2), users).advance()
    (block,) = step.blocks()
    sums = step.sums(users.take(np.array([USERS - 1])))["update"].astype(float)
    assert np.linalg.norm(sums) > 0.99 * block.sensitivity


def test_an_empty_draw_and_empty_histories_give_zeros(course: Course, users: Interactions) -> None:
    for nobody in (np.array([], np.int64), np.flatnonzero(np.diff(users.indptr) == 0)):
        sums = course.sums(users.take(nobody))
        assert not sums["update"].any()


def test_contributions_are_pure(course: Course, users: Interactions) -> None:
    state = {name: array.copy() for name, array in course.state().items()}
    first = course.sums(users)["update"]
    assert np.array_equal(course.sums(users)["update"], first)
    for name, array in course.state().items():
        np.testing.assert_array_equal(array, state[name])


def test_the_public_state_is_a_pure_function_of_the_sums(course: Course) -> None:
    model = course.model
    fresh = TwoTowerModel(catalogue=model.catalogue, options=model.options)
    for name, array in fresh.public_state(course.done).items():
        np.testing.assert_array_equal(array, course.state()[name])
    # An earlier round after a later one, and another course of the last round.
    earlier = course.done[:-1]
    again = TwoTowerModel(catalogue=model.catalogue, options=model.options)
    for name, array in again.public_state(earlier).items():
        np.testing.assert_array_equal(array, model.public_state(earlier)[name])
    other = NoisySum(values=-course.done[-1]["update"].values, stddev=0.0)
    changed = model.public_state((*earlier, {"update": other}))
    trained = next(iter(model._trained_shapes))
    assert not np.array_equal(changed[trained], course.state()[trained])


def test_a_round_costs_one_step_of_the_optimiser(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0
    original = TwoTowerModel._step

    def counting(self: TwoTowerModel, *given: object, **named: object) -> object:
        nonlocal steps
        steps += 1
        return original(self, *given, **named)  # type: ignore[arg-type]

    course.state()
    monkeypatch.setattr(TwoTowerModel, "_step", counting)
    course.state()
    assert steps == 0
    course.advance()
    course.state()
    assert steps == 1


@pytest.mark.parametrize("name", ["full", "sampled, deep"])
def test_a_state_beyond_its_bounds_is_refused_before_any_user_is_read(name: str) -> None:
    course = Course(make_model(name), make_users()).advance()
    nobody = make_users().take(np.array([], np.int64))
    good = dict(course.state())

    def refused(**changes: np.ndarray) -> None:
        with pytest.raises(InvalidInput) as caught:
            course.model.contribute(1, good | changes, nobody, course.blocks())
        assert caught.value.code == "site/message"

    course.model.contribute(1, good, nobody, course.blocks())
    for parameter in course.model._shapes:
        refused(**{parameter: good[parameter] + 1e3})
        refused(**{parameter: np.full_like(good[parameter], np.nan)})
        refused(**{parameter: good[parameter].astype(np.float32)})
        refused(**{parameter: good[parameter][:-1]})
    if "negatives" in good:
        for wrong in (-1.0, float(ITEMS), 1e300):
            refused(negatives=np.full_like(good["negatives"], wrong))
        refused(corrections=good["corrections"] - 1e6)


def test_users_who_are_all_asked_for_one_item_are_no_special_case() -> None:
    """NumPy lays such candidates out column by column, which Opacus cannot read."""
    course = Course(make_model("sampled", most_targets=1), make_users()).advance()
    (batch,) = batches(course, course.users)
    assert all(tensor.is_contiguous() for tensor in batch)
    assert course.sums(course.users)["update"].any()


def test_more_users_than_planned_for_are_cut(users: Interactions) -> None:
    model = make_model("full", most_users=10)
    course = Course(model, users).advance()
    state, blocks = course.state(), course.blocks()
    whole = model.contribute(1, state, users, blocks)["update"]
    first = model.contribute(1, state, users.take(np.arange(10)), blocks)["update"]
    assert np.array_equal(whole, first)


def test_a_grid_too_coarse_is_refused(users: Interactions) -> None:
    course = Course(make_model("full"), users).advance()
    with pytest.raises(PrivacyError, match="fifth"):
        course.model.contribute(1, course.state(), users, course.blocks(100))


@pytest.mark.parametrize("name", VARIANTS)
def test_training_learns_what_users_like(name: str) -> None:
    """Likelihood of hidden items, of users who were not trained on, before and after."""
    many = 400
    settings = {"steps": 25, "rate": 1.0, "users": many, "most_users": many, "clip": 1.0}
    course = Course(make_model(name, **settings, learning_rate=0.04), make_users(users=many))
    start = len(course.model.rounds()) - 25
    before = likelihood(course.advance(start))
    assert likelihood(course.advance(25)) > before + 0.02


def likelihood(course: Course) -> float:
    others = make_users(seed=7)
    items = others.matrix(np.float64).toarray()
    seen = items * (np.arange(ITEMS) // KINDS % 2 == 0)
    scorer = TowerScorer(release=course.model.release(course.done))
    rows, columns = np.nonzero(seen)
    histories = Interactions.from_pairs(rows, columns, n_users=USERS, n_items=ITEMS)
    scores = scorer.score(histories).astype(np.float64)
    scores[seen > 0] = -1e9
    logs = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    hidden = items - seen
    return float((logs * hidden).sum() / hidden.sum())


def test_released_vectors_score_as_the_towers_do(course: Course, users: Interactions) -> None:
    scorer = TowerScorer(release=course.model.release(course.done))
    known = users.take(np.flatnonzero(np.diff(users.indptr) > 0))
    scores = scorer.score(known)
    towers = module(course)
    row = np.diff(known.indptr)
    features = known.matrix(np.float64) @ course.model._features / row[:, None]
    for user in range(known.n_users):
        items = torch.from_numpy(known.indices[known.indptr[user] : known.indptr[user + 1]])
        weights = torch.full((1, len(items)), float(len(items)) ** -0.5, dtype=torch.float64)
        hidden = towers.user(  # type: ignore[operator]
            items.long()[None], weights, torch.from_numpy(features[user : user + 1])
        )
        if course.model.options.loss == "full-softmax":
            expected = towers.out(hidden)  # type: ignore[operator]
            if towers.fuse is not None:
                expected = expected + towers.fuse(hidden) @ towers.item_features.T  # type: ignore[operator]
        else:
            every = torch.arange(ITEMS)[None]
            vectors = towers.vectors(every, torch.from_numpy(course.model._features)[None])  # type: ignore[operator]
            expected = (vectors * hidden[:, None]).sum(2) + towers.bias(every)[:, :, 0]  # type: ignore[operator]
        np.testing.assert_allclose(scores[user], expected.detach()[0], rtol=1e-4, atol=1e-4)


def test_every_item_has_a_vector_from_its_content_alone(users: Interactions) -> None:
    """An item nobody has is scored by what it is."""
    course = Course(make_model("full"), users).advance(2)
    arrays = course.model.release(course.done).arrays
    assert np.linalg.norm(arrays["outputs"], axis=1).min() > 0.1


def test_defaults_are_functions_of_public_figures() -> None:
    for epsilon, items in ((8.0, 3000), (float("inf"), 3000), (1.0, 50_000)):
        figures = PublicFigures(declared_users={"a": 100, "b": 900}, n_items=items, epsilon=epsilon)
        options = TwoTowerSettings.choose(figures)
        assert options == TwoTowerSettings.choose(figures)
        assert options.users == 1000
        assert (options.loss == "full-softmax") == (items < 12_000)


@pytest.mark.parametrize(
    "change",
    [
        {"dim": 0},
        {"rate": 0.0},
        {"rate": 1.5},
        {"hide": 1.0},
        {"warm_share": 0.0},
        {"clip": float("inf")},
        {"negatives": 5},
        {"loss": "pairwise"},
        {"fusion": "deep", "fusion_hidden": 3},
        {"fusion_hidden": 3},
        {"warm": "als"},
        {"learning_rate": 0.0},
    ],
)
def test_settings_that_do_not_fit_together_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        make_model("full", **change)
