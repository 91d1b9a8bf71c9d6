"""`als`: its rounds, its coordinator's steps, its release."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput
from recommons.common.models import als
from recommons.common.models.als import AlsModel, AlsSettings
from recommons.common.models.content import WEIGHTS, feature_blocks, feature_table
from recommons.common.models.empirical_bayes import denoise
from recommons.common.models.interface import NoisySum, PublicFigures
from recommons.common.models.registry import model_from_settings
from recommons.common.models.scoring import GlobalModel
from recommons.common.models.user_step import UserBatch, unit_user_vectors
from recommons.common.privacy.mechanism import BlockMechanism

Floats = npt.NDArray[np.float64]
Mechanisms = Callable[..., tuple[BlockMechanism, ...]]
Done = tuple[Mapping[str, NoisySum], ...]


def figures(epsilon: float, n_items: int = 40) -> PublicFigures:
    return PublicFigures(declared_users={"a": 60}, n_items=n_items, epsilon=epsilon)


def small(catalogue: Catalogue, seed: int = 0) -> AlsModel:
    options = AlsSettings(dim=4, round_shares=(0.4, 0.6), seed=seed)
    return AlsModel(catalogue=catalogue, options=options)


def run(
    model: AlsModel, users: Interactions, mechanisms: Mechanisms, sensitivity: int = 2**24
) -> Done:
    done: Done = ()
    for number, requests in enumerate(model.rounds()):
        blocks = mechanisms(requests, sensitivity)
        sums = model.contribute(number, model.public_state(done), users, blocks)
        values = {
            b.name: NoisySum(values=np.asarray(sums[b.name] * b.grid, np.float64), stddev=0.01)
            for b in blocks
        }
        done = (*done, values)
    return done


@pytest.mark.parametrize(("epsilon", "rounds"), [(0.5, 1), (1.9, 1), (2, 2), (8, 2), (np.inf, 2)])
def test_the_budget_is_spent_whole_with_a_tenth_on_counts(
    catalogue: Catalogue, epsilon: float, rounds: int
) -> None:
    model = AlsModel(catalogue=catalogue, options=AlsSettings.choose(figures(epsilon)))
    requests = model.rounds()
    assert len(requests) == 1 + rounds
    shares = [[block.share for block in blocks] for blocks in requests]
    assert shares[0] == [0.1]
    assert sum(map(sum, shares)) == pytest.approx(1, abs=1e-12)
    for gram, factors in shares[1:]:
        assert gram / (gram + factors) == pytest.approx(0.033)


def test_a_round_is_the_computation_on_all_users_at_once(
    catalogue: Catalogue, users: Interactions, mechanisms: Mechanisms
) -> None:
    """Each block against dense linear algebra, up to the grid."""
    model = small(catalogue)
    done = run(model, users, mechanisms)
    history = users.matrix(np.float64).toarray()
    length = np.maximum(np.linalg.norm(history, axis=1), 1)[:, None]
    weights = history / length
    np.testing.assert_allclose(done[0]["counts"].values, weights.sum(0), atol=1e-4)
    for number in (1, 2):
        items = np.asarray(model.public_state(done[:number])["items"])
        ridge = 0.2 * items.T @ items + np.eye(items.shape[1])
        vectors = np.array(
            [
                np.linalg.solve(items[row > 0].T @ items[row > 0] + ridge, row @ items)
                for row in history
            ]
        )
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)[:, None]
        gram, factors = vectors.T @ vectors, weights.T @ vectors
        rows, columns = np.triu_indices(items.shape[1])
        packed = gram[rows, columns] * np.where(rows == columns, 1, np.sqrt(2))
        np.testing.assert_allclose(done[number]["gram"].values, packed, atol=1e-4)
        np.testing.assert_allclose(done[number]["factors"].values, factors.ravel(), atol=1e-4)


def test_factors_reproduce_the_gram_matrix_of_two_tastes(
    catalogue: Catalogue, draw: Callable[..., Interactions], mechanisms: Mechanisms
) -> None:
    users = draw(400, seed=4)
    release = small(catalogue).release(run(small(catalogue), users, mechanisms))
    history = users.matrix(np.float64).toarray()
    weights = history / np.maximum(np.linalg.norm(history, axis=1), 1)[:, None]
    expected = weights.T @ weights
    factors = release.arrays["factors"].astype(np.float64)
    off_diagonal = ~np.eye(len(expected), dtype=bool)
    left_over = (factors @ factors.T - expected)[off_diagonal]
    assert np.linalg.norm(left_over) < 0.2 * np.linalg.norm(expected[off_diagonal])


def test_public_state_and_release_are_functions_of_the_sums_alone(
    catalogue: Catalogue, users: Interactions, mechanisms: Mechanisms
) -> None:
    model = small(catalogue)
    done = run(model, users, mechanisms)
    fresh = model_from_settings("als", model.settings(), catalogue)
    for number in range(4):
        if number < 3:
            first, second = model.public_state(done[:number]), fresh.public_state(done[:number])
        else:
            first, second = model.release(done).arrays, fresh.release(done).arrays
        assert first.keys() == second.keys()
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])
    assert model.release(done).settings == fresh.release(done).settings


def test_a_round_costs_one_denoising_and_other_sums_their_own(
    catalogue: Catalogue,
    users: Interactions,
    mechanisms: Mechanisms,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = AlsSettings(dim=4, round_shares=(0.2, 0.2, 0.3, 0.3))
    model = AlsModel(catalogue=catalogue, options=options)
    calls: list[object] = []

    def counted(*given: object) -> Floats:
        calls.append(given)
        return denoise(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(als, "denoise", counted)
    done = run(model, users, mechanisms)
    model.release(done)
    assert len(calls) == 4
    other = run(model, users.take(np.arange(20)), mechanisms)
    assert not np.array_equal(
        model.public_state(done[:3])["items"], model.public_state(other[:3])["items"]
    )


def test_without_features_item_vectors_start_from_the_plans_seed(
    bare_catalogue: Catalogue, users: Interactions, mechanisms: Mechanisms
) -> None:
    starts = [
        np.asarray(
            small(bare_catalogue, seed).public_state(
                run(small(bare_catalogue, seed), users, mechanisms)[:1]
            )["items"]
        )
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(starts[0], starts[1])
    assert not np.allclose(starts[0], starts[2])
    release = small(bare_catalogue).release(run(small(bare_catalogue), users, mechanisms))
    assert release.settings["features"] == 0
    assert np.isfinite(release.arrays["factors"]).all()


def test_the_rank_is_at_most_the_catalogue_and_can_be_given() -> None:
    assert AlsSettings.choose(figures(8, n_items=5)).dim == 5
    assert AlsSettings.choose(figures(1), dim=7).dim == 7


@pytest.mark.parametrize(
    "change",
    [
        {"dim": 0},
        {"dim": "4"},
        {"round_shares": []},
        {"round_shares": [0.5, 0.6]},
        {"round_shares": [1.5, -0.5]},
        {"surprise": 1},
        {"ridge": "2"},
    ],
)
def test_settings_that_make_no_model_are_refused(
    catalogue: Catalogue, change: dict[str, object]
) -> None:
    settings = dict(small(catalogue).settings())
    with pytest.raises(InvalidInput) as caught:
        model_from_settings("als", settings | change, catalogue)
    assert caught.value.code == "model/settings"


def test_a_users_integers_stay_in_bounds_even_if_the_users_vector_were_too_long(
    catalogue: Catalogue,
    users: Interactions,
    mechanisms: Mechanisms,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bound is the quantiser's, counting each value once for every item it is added to."""

    def too_long(batch: UserBatch, items: Floats, ridge: Floats) -> Floats:
        return np.full((len(batch.lengths), items.shape[1]), 3.0)

    monkeypatch.setattr(als, "unit_user_vectors", too_long)
    model, sensitivity = small(catalogue), 1000
    state = {"items": np.ones((len(catalogue), 4)), "ridge": np.eye(4)}
    blocks = mechanisms(model.rounds()[1], sensitivity)
    for row in range(users.n_users):
        sums = model.contribute(1, state, users.take(np.array([row])), blocks)
        for values in sums.values():
            assert int((values.astype(object) ** 2).sum()) <= sensitivity**2


