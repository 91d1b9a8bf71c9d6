"""Weights of public features, learned from what a release says goes together."""

import numpy as np
import pytest
import scipy.sparse as sp

from recommons.common.models.content import WEIGHTS, FeatureBlock, feature_table
from recommons.common.models.fusion import learned_weights

ITEMS = 120


def block(name: str, groups: np.ndarray) -> FeatureBlock:
    matrix = sp.csr_array((np.ones(ITEMS), (np.arange(ITEMS), groups)), shape=(ITEMS, 12))
    return FeatureBlock(name=name, view="labels", matrix=matrix)


@pytest.fixture
def blocks() -> tuple[FeatureBlock, ...]:
    draws = np.random.default_rng(0)
    return tuple(block(name, draws.integers(12, size=ITEMS)) for name in ("brand", "colour"))


def factors_of(blocks: tuple[FeatureBlock, ...], weights: tuple[float, ...]) -> np.ndarray:
    """L with L Lᵀ = Σ_b w_b² K_b but for the diagonal."""
    return np.hstack([w * b.matrix.toarray() for b, w in zip(blocks, weights, strict=True)])


def test_the_kind_of_feature_that_goes_with_the_factors_gets_the_weight(
    blocks: tuple[FeatureBlock, ...],
) -> None:
    noise = 0.3 * np.random.default_rng(1).standard_normal((ITEMS, 24))
    for chosen in (0, 1):
        weights = tuple(1.0 if number == chosen else 0.0 for number in (0, 1))
        found = learned_weights(blocks, factors_of(blocks, weights) + noise, np.ones(ITEMS))
        names = [b.name for b in blocks]
        assert found[names[chosen]] > 2 * found[names[1 - chosen]]


def test_weights_behind_exact_factors_come_back_up_to_the_draw_of_the_default(
    blocks: tuple[FeatureBlock, ...],
) -> None:
    spread = 0.5 + np.random.default_rng(2).random(ITEMS)
    factors = spread[:, None] * factors_of(blocks, (1.0, 0.6))
    found = learned_weights(blocks, factors, spread)
    assert found["colour"] / found["brand"] == pytest.approx(0.6, abs=0.15)


def test_what_is_popular_together_is_no_matter_of_features(
    blocks: tuple[FeatureBlock, ...],
) -> None:
    """Factors that say how much each item is bought, and nothing else, leave the weights alike."""
    spread = 0.2 + np.random.default_rng(4).random(ITEMS) ** 3
    noise = 0.02 * np.random.default_rng(5).standard_normal((ITEMS, 6))
    found = learned_weights(blocks, np.hstack([3 * spread[:, None] ** 2, noise]), spread)
    told = learned_weights(
        blocks,
        np.hstack([3 * spread[:, None] ** 2, spread[:, None] * factors_of(blocks, (1.0, 0.0))]),
        spread,
    )
    assert told["brand"] > 1.5 * told["colour"]
    assert max(found.values()) <= 2.0


def test_a_release_that_tells_nothing_leaves_the_default(
    blocks: tuple[FeatureBlock, ...],
) -> None:
    default = {b.name: WEIGHTS[b.view] for b in blocks}
    nothing = np.zeros((ITEMS, 3))
    assert learned_weights(blocks, nothing, np.ones(ITEMS)) == default
    assert learned_weights(blocks, nothing * np.nan, np.ones(ITEMS)) == default
    assert learned_weights((), nothing, np.ones(ITEMS)) == {}


def test_no_block_is_lost_and_the_table_can_be_made_of_the_weights(
    blocks: tuple[FeatureBlock, ...],
) -> None:
    found = learned_weights(blocks, factors_of(blocks, (1.0, 0.0)), np.ones(ITEMS))
    assert min(found.values()) >= 0.5
    assert max(found.values()) <= 2.0
    table = feature_table(blocks, ITEMS, weights=found)
    assert float(np.sum(table.data**2)) / ITEMS == pytest.approx(1.0)


def test_sums_over_pairs_of_items_are_those_of_dense_matrices(
    blocks: tuple[FeatureBlock, ...],
) -> None:
    from recommons.common.models.fusion import _kernels, _with_factors

    one, other = (b.matrix for b in blocks)
    factors = np.random.default_rng(3).standard_normal((ITEMS, 4))
    dense = [(m @ m.T).toarray() for m in (one, other)] + [factors @ factors.T]
    for gram in dense:
        np.fill_diagonal(gram, 0.0)
    assert _kernels(one, other) == pytest.approx(float((dense[0] * dense[1]).sum()))
    assert _with_factors(one, factors) == pytest.approx(float((dense[0] * dense[2]).sum()))
