"""What a site serves, and how it chooses."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.metrics import evaluate
from recommons.common.models.content import feature_blocks, feature_table
from recommons.common.models.interface import ModelRelease
from recommons.common.models.kernel import FeatureKernel
from recommons.common.models.scoring import GlobalModel, Scorer
from recommons.common.models.site import SiteChoice, fit_site

Draw = Callable[..., Interactions]


def global_model(catalogue: Catalogue, users: Interactions, noise: float = 0.0) -> GlobalModel:
    """A release as `als` would make it from all of WᵀW."""
    history = users.matrix(np.float64).toarray()
    weights = history / np.maximum(np.linalg.norm(history, axis=1), 1)[:, None]
    values, vectors = np.linalg.eigh(weights.T @ weights)
    left = vectors[:, -4:] * np.sqrt(values[-4:])
    left = left + noise * np.random.default_rng(0).standard_normal(left.shape)
    table = feature_table(feature_blocks(catalogue), len(catalogue))
    return GlobalModel(
        release=ModelRelease(
            model="als",
            arrays={
                "factors": left.astype(np.float32),
                "counts": weights.sum(0),
                **FeatureKernel(table=table).to_arrays(),
            },
            settings={
                "users": float(users.n_users),
                "features": table.shape[1],
                "normalised": True,
                "kernel_weight": 0.4,
                "ridge": 2.0,
            },
        )
    )


def split(users: Interactions) -> tuple[Interactions, Interactions]:
    """Fold-in and held-out: every third item of each user is hidden."""
    row = np.repeat(np.arange(users.n_users), np.diff(users.indptr))
    hidden = np.arange(len(row)) % 3 == 0
    size = {"n_users": users.n_users, "n_items": users.n_items}
    return (
        Interactions.from_pairs(row[~hidden], users.indices[~hidden], **size),
        Interactions.from_pairs(row[hidden], users.indices[hidden], **size),
    )


def ndcg(scorer: Scorer, users: Interactions) -> float:
    return evaluate(scorer.score, *split(users)).means()["ndcg@20"]


def test_no_weight_serves_the_global_model_and_full_share_the_sites_own(
    catalogue: Catalogue, draw: Draw, users: Interactions
) -> None:
    model, own = global_model(catalogue, draw(300, seed=1)), draw(20, seed=2)
    plain = fit_site(model, own, seed=0, choice=SiteChoice(local_weight=0.0))
    np.testing.assert_array_equal(plain.served.score(users), model.scorer.score(users))
    alone = fit_site(model, own, seed=0, choice=SiteChoice(alone_share=1.0))
    np.testing.assert_array_equal(alone.served.score(users), alone.alone.score(users))


def test_served_scores_are_those_of_the_sum_of_both_gram_matrices(
    catalogue: Catalogue, draw: Draw, users: Interactions
) -> None:
    model = global_model(catalogue, draw(300, seed=1))
    for n_users in (8, 30):  # by an update, and by inverting anew
        own = draw(n_users, seed=2)
        history = own.matrix(np.float64).toarray()
        weights = history / np.maximum(np.linalg.norm(history, axis=1), 1)[:, None]
        gram = model.source().dense().astype(np.float64) + 0.7 * weights.T @ weights
        inverse = np.linalg.inv(gram)
        matrix = -inverse / np.diag(inverse)
        np.fill_diagonal(matrix, 0)
        expected = users.matrix(np.float64).toarray() @ matrix
        choice = SiteChoice(local_weight=0.7, alone_share=0.25)
        models = fit_site(model, own, seed=0, choice=choice)
        expected = 0.75 * expected + 0.25 * models.alone.score(users)
        np.testing.assert_allclose(models.served.score(users), expected, atol=2e-5)


def test_the_sites_own_model_knows_nothing_of_the_federation(
    catalogue: Catalogue, draw: Draw, users: Interactions
) -> None:
    own, choice = draw(20, seed=2), SiteChoice()
    one, other = (global_model(catalogue, draw(300, seed=seed)) for seed in (1, 5))
    np.testing.assert_array_equal(
        fit_site(one, own, seed=0, choice=choice).alone.score(users),
        fit_site(other, own, seed=0, choice=choice).alone.score(users),
    )


def test_the_choice_is_a_function_of_its_arguments(catalogue: Catalogue, draw: Draw) -> None:
    model, own = global_model(catalogue, draw(300, seed=1)), draw(30, seed=2)
    assert fit_site(model, own, seed=3).choice == fit_site(model, own, seed=3).choice


def test_a_small_site_leans_on_a_good_global_model(bare_catalogue: Catalogue, draw: Draw) -> None:
    model, own = global_model(bare_catalogue, draw(500, seed=1)), draw(12, seed=2)
    models = fit_site(model, own, seed=0)
    unseen = draw(200, seed=8)
    assert ndcg(models.served, unseen) > ndcg(models.alone, unseen)
    assert ndcg(models.served, unseen) > ndcg(model.scorer, unseen) - 0.01


def test_a_large_site_is_not_harmed_by_a_useless_global_model(
    catalogue: Catalogue, draw: Draw
) -> None:
    model, own = global_model(catalogue, draw(300, seed=1), noise=50.0), draw(300, seed=2)
    models = fit_site(model, own, seed=0)
    unseen = draw(200, seed=8)
    assert ndcg(models.served, unseen) > ndcg(model.scorer, unseen)
    assert ndcg(models.served, unseen) > ndcg(models.alone, unseen) - 0.01


@pytest.mark.parametrize("kept", [[], [0], [7], [1, 7], [0, 11, 22]])
def test_a_site_with_next_to_nothing_still_serves(
    catalogue: Catalogue, draw: Draw, users: Interactions, kept: list[int]
) -> None:
    """No users, an empty history, one item: the default choice, finite scores."""
    model = global_model(catalogue, draw(300, seed=1))
    own = draw(60, seed=1).take(np.array(kept, np.int64))
    models = fit_site(model, own, seed=0)
    assert np.isfinite(models.served.score(users)).all()
    assert np.isfinite(models.alone.score(users)).all()


def test_without_features_or_dense_matrices_a_site_still_chooses(
    bare_catalogue: Catalogue, draw: Draw, users: Interactions
) -> None:
    model = replace(global_model(bare_catalogue, draw(300, seed=1)), most_dense_items=1)
    models = fit_site(model, draw(60, seed=2), seed=0)
    assert np.isfinite(models.served.score(users)).all()
    assert ndcg(models.served, users) > 0.3
