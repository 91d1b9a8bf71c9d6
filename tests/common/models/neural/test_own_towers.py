"""A site's own towers: where they begin, what they learn, and that a site may leave them."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from recommons.common.data.interactions import Interactions
from recommons.common.models.interface import ModelRelease
from recommons.common.models.kernel import FeatureKernel
from recommons.common.models.neural import own_towers as module
from recommons.common.models.neural.own_towers import own_towers
from recommons.common.models.neural.tower_scoring import TowerScorer
from recommons.common.models.scoring import EaseScorer, GlobalModel
from recommons.common.models.site import NeuralBlend, SiteChoice, SiteModels, fit_site

ITEMS, TASTES, DIM = 60, 4, 12


def people(count: int, seed: int) -> Interactions:
    """Each with one of four tastes, a quarter of the items each, and some chance."""
    rng = np.random.default_rng(seed)
    taste = rng.integers(TASTES, size=count)
    likes = (np.arange(ITEMS) % TASTES)[None, :] == taste[:, None]
    rows, columns = np.nonzero(rng.random((count, ITEMS)) < np.where(likes, 0.5, 0.05))
    return Interactions.from_pairs(rows, columns, n_users=count, n_items=ITEMS)


@pytest.fixture(scope="module")
def model() -> GlobalModel:
    """A release of `two-tower` whose towers are those of WᵀW's leading directions."""
    histories = people(400, seed=1).matrix(np.float64).toarray()
    weights = histories / np.maximum(np.linalg.norm(histories, axis=1), 1)[:, None]
    values, vectors = np.linalg.eigh(weights.T @ weights)
    leading = vectors[:, -DIM:]
    arrays = {
        "counts": weights.sum(axis=0),
        "factors": (leading * np.sqrt(values[-DIM:])).astype(np.float32),
        "inputs": leading.astype(np.float32),
        "input_features": np.zeros((ITEMS, DIM), np.float32),
        "outputs": leading.astype(np.float32),
        "bias": np.zeros(ITEMS, np.float32),
        **FeatureKernel(table=sp.csr_array((ITEMS, 0))).to_arrays(),
    }
    settings = {"users": 400.0, "features": 0, "normalised": True, "activation": "tanh"}
    settings |= {"kernel_weight": 0.4, "ridge": 2.0}
    return GlobalModel(release=ModelRelease(model="two-tower", arrays=arrays, settings=settings))


def served_inverse(model: GlobalModel, own: Interactions, weight: float) -> EaseScorer:
    scorer = fit_site(model, own, seed=0, choice=SiteChoice(local_weight=weight)).served
    assert isinstance(scorer, EaseScorer)
    return scorer


def untaught(
    model: GlobalModel, own: Interactions, weight: float, monkeypatch: pytest.MonkeyPatch
) -> TowerScorer:
    monkeypatch.setattr(module, "PASSES", 0)
    served = served_inverse(model, own, weight).inverse
    return own_towers(model, own, served, weight=weight, seed=0)


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_they_begin_as_what_the_site_serves(
    model: GlobalModel, weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, others = people(80, seed=2), people(50, seed=3)
    served = served_inverse(model, own, weight).score(others)
    begun = untaught(model, own, weight, monkeypatch).score(others)
    likeness = [np.corrcoef(one, other)[0, 1] for one, other in zip(served, begun, strict=True)]
    assert np.mean(likeness) > 0.9


def test_passes_over_a_sites_users_teach_what_the_federation_did_not_know(
    model: GlobalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At this site items go together otherwise: those of one half of the catalogue."""
    monkeypatch.setattr(module, "PASSES", 60)  # of four batches each
    rng = np.random.default_rng(4)
    half = (np.arange(ITEMS) < ITEMS // 2)[None, :] == (rng.random(300) < 0.5)[:, None]
    rows, columns = np.nonzero(rng.random(half.shape) < np.where(half, 0.4, 0.02))
    everyone = Interactions.from_pairs(rows, columns, n_users=300, n_items=ITEMS)
    own, others = everyone.take(np.arange(200)), everyone.take(np.arange(200, 300))
    served = served_inverse(model, own, 0.0)
    towers = own_towers(model, own, served.inverse, weight=0.0, seed=0)
    same = np.where(half[200:], 1.0, 0.0)

    def found(scores: np.ndarray) -> float:
        scores = np.where(others.matrix(np.float32).toarray() > 0, -np.inf, scores)
        best = np.argsort(-scores, axis=1)[:, :10]
        return float(np.take_along_axis(same, best, axis=1).mean())

    assert found(towers.score(others)) > found(served.score(others)) + 0.1


def test_they_are_a_function_of_their_arguments(model: GlobalModel) -> None:
    own = people(80, seed=2)
    served = served_inverse(model, own, 1.0).inverse
    first, again = (own_towers(model, own, served, weight=1.0, seed=5) for _ in range(2))
    other = own_towers(model, own, served, weight=1.0, seed=6)
    np.testing.assert_allclose(first.score(own), again.score(own), rtol=1e-4, atol=1e-4)
    assert not np.allclose(first.score(own), other.score(own), rtol=1e-2, atol=1e-2)


def test_of_many_users_some_are_taught_from(
    model: GlobalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CELLS", 30 * ITEMS)
    own = people(500, seed=2)
    served = served_inverse(model, own, 1.0).inverse
    take, taught = Interactions.take, []

    def noted(users: Interactions, rows: np.ndarray) -> Interactions:
        taught.append(len(rows))
        return take(users, rows)

    monkeypatch.setattr(Interactions, "take", noted)
    assert np.isfinite(own_towers(model, own, served, weight=1.0, seed=0).score(own)).all()
    assert taught == [30]


def test_a_site_that_mixes_no_towers_in_serves_what_it_would_without(model: GlobalModel) -> None:
    own, others = people(80, seed=2), people(50, seed=3)
    plain = GlobalModel(release=replace(model.release, model="als"))
    chosen = fit_site(plain, own, seed=3)
    with_towers = fit_site(model, own, seed=3)
    assert replace(with_towers.choice, neural_share=0.0) == chosen.choice
    without = replace(with_towers.choice, neural_share=0.0)

    def scores(fitted: SiteModels) -> np.ndarray:
        return fitted.served.score(others)

    np.testing.assert_array_equal(
        scores(fit_site(model, own, seed=3, choice=without)), scores(chosen)
    )


def test_a_site_without_users_has_the_released_towers(model: GlobalModel) -> None:
    nobody = people(80, seed=2).take(np.zeros(0, np.int64))
    fitted = fit_site(model, nobody, seed=0, choice=SiteChoice(neural_share=1.0))
    assert isinstance(fitted.served, NeuralBlend)
    assert fitted.served.towers is model.neural
