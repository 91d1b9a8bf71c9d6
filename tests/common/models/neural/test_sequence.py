"""The sequence model: soundness, users' integers, what it reads, and that it learns an order."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput, PrivacyError
from recommons.common.models.interface import PublicFigures
from recommons.common.models.neural.batches import Negatives
from recommons.common.models.neural.clipping import Batch
from recommons.common.models.neural.events import gap_steps, last_events
from recommons.common.models.neural.sequence import SequenceModel, SequenceSettings
from recommons.common.models.neural.sequence_scoring import SequenceScorer
from recommons.common.models.neural.soundness import check_sound
from recommons.common.models.neural.user_sums import aligned, user_gradient, users_sum
from recommons.common.privacy.mechanism import BlockMechanism
from tests.common.models.neural.conftest import (
    ITEMS,
    SEQUENCE_VARIANTS,
    USERS,
    Course,
    make_catalogue,
    make_sequence_model,
    make_sequences,
)


def noisy(course: Course) -> tuple[BlockMechanism, ...]:
    return tuple(replace(block, noise_stddev=8.0) for block in course.blocks(2**16))


@pytest.fixture(params=SEQUENCE_VARIANTS)
def course(request: pytest.FixtureRequest) -> Course:
    """A model two steps into its training."""
    model = make_sequence_model(request.param)
    return Course(model, make_sequences()).advance(len(model.rounds()) - 2)


def module(course: Course) -> torch.nn.Module:
    return course.model._module(course.state())


def batches(course: Course, users: Interactions) -> list[Batch]:
    model = course.model
    negatives = Negatives.of_state(course.state())
    return list(model._batches(users, model._reading(len(course.done)), negatives))


def test_every_shipped_module_is_sound_under_ghost_clipping_and_hooks(course: Course) -> None:
    (batch,) = batches(course, course.users)
    probe = tuple(tensor[-4:] for tensor in batch)
    check_sound(module(course), probe, clipping="ghost")
    check_sound(module(course), probe, clipping="hooks")


def test_a_users_integers_are_the_same_in_any_company(course: Course) -> None:
    """Bit for bit: other users, other order, other threads, other places in memory."""
    users, state = course.users, course.state()
    blocks, number = noisy(course), len(course.done)

    def sums(some: Interactions) -> np.ndarray:
        return course.model.contribute(number, state, some, blocks)["update"]

    some = np.array([5, 9, 17, 33, 58])
    alone = {user: sums(users.take(np.array([user]))) for user in some}
    draws = np.random.default_rng(3)
    everyone = sums(users)
    threads = torch.get_num_threads()
    for user in some:
        others = draws.permutation(np.setdiff1d(np.arange(USERS), [user]))
        torch.set_num_threads(3)
        try:
            without = sums(users.take(others))
        finally:
            torch.set_num_threads(threads)
        assert np.array_equal(everyone - without, alone[user])


def test_padding_and_company_would_move_the_floats_of_a_batch() -> None:
    """Why users are computed alone: the last bits of a batch's floats are its own."""
    course = Course(make_sequence_model("full", dim=33), make_sequences(users=400)).advance(2)
    towers = aligned(module(course))
    (batch,) = batches(course, course.users)
    with torch.no_grad():
        together = towers(*batch)
        alone = [towers(*(t[user : user + 1] for t in batch)) for user in range(len(batch[0]))]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-12, atol=1e-12)
    assert not torch.equal(together, torch.cat(alone))


def test_no_users_integers_exceed_the_sensitivity_and_a_big_one_comes_near(course: Course) -> None:
    model = course.model
    blocks = tuple(replace(block, clip=1e-3) for block in noisy(course))
    most = 0.0
    for user in range(0, USERS, 7):
        one = course.users.take(np.array([user]))
        found = model.contribute(len(course.done), course.state(), one, blocks)["update"]
        norm = int(sum(int(value) ** 2 for value in found))
        assert norm <= blocks[0].sensitivity ** 2
        most = max(most, norm**0.5)
    assert most > 0.99 * blocks[0].sensitivity


def test_a_gradient_that_is_not_finite_counts_as_zeros() -> None:
    class Broken(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 1, bias=False).double()

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            losses: torch.Tensor = (self.layer(given) * float("inf"))[:, 0]
            return losses

    block = BlockMechanism(
        name="update", size=2, clip=1.0, sensitivity=100, clamp=2**30, noise_stddev=1.0
    )
    one = (torch.ones(1, 2, dtype=torch.float64),)
    assert not users_sum(Broken(), [one], ["layer.weight"], block).any()


