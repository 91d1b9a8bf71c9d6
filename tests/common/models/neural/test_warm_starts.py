"""Where parameters begin: public content, or what `als` released."""

from functools import partial

import numpy as np
import pytest

from recommons.common.metrics import top_k
from recommons.common.models.neural.rounding import (
    MOST_BIAS,
    MOST_LAYER,
    MOST_ROW,
    MOST_STRETCH,
)
from recommons.common.models.neural.shapes import TowerShape
from recommons.common.models.neural.tower_scoring import TowerScorer
from recommons.common.models.neural.towers import blank_towers
from recommons.common.models.neural.warm_starts import (
    bounded,
    parameter_shapes,
    weight_tables,
)
from recommons.common.models.scoring import GlobalModel
from tests.common.models.neural.conftest import ITEMS, KINDS, VARIANTS, Course, make_model
from tests.common.models.neural.conftest import make_users as histories


@pytest.mark.parametrize("name", VARIANTS)
def test_names_and_shapes_are_those_of_the_towers_in_their_order(name: str) -> None:
    model = make_model(name)
    torch_shapes = {
        key: tuple(parameter.shape)
        for key, parameter in model._loaded(
            {key: np.zeros(shape) for key, shape in model._shapes.items()}
        ).named_parameters()
    }
    assert model._shapes == torch_shapes


def test_the_shapes_follow_the_size_of_the_towers() -> None:
    import torch

    shape = TowerShape(items=7, dim=3, features=2, hidden=4, fusion="deep", fusion_hidden=5)
    for loss in ("sampled-softmax", "pairwise"):
        towers = blank_towers(shape, torch.zeros((7, 2), dtype=torch.float64), loss)
        assert dict(parameter_shapes(shape, candidates=True)) == {
            name: tuple(parameter.shape) for name, parameter in towers.named_parameters()
        }
        assert all(not parameter.any() for parameter in towers.parameters())


def test_from_als_the_towers_rank_as_als_does() -> None:
    """With as many columns as items but one, W is there nearly whole."""
    model = make_model("full, als", dim=ITEMS - 1)
    course = Course(model, histories(users=300)).advance(2)
    release = model._warm.release(course.done)
    others = histories(seed=9)
    expected = GlobalModel(release=release).scorer.score(others)
    known = np.diff(others.indptr) > 2
    state = dict(course.state())
    state["out.bias"] = np.zeros(ITEMS)
    model._replay.parameters = state
    found = TowerScorer(release=model.release(course.done)).score(others)
    wanted, given = top_k(expected, others, 5)[known], top_k(found, others, 5)[known]
    common = [len(set(a) & set(b)) for a, b in zip(wanted, given, strict=True)]
    assert np.mean(common) > 4.5


def test_fewer_columns_lose_little_of_what_users_see() -> None:
    """Reduced rank in the metric of the Gram matrix, not of the weights alone."""
    course = Course(make_model("full, als", dim=8), histories(users=300)).advance(2)
    release = course.model._warm.release(course.done)
    state = course.state()
    one_each = type(histories()).from_pairs(
        np.arange(ITEMS), np.arange(ITEMS), n_users=ITEMS, n_items=ITEMS
    )
    model = GlobalModel(release=release)
    weights, gram = model.scorer.score(one_each), model.source().dense()

    def missed(approximate: np.ndarray) -> float:
        """E‖x W − x Ŵ‖² over the users behind Ĝ, as a part of E‖x W‖²."""
        rest = weights - approximate
        return float((rest * (gram @ rest)).sum() / (weights * (gram @ weights)).sum())

    left, values, right = np.linalg.svd(weights)
    plain = (left[:, :8] * values[:8]) @ right[:8]
    kept = state["user.table.weight"] @ state["out.weight"].T / 80
    assert missed(kept) < missed(plain)
    rotated, _, _ = np.linalg.svd(weights.T @ gram @ weights)
    best = weights @ rotated[:, :8] @ rotated[:, :8].T
    assert missed(kept) == pytest.approx(missed(best), rel=1e-3)


def test_a_catalogue_too_large_for_its_gram_matrix_gets_much_the_same_tables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = make_model("full, als", dim=8)
    course = Course(model, histories(users=300)).advance(2)
    release, shape = model._warm.release(course.done), model._shape
    whole = weight_tables(shape, release, candidates=False, seed=0)
    low_rank = partial(GlobalModel, most_dense_items=1)
    monkeypatch.setattr("recommons.common.models.neural.warm_starts.GlobalModel", low_rank)
    part = weight_tables(shape, release, candidates=False, seed=0)
    products = [state["user.table.weight"] @ state["out.weight"].T for state in (whole, part)]
    assert np.corrcoef(products[0].ravel(), products[1].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("name", ["full", "sampled"])
def test_from_content_alone_items_of_a_kind_stand_together(name: str) -> None:
    course = Course(make_model(name), histories()).advance(1)
    release = course.model.release(course.done)
    kind = np.arange(ITEMS) % KINDS
    one_each = type(histories()).from_pairs(
        np.arange(ITEMS), np.arange(ITEMS), n_users=ITEMS, n_items=ITEMS
    )
    scores = TowerScorer(release=release).score(one_each) - release.arrays["bias"]
    same = (kind[:, None] == kind) & ~np.eye(ITEMS, dtype=bool)
    other = kind[:, None] != kind
    assert scores[same].mean() > scores[other].mean() + 1


def test_biases_begin_with_the_noised_popularity() -> None:
    course = Course(make_model("full"), histories()).advance(1)
    counts, bias = course.done[0]["counts"].values, course.state()["out.bias"]
    expected = np.log(np.maximum(counts, 1))
    np.testing.assert_allclose(bias, expected - expected.mean())


def test_parameters_stay_within_what_the_rounding_bound_counts_on() -> None:
    draws = np.random.default_rng(0)
    wild = {
        "user.table.weight": 1e6 * draws.standard_normal((9, 4)),
        "out.weight": np.array([[np.nan, np.inf], [1.0, 2.0]]),
        "out.bias": np.array([1e9, -1e9, 0.5]),
        "fuse.weight": 100 * draws.standard_normal((5, 4)),
        "user.narrow.bias": 100 * np.ones(7),
    }
    tame = bounded(wild)
    assert np.linalg.norm(tame["user.table.weight"], axis=1).max() <= MOST_ROW
    assert tame["out.weight"].tolist() == [[0.0, 0.0], [1.0, 2.0]]
    assert tame["out.bias"].tolist() == [MOST_BIAS, -MOST_BIAS, 0.5]
    assert np.linalg.norm(tame["fuse.weight"], 2) <= MOST_STRETCH
    assert np.linalg.norm(tame["fuse.weight"]) <= MOST_LAYER
    assert np.linalg.norm(tame["user.narrow.bias"]) <= MOST_STRETCH
    for name, value in bounded(tame).items():
        np.testing.assert_allclose(value, tame[name], rtol=1e-12)