def test_linear_algebra_that_depends_on_company_is_for_sums_without_noise_alone(
    catalogue: Catalogue,
    users: Interactions,
    mechanisms: Mechanisms,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = small(catalogue)
    done = run(model, users, mechanisms)[:1]
    blocks = mechanisms(model.rounds()[1])
    asked: list[int] = []

    def plain(batch: UserBatch, items: Floats, ridge: Floats) -> Floats:
        asked.append(len(batch.lengths))
        return unit_user_vectors(batch, items, ridge)

    monkeypatch.setattr(als, "plain_user_vectors", plain)
    noised = model.contribute(1, model.public_state(done), users, blocks)
    assert not asked
    unnoised = tuple(replace(block, noise_stddev=0.0) for block in blocks)
    sums = model.contribute(1, model.public_state(done), users, unnoised)
    assert sum(asked) == users.n_users
    for name, total in sums.items():
        np.testing.assert_array_equal(total, noised[name])


def test_a_release_says_how_much_each_kind_of_feature_counts(
    catalogue: Catalogue, users: Interactions, mechanisms: Mechanisms
) -> None:
    model = small(catalogue)
    release = model.release(run(model, users, mechanisms))
    weights = release.settings["feature_weights"]
    blocks = feature_blocks(catalogue)
    assert list(weights) == [block.name for block in blocks]
    table = feature_table(blocks, len(catalogue), weights)
    kernel = GlobalModel(release=release).kernel.table
    np.testing.assert_allclose(kernel.toarray(), table.toarray(), rtol=1e-6)
    factors = [
        weight / WEIGHTS[block.view] for block, weight in zip(blocks, weights.values(), strict=True)
    ]
    assert max(factors) > min(factors)
