"""Scores from a release alone, derived a second time."""

from collections.abc import Callable

import numpy as np
import pytest

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.models.content import feature_blocks, feature_table
from recommons.common.models.interface import ModelRelease
from recommons.common.models.inverse import dense_inverse
from recommons.common.models.kernel import FeatureKernel
from recommons.common.models.release import ReleaseMetadata, decode_release, encode_release
from recommons.common.models.scoring import EaseScorer, GlobalModel, popularity_scorer

Draw = Callable[..., Interactions]


@pytest.fixture(scope="module")
def release(catalogue: Catalogue) -> ModelRelease:
    rng = np.random.default_rng(6)
    items = len(catalogue)
    table = feature_table(feature_blocks(catalogue), items)
    return ModelRelease(
        model="als",
        arrays={
            "factors": rng.standard_normal((items, 4)).astype(np.float32),
            "counts": rng.normal(5, 3, items),
            **FeatureKernel(table=table).to_arrays(),
        },
        settings={
            "users": 200.0,
            "features": table.shape[1],
            "normalised": True,
            "kernel_weight": 0.4,
            "ridge": 2.0,
        },
    )


def dense_scores(release: ModelRelease, users: Interactions, features: np.ndarray) -> np.ndarray:
    """DESIGN section 6 word by word, in float64."""
    counts, left = release.arrays["counts"], release.arrays["factors"].astype(np.float64)
    kernel = features @ features.T
    np.fill_diagonal(kernel, 0)
    positive = np.maximum(counts, 1)
    spread = 200 * positive / positive.sum()
    s = spread**0.25 * np.mean(spread**0.5) / np.mean(spread**0.25)
    gram = left @ left.T + 0.4 * s[:, None] * kernel * s
    explained = (left**2).sum(1)
    diagonal = np.maximum(spread, explained + 0.3 * spread) + 2.0 + 0.4 * s**2 / 2
    gram[np.diag_indices(len(gram))] = diagonal
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return np.asarray(users.matrix(np.float64).toarray() @ weights)


def test_global_scores_are_those_of_the_formula(
    release: ModelRelease, catalogue: Catalogue, users: Interactions
) -> None:
    table = feature_table(feature_blocks(catalogue), len(catalogue)).toarray()
    found = GlobalModel(release=release).scorer.score(users)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, dense_scores(release, users, table), atol=2e-5)


def test_a_release_read_back_from_bytes_scores_the_same(
    release: ModelRelease, catalogue: Catalogue, users: Interactions
) -> None:
    metadata = ReleaseMetadata(
        item_ids=catalogue.item_ids, titles=catalogue.titles, plan_hash="0" * 64
    )
    again, _ = decode_release(encode_release(release, metadata))
    np.testing.assert_array_equal(
        GlobalModel(release=again).scorer.score(users),
        GlobalModel(release=release).scorer.score(users),
    )


def test_the_low_rank_form_agrees_where_features_have_low_rank(
    release: ModelRelease, users: Interactions
) -> None:
    dense = GlobalModel(release=release).scorer.score(users)
    large = GlobalModel(release=release, most_dense_items=10).scorer.score(users)
    np.testing.assert_allclose(large, dense, atol=0.02)
    assert np.corrcoef(large.ravel(), dense.ravel())[0, 1] > 0.999


def test_a_users_scores_do_not_change_with_the_batch(
    release: ModelRelease, users: Interactions
) -> None:
    scorer = GlobalModel(release=release).scorer
    whole = scorer.score(users)
    parts = [scorer.score(part) for part in users.batches(7)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


def test_an_item_does_not_recommend_itself() -> None:
    """Two items bought together always, a third alone: by hand from the 2 × 2 inverse."""
    users = Interactions.from_pairs(
        np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 1, 2]), n_users=3, n_items=3
    )
    gram = users.matrix(np.float64).T @ users.matrix(np.float64)
    scorer = EaseScorer(inverse=dense_inverse(gram.toarray() + np.eye(3)))
    basket = Interactions.from_pairs(np.array([0]), np.array([0]), n_users=1, n_items=3)
    np.testing.assert_allclose(scorer.score(basket), [[0, 2 / 3, 0]], atol=1e-7)


def test_popularity_is_the_noised_counts(release: ModelRelease, users: Interactions) -> None:
    found = popularity_scorer(release).score(users)
    assert found.shape == (users.n_users, users.n_items)
    np.testing.assert_allclose(found[0], release.arrays["counts"], rtol=1e-6)
