"""Denoising of item sums by what public features and earlier releases predict.

Model: b_i = a_i μ_i + N(0, σ² I) with μ_i ~ N(Cᵀ f_i, S) and rows of C ~ N(0, diag τ), one τ for
each block of features and each direction. S, τ and C are found by expectation maximisation in the
eigenbasis of S, where the d directions separate (empirical Bayes; Morris 1983). Everything read
here is public or already released, so this costs no privacy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommons.common.models.triangles import triangle

__all__ = ["denoise", "weighted_grams"]

Floats = npt.NDArray[np.float64]

STEPS = 12
FLOOR = 1e-12
INTERCEPT_PRECISION = 1e-9
LEAST_RELATIVE_NOISE = 1e-3  # with less the problem is degenerate: this much is assumed
LEAST_EIGENVALUE = 0.02
INITIAL_FEATURE_SHARE = 0.5
CHUNK = 256  # items whose products of two columns are held at once


@dataclass(kw_only=True)
class _Prior:
    """S = basis · diag(spread) · basisᵀ and τ, shape ``(blocks, d)``, in that basis."""

    spread: Floats
    basis: Floats
    feature_variance: Floats


def denoise(
    sums: Floats, scale: Floats, stddev: float, features: Sequence[npt.NDArray[np.floating]]
) -> Floats:
    """Posterior means a_i E[μ_i | b].

    Args:
        sums: b, shape ``(m, d)``.
        scale: a > 0, shape ``(m,)``.
        stddev: σ of the noise in each coordinate, 0 or more.
        features: Blocks of shape ``(m, any)``; each is scaled to unit root mean square rows.

    Returns:
        float64, shape ``(m, d)``; the sums themselves where they have no noise.
    """
    if stddev == 0:
        return sums
    stddev = max(stddev, LEAST_RELATIVE_NOISE * float(np.abs(sums).max(initial=FLOOR)))
    means, noise = sums / scale[:, None], (stddev / scale) ** 2
    design, block_of = _design(len(sums), features)
    prior = _initial_prior(means, noise, int(block_of.max()) + 1)
    posterior = means
    for _ in range(STEPS):
        posterior, prior = _step(means, noise, design, block_of, prior)
    return posterior * scale[:, None]


def _design(
    n_items: int, features: Sequence[npt.NDArray[np.floating]]
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """An intercept (block 0) and the scaled blocks, side by side."""
    columns, block_of = [np.ones((n_items, 1))], [np.zeros(1, np.int64)]
    useful = (block for block in features if block.shape[1])
    for number, block in enumerate(useful, start=1):
        scale = np.sqrt(max(float(np.mean((block * block).sum(1))), FLOOR))
        columns.append(block / scale)
        block_of.append(np.full(block.shape[1], number))
    return np.hstack(columns), np.concatenate(block_of)


def _initial_prior(means: Floats, noise: Floats, n_blocks: int) -> _Prior:
    weights = (1 / noise) / (1 / noise).sum()
    dim = means.shape[1]
    moment = (means * weights[:, None]).T @ means - np.eye(dim) * float((weights * noise).sum())
    spread, basis = np.linalg.eigh(moment)
    spread = np.maximum(spread, LEAST_EIGENVALUE * max(float(spread.max()), FLOOR))
    share = np.repeat(INITIAL_FEATURE_SHARE * spread[None], n_blocks, axis=0)
    return _Prior(spread=spread, basis=basis, feature_variance=share)


def _step(
    means: Floats,
    noise: Floats,
    design: Floats,
    block_of: npt.NDArray[np.int64],
    prior: _Prior,
) -> tuple[Floats, _Prior]:
    """One expectation and one maximisation, direction by direction of the eigenbasis of S."""
    rotated = means @ prior.basis
    weights = 1 / (prior.spread[:, None] + noise)
    precisions = weighted_grams(design, weights)
    projected = (weights * rotated.T) @ design
    coefficients = np.empty((design.shape[1], len(prior.spread)))
    variance = np.empty_like(prior.feature_variance)
    for k, precision in enumerate(precisions):
        ridge = 1 / prior.feature_variance[block_of, k]
        ridge[0] = INTERCEPT_PRECISION
        precision[np.diag_indices_from(precision)] += ridge
        covariance = np.linalg.inv(precision)
        coefficients[:, k] = covariance @ projected[k]
        second_moment = coefficients[:, k] ** 2 + np.diag(covariance)
        variance[:, k] = np.bincount(block_of, second_moment) / np.bincount(block_of)
    predicted = design @ coefficients
    shrink = prior.spread / (prior.spread + noise[:, None])
    posterior = predicted + shrink * (rotated - predicted)
    left_over = (shrink * noise[:, None]).mean(axis=0)
    residual = (posterior - predicted) @ prior.basis.T
    spread_matrix = residual.T @ residual / len(means)
    spread_matrix += (prior.basis * left_over) @ prior.basis.T
    spread, basis = np.linalg.eigh(spread_matrix)
    variance = np.maximum(variance @ ((basis.T @ prior.basis) ** 2).T, FLOOR)
    return posterior @ prior.basis.T, _Prior(
        spread=np.maximum(spread, FLOOR), basis=basis, feature_variance=variance
    )


def weighted_grams(design: Floats, weights: Floats) -> Floats:
    """Dᵀ diag(w) D for every row w of `weights`.

    The products of two columns are the same for every w, so that all the matrices are one product,
    a chunk of items at a time.

    Args:
        design: D, shape ``(m, c)``.
        weights: Shape ``(k, m)``.

    Returns:
        Shape ``(k, c, c)``.
    """
    n_items, width = design.shape
    rows, columns = triangle(width)
    packed = np.zeros((len(weights), len(rows)))
    buffer = np.empty((len(rows), CHUNK))
    for start in range(0, n_items, CHUNK):
        part = np.ascontiguousarray(design[start : start + CHUNK].T)
        products = buffer[:, : part.shape[1]]
        end = 0
        for column in range(width):
            begin, end = end, end + width - column
            np.multiply(part[column], part[column:], out=products[begin:end])
        packed += weights[:, start : start + CHUNK] @ products.T
    grams = np.empty((len(weights), width, width))
    grams[:, rows, columns] = packed
    grams[:, columns, rows] = packed
    return grams
