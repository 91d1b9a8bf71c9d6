"""`ease`: exact without privacy, denoised with it."""

from collections.abc import Callable

import numpy as np
import pytest

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput
from recommons.common.models import ease
from recommons.common.models.content import WEIGHTS, feature_blocks, feature_table
from recommons.common.models.ease import EaseModel, EaseSettings
from recommons.common.models.interface import ModelRelease, NoisySum, PublicFigures
from recommons.common.models.scoring import EaseScorer, GlobalModel
from recommons.common.models.site import SiteChoice, fit_site
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


NEW = (10, 11, 12)


def without_new_items(users: Interactions) -> Interactions:
    return users.where(~np.isin(users.indices, NEW))


def carried(scores: np.ndarray, catalogue: Catalogue, new: tuple[int, ...]) -> np.ndarray:
    """For each new item the mean of the others' scores, weighted by what is alike in them."""
    table = feature_table(feature_blocks(catalogue), len(catalogue)).toarray()
    others = np.setdiff1d(np.arange(len(catalogue)), new)
    columns = []
    for item in new:
        weights = [max(float(table[other] @ table[item]), 0.0) for other in others]
        columns.append(np.average(scores[:, others], axis=1, weights=weights))
    return np.stack(columns, axis=1)


def test_without_privacy_a_new_item_scores_as_those_it_looks_like_and_no_other_score_moves(
    catalogue: Catalogue, draw: Callable[..., Interactions], mechanisms: Mechanisms
) -> None:
    users = without_new_items(draw(300, seed=2))
    model = GlobalModel(release=released(build(catalogue, float("inf")), [users], mechanisms))
    plain = EaseScorer(inverse=model.inverse).score(users)
    assert not plain[:, NEW].any()  # EASE itself knows nothing of them
    found = model.scorer.score(users)
    np.testing.assert_allclose(found[:, NEW], carried(plain, catalogue, NEW), atol=1e-6)
    known = np.setdiff1d(np.arange(len(catalogue)), NEW)
    np.testing.assert_array_equal(found[:, known], plain[:, known])


def test_a_site_that_adds_its_own_users_knows_what_they_have(
    catalogue: Catalogue, draw: Callable[..., Interactions], mechanisms: Mechanisms
) -> None:
    """One of the items has been new to everybody until the site's users, as they are now."""
    everyone = without_new_items(draw(300, seed=2))
    model = GlobalModel(release=released(build(catalogue, float("inf")), [everyone], mechanisms))
    own = draw(60, seed=3)
    own = own.where(~np.isin(own.indices, NEW[1:]))
    alone = fit_site(model, own, seed=0, choice=SiteChoice(local_weight=0.0)).served
    np.testing.assert_array_equal(alone.score(own), model.scorer.score(own))
    served = fit_site(model, own, seed=0, choice=SiteChoice(local_weight=2.0)).served.score(own)
    history, older = own.matrix(np.float64).toarray(), everyone.matrix(np.float64).toarray()
    ridge = model.release.settings["ridge"] * np.eye(len(catalogue))
    inverse = np.linalg.inv(older.T @ older + 2 * history.T @ history + ridge)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    expected = history @ weights
    expected[:, NEW[1:]] = carried(expected, catalogue, NEW[1:])
    np.testing.assert_allclose(served, expected, atol=1e-5)


def test_without_privacy_and_features_a_new_item_scores_nothing(
    bare_catalogue: Catalogue, draw: Callable[..., Interactions], mechanisms: Mechanisms
) -> None:
    users = without_new_items(draw(300, seed=2))
    release = released(build(bare_catalogue, float("inf")), [users], mechanisms)
    scores = GlobalModel(release=release).scorer.score(users)
    assert not scores[:, NEW].any()
    assert np.isfinite(scores).all()


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


def test_with_privacy_the_features_have_weights_that_were_learned_from_the_sum(
    catalogue: Catalogue, users: Interactions, mechanisms: Mechanisms
) -> None:
    release = released(build(catalogue, 8.0), [users], mechanisms, stddev=0.5)
    weights, blocks = release.settings["feature_weights"], feature_blocks(catalogue)
    assert list(weights) == [block.name for block in blocks]
    by_kind = [WEIGHTS[block.view] for block in blocks]
    factors = np.array(list(weights.values())) / by_kind
    assert factors.max() > factors.min()
    table = feature_table(blocks, len(catalogue), weights)
    kernel = GlobalModel(release=release).kernel.table
    np.testing.assert_allclose(kernel.toarray(), table.toarray(), rtol=1e-6)


def test_too_large_a_catalogue_is_refused_and_the_limit_can_be_set(catalogue: Catalogue) -> None:
    options = EaseSettings(exact=True, dim=32, kernel_weight=0.4, ridge=1.0, most_items=39)
    with pytest.raises(InvalidInput, match="40 items; required: at most 39") as caught:
        EaseModel(catalogue=catalogue, options=options)
    assert caught.value.code == "model/catalogue-too-large"