def test_with_noise_and_without_the_sums_agree_but_for_truncation(course: Course) -> None:
    number, state = len(course.done), course.state()
    exact = course.model.contribute(number, state, course.users, noisy(course))["update"]
    plain = course.model.contribute(number, state, course.users, course.blocks(2**16))["update"]
    assert np.abs(exact - plain).max() <= USERS + 1
    assert np.linalg.norm(plain) > 1000


def test_nobody_and_users_of_one_event_give_zeros(course: Course) -> None:
    for blocks in (noisy(course), course.blocks()):
        for few in (np.array([], np.int64), np.array([0, 1])):  # none, no items and one item
            some = course.users.take(few)
            found = course.model.contribute(len(course.done), course.state(), some, blocks)
            assert not found["update"].any()


def test_multihead_attention_is_refused_by_name() -> None:
    class Usual(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = torch.nn.MultiheadAttention(4, 2, batch_first=True).double()

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            losses: torch.Tensor = self.attention(given, given, given)[0].sum((1, 2))
            return losses

    with pytest.raises(PrivacyError, match="attention"):
        check_sound(Usual(), (torch.randn(3, 5, 4, dtype=torch.float64),))


def test_a_padded_row_is_masked_and_not_left_out_by_padding_idx(course: Course) -> None:
    """Item 0 stands where nothing does; those who never had it must not move its row."""
    row = course.model._shapes["user.table.weight"]
    if course.model.options.trained == "fusion":
        pytest.skip("tables are not trained")
    sizes = np.cumsum([0, *(int(np.prod(s)) for s in course.model._trained_shapes.values())])
    start = sizes[list(course.model._trained_shapes).index("user.table.weight")]
    held = course.users.matrix().toarray()[:, 0] > 0
    without = course.users.take(np.flatnonzero(~held))
    for blocks in (noisy(course), course.blocks()):
        found = course.model.contribute(len(course.done), course.state(), without, blocks)
        table = found["update"][start : start + row[0] * row[1]].reshape(row)
        assert not table[0].any()
        assert table[1:].any()


def test_scores_of_a_release_are_those_of_the_module_at_the_last_place(course: Course) -> None:
    """The scorer is written in NumPy without torch: the module says the same."""
    model, users = course.model, course.users
    vectors = SequenceScorer(release=model.release(course.done)).user_vectors(users)
    towers, last = module(course), model.options.most_items
    for user in (4, 20, 40, 59):
        one = last_events(users.take(np.array([user])), last, seed=model.options.seed)
        features = torch.from_numpy(model._features[one.items])
        gaps = torch.from_numpy(gap_steps(one.times[:, :, None], one.times[:, None, :]))
        given = (torch.from_numpy(one.items), features, torch.from_numpy(one.kinds), gaps)
        with torch.no_grad():
            hidden = towers.user(*given, torch.from_numpy(one.lengths[:, None]))  # type: ignore[operator]
        np.testing.assert_allclose(vectors[user], hidden[0, -1].numpy(), rtol=2e-5, atol=2e-5)
    assert SequenceScorer(release=model.release(course.done)).score(users).shape == (USERS, ITEMS)
    assert not vectors[0].any()  # an empty history


def test_the_last_events_are_read_in_order_of_time() -> None:
    users = Interactions(
        indptr=np.array([0, 4, 5]),
        indices=np.array([1, 3, 5, 8, 2], np.int32),
        n_items=9,
        times=np.array([30, 10, 40, 20, 7]),
        kinds=np.array([1, 2, 3, 99, 5], np.int16),
    )
    events = last_events(users, 3, seed=0)
    assert events.items.tolist() == [[8, 1, 5], [2, 0, 0]]
    assert events.times.tolist() == [[20, 30, 40], [7, 0, 0]]
    assert events.kinds.tolist() == [[15, 1, 3], [5, 0, 0]]
    assert events.lengths.tolist() == [3, 1]


def test_events_at_one_time_are_not_ordered_by_the_items_number() -> None:
    """Ids may be numbered by first appearance: their order would tell the future."""
    users = replace(make_sequences(), times=None)
    events = last_events(users, 40, seed=0)
    ascending = [
        bool((np.diff(row[:length]) > 0).all())
        for row, length in zip(events.items, events.lengths, strict=True)
        if length > 3
    ]
    assert np.mean(ascending) < 0.2
    same = replace(users, times=np.full(len(users.indices), 5))
    assert np.array_equal(last_events(same, 40, seed=0).items, events.items)


@pytest.mark.parametrize(
    ("between", "step"), [(-5, 0), (0, 0), (1, 1), (3, 1), (4, 2), (15, 2), (16, 3), (2**62, 31)]
)
def test_gaps_are_steps_of_powers_of_four(between: int, step: int) -> None:
    later, earlier = np.array([between]), np.array([0])
    assert gap_steps(later, earlier).tolist() == [step]


def test_settings_survive_json_and_refuse_what_a_sequence_has_not() -> None:
    for name in SEQUENCE_VARIANTS:
        model = make_sequence_model(name)
        settings = json.loads(json.dumps(model.settings()))
        again = SequenceModel.from_settings(settings, make_catalogue())
        assert again.options == model.options
        for wrong in ({"hide": 0.3}, {"hidden": 4}, {"update_items": 3}, {"decay": 0.0}):
            with pytest.raises(InvalidInput):
                SequenceModel.from_settings(settings | wrong, make_catalogue())


@pytest.mark.parametrize("epsilon", [8.0, float("inf")])
def test_defaults_follow_public_figures_and_what_is_given(epsilon: float) -> None:
    figures = PublicFigures(declared_users={"a": 500, "b": 900}, n_items=300, epsilon=epsilon)
    options = SequenceSettings.choose(figures, given={"most_items": 9})
    assert options.most_items == options.most_targets == 9
    assert options.trained == "fusion"
    assert options.users == 1400


def test_a_state_beyond_its_bounds_is_refused_before_any_user_is_read() -> None:
    course = Course(make_sequence_model("full"), make_sequences()).advance(2)
    nobody = course.users.take(np.array([], np.int64))
    good = dict(course.state())
    for parameter in course.model._shapes:
        for wrong in (good[parameter] + 1e3, np.full_like(good[parameter], np.nan)):
            with pytest.raises(InvalidInput) as caught:
                course.model.contribute(2, good | {parameter: wrong}, nobody, course.blocks())
            assert caught.value.code == "site/message"


def test_the_public_state_is_a_pure_function_of_the_sums(course: Course) -> None:
    model = course.model
    fresh = SequenceModel.from_settings(model.settings(), model.catalogue)
    for name, array in fresh.public_state(course.done).items():
        np.testing.assert_array_equal(array, course.state()[name])
    assert {n: a.shape for n, a in course.state().items()} == dict(
        model.state_shapes(len(course.done))
    )


def chains(users: int, seed: int) -> Interactions:
    """Each walks upwards by one from a random item: only the newest event tells the next."""
    draws = np.random.default_rng(seed)
    length, rows, items, times = 6, [], [], []
    for user in range(users):
        walk = (int(draws.integers(ITEMS)) + np.arange(length)) % ITEMS
        order = np.argsort(walk)
        rows.append(np.full(length, user))
        items.append(walk[order])
        times.append(order)
    return Interactions(
        indptr=np.arange(users + 1) * length,
        indices=np.concatenate(items).astype(np.int32),
        n_items=ITEMS,
        times=np.concatenate(times).astype(np.int64),
    )


@pytest.mark.parametrize("name", ["full, no features", "sampled"])
def test_training_learns_what_comes_next(name: str) -> None:
    settings = {"steps": 60, "rate": 1.0, "users": 300, "clip": 1.0, "dim": 16, "features": 5}
    if name == "full, no features":
        settings["features"] = 0
    model = make_sequence_model(name, **settings, learning_rate=0.1)
    course = Course(model, chains(300, seed=1))
    others = chains(80, seed=2)
    last = np.asarray(others.times) == 5
    seen, wanted = others.where(~last), others.where(last).indices

    def found() -> float:
        scores = SequenceScorer(release=model.release(course.done)).score(seen)
        scores[seen.matrix().toarray() > 0] = -np.inf
        return float((scores.argmax(axis=1) == wanted).mean())

    course.advance(1)
    before = found()
    course.advance(60)
    assert found() > max(0.6, before + 0.3)


def test_gradients_of_one_user_are_plain_autograd(course: Course) -> None:
    towers = module(course)
    names = [n for n, p in towers.named_parameters() if p.requires_grad]
    (one,) = batches(course, course.users.take(np.array([20])))
    parameters = [dict(towers.named_parameters())[name] for name in names]
    expected = torch.autograd.grad(towers(*one).sum(), parameters)
    flat = torch.cat([gradient.flatten() for gradient in expected]).numpy()
    np.testing.assert_allclose(user_gradient(towers, one, names), flat, rtol=1e-12, atol=1e-15)
