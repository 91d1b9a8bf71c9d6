"""`ease`: exact without privacy, denoised with it."""

from collections.abc import Callable

import numpy as np
import pytest

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput
from recommons.common.models import ease
from recommons.common.models.ease import EaseModel, EaseSettings
from recommons.common.models.interface import ModelRelease, NoisySum, PublicFigures
from recommons.common.models.scoring import GlobalModel
from recommons.common.models.triangles import unpack
from recommons.common.privacy.mechanism import BlockMechanism

Mechanisms = Callable[..., tuple[BlockMechanism, ...]]


def build(catalogue: Catalogue, epsilon: float) -> EaseModel:
    figures = PublicFigures(declared_users={"a": 60}, n_items=len(catalogue), epsilon=epsilon)
    return EaseModel(catalogue=catalogue, options=EaseSettings.choose(figures))


def released(
    model: EaseModel, sites: list[Interactions], mechanisms: Mechanisms, stddev: float = 0.0
) -> ModelRelease:
    blocks = mechanisms(model.rounds()[0], 2**20)
    total = np.sum([model.contribute(0, {}, site, blocks)["gram"] for site in sites], axis=0)
    values = total * blocks[0].grid
    values = values + stddev * np.random.default_rng(0).standard_normal(values.shape)
    return model.release(({"gram": NoisySum(values=values, stddev=stddev)},))


def test_without_privacy_the_federated_model_is_the_centralised_one(
    catalogue: Catalogue, draw: Callable[..., Interactions], mechanisms: Mechanisms
) -> None:
    """EASE^R on the pooled matrix, by Steck's closed form in dense float64."""
    users = draw(300, seed=2)
    sites = [users.take(np.arange(start, 300, 3)) for start in range(3)]
    model = build(catalogue, float("inf"))
    found = GlobalModel(release=released(model, sites, mechanisms)).scorer.score(users)
    history = users.matrix(np.float64).toarray()
    inverse = np.linalg.inv(history.T @ history + model.options.ridge * np.eye(len(catalogue)))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    np.testing.assert_allclose(found, history @ weights, atol=1e-6)


def test_with_privacy_the_sum_is_that_of_normalised_outer_products(
    catalogue: Catalogue, users: Interactions, mechanisms: Mechanisms
) -> None:
    model = build(catalogue, 8.0)
    (block,) = mechanisms(model.rounds()[0], 2**24)
    packed = np.asarray(model.contribute(0, {}, users, (block,))["gram"] * block.grid, np.float64)
    history = users.matrix(np.float64).toarray()
    weights = history / np.maximum(np.linalg.norm(history, axis=1), 1)[:, None]
    expected = np.asarray(weights.T @ weights)
    np.testing.assert_allclose(unpack(packed, len(catalogue)), expected, atol=1e-4)


def test_rows_computed_a_few_at_a_time_give_the_same_sum(
    catalogue: Catalogue,
    users: Interactions,
    mechanisms: Mechanisms,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = build(catalogue, 8.0)
    blocks = mechanisms(model.rounds()[0])
    whole = model.contribute(0, {}, users, blocks)["gram"]
    monkeypatch.setattr(ease, "ROW_CELLS", 3 * len(catalogue))
    np.testing.assert_array_equal(model.contribute(0, {}, users, blocks)["gram"], whole)


def test_denoising_brings_the_gram_matrix_closer(
    catalogue: Catalogue, draw: Callable[..., Interactions], mechanisms: Mechanisms
) -> None:
    users = draw(600, seed=5)
    release = released(build(catalogue, 8.0), [users], mechanisms, stddev=2.0)
    history = users.matrix(np.float64).toarray()
    weights = history / np.maximum(np.linalg.norm(history, axis=1), 1)[:, None]
    truth = weights.T @ weights
    factors = release.arrays["factors"].astype(np.float64)
    off = ~np.eye(len(truth), dtype=bool)
    noise = np.sqrt(off.sum()) * 2.0 / np.sqrt(2)
    assert np.linalg.norm((factors @ factors.T - truth)[off]) < 0.8 * noise


def test_too_large_a_catalogue_is_refused_and_the_limit_can_be_set(catalogue: Catalogue) -> None:
    options = EaseSettings(exact=True, dim=32, kernel_weight=0.4, ridge=1.0, most_items=39)
    with pytest.raises(InvalidInput, match="40 items; required: at most 39") as caught:
        EaseModel(catalogue=catalogue, options=options)
    assert caught.value.code == "model/catalogue-too-large"
