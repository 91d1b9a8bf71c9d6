"""Denoising: closer to the truth than what came in, and harmless without noise."""

import numpy as np
import pytest

from recommons.common.models.empirical_bayes import CHUNK, denoise, weighted_grams

M, DIM = 300, 6


def synthetic(
    stddev: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((M, 8))
    scale = 0.5 + 3 * rng.random(M)
    loadings = rng.standard_normal((8, DIM)) * np.array([2, 1, 1, 0.2, 0.1, 0.1])
    truth = scale[:, None] * (features @ loadings + 0.3 * rng.standard_normal((M, DIM)))
    return truth, truth + stddev * rng.standard_normal((M, DIM)), scale, features


@pytest.mark.parametrize("stddev", [1.0, 4.0, 16.0])
def test_denoised_sums_are_closer_to_the_truth(stddev: float) -> None:
    truth, noisy, scale, features = synthetic(stddev)
    error = np.linalg.norm(denoise(noisy, scale, stddev, [features]) - truth)
    plain = np.linalg.norm(denoise(noisy, scale, stddev, []) - truth)
    assert error < 0.6 * np.linalg.norm(noisy - truth)
    assert error < plain < np.linalg.norm(noisy - truth)


def test_features_that_mean_nothing_do_little_harm() -> None:
    truth, noisy, scale, _ = synthetic(4.0)
    nonsense = np.random.default_rng(9).standard_normal((M, 8))
    error = np.linalg.norm(denoise(noisy, scale, 4.0, [nonsense]) - truth)
    plain = np.linalg.norm(denoise(noisy, scale, 4.0, []) - truth)
    assert error < 1.1 * plain


def test_without_noise_sums_stay_as_they_are() -> None:
    truth, _, scale, features = synthetic(0.0)
    np.testing.assert_array_equal(denoise(truth, scale, 0.0, [features]), truth)
    found = denoise(truth, scale, 1e-9, [features])
    assert np.linalg.norm(found - truth) < 0.01 * np.linalg.norm(truth)


def test_sums_of_nothing_but_noise_are_shrunk_to_almost_nothing() -> None:
    noise = np.random.default_rng(1).standard_normal((M, DIM))
    found = denoise(noise, np.ones(M), 1.0, [])
    assert np.linalg.norm(found) < 0.35 * np.linalg.norm(noise)


def test_blocks_without_columns_and_sums_of_zeros_do_no_harm() -> None:
    found = denoise(np.zeros((M, DIM)), np.ones(M), 1e-9, [np.zeros((M, 0)), np.ones((M, 2))])
    np.testing.assert_allclose(found, 0.0, atol=1e-9)


@pytest.mark.parametrize("n_items", [1, CHUNK, 2 * CHUNK + 3])
def test_the_weighted_grams_of_all_directions_are_those_of_one_at_a_time(n_items: int) -> None:
    rng = np.random.default_rng(3)
    design, weights = rng.standard_normal((n_items, 5)), rng.random((4, n_items))
    expected = [(design * row[:, None]).T @ design for row in weights]
    np.testing.assert_allclose(weighted_grams(design, weights), expected, atol=1e-12)
