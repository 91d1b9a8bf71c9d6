"""How much each kind of public feature says about what goes with what: learned from a release.

A kernel of features K = Σ_b w_b² K_b adds up blocks (words of titles, categories, numbers, vectors
of images). Which of them matter depends on the data, and the release itself tells: off the diagonal
the sums of a round give B G⁻¹ Bᵀ, whose noise is independent from item to item, so that its entries
(i ≠ j) estimate co-occurrence without bias. The weights w_b² ≥ 0 that come nearest to it,

    min Σ_{i≠j} ((B G⁻¹ Bᵀ)_ij − s_i s_j Σ_b w_b² (K_b)_ij)²,

are a small non-negative least squares problem (Lawson and Hanson 1974). All it reads has been
released: post-processing, no cost in privacy. One constant draws the weights towards those of
`content`; nothing is chosen for a data set by hand.
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.optimize import nnls

from recommons.common.models.content import WEIGHTS, FeatureBlock

__all__ = ["learned_weights"]

Floats = npt.NDArray[np.float64]

_DRAWN = 0.3
"""Share of the problem's own scale with which weights are drawn towards the default ones."""

_BAND = 2.0
"""A weight is at most so many times the default one, and at least its so-manieth part: factors of
low rank cannot show what only few items share, however much it says of them."""

_SLACK = 1e-9
"""Blocks that say the same share what they say."""

_CHUNK = 512


def learned_weights(
    blocks: Sequence[FeatureBlock], factors: Floats, spread: Floats
) -> dict[str, float]:
    """Weights of the blocks by name, for `content.feature_table`.

    Args:
        blocks: The blocks, b.
        factors: B G^{-1/2} of a round before any denoising, shape ``(m, d)``.
        spread: s, positive, shape ``(m,)``.

    Returns:
        w_b by name; the default weights where the release tells nothing.
    """
    default = {block.name: WEIGHTS[block.view] for block in blocks}
    if not blocks:
        return default
    scaled = [sp.csr_array(sp.diags_array(spread) @ block.matrix) for block in blocks]
    # What goes together because it is popular is no matter of features: explained first.
    scaled += [sp.csr_array(column[:, None]) for column in (spread, spread**2, spread**4)]
    products = np.zeros((len(scaled), len(scaled)))
    for i, j in combinations_with_replacement(range(len(scaled)), 2):
        products[i, j] = products[j, i] = _kernels(scaled[i], scaled[j])
    told = np.array([_with_factors(one, factors) for one in scaled])
    prior = np.array([*(value**2 for value in default.values()), 0.0, 0.0, 0.0])
    if not np.isfinite(told).all():
        return default
    # The default weights at the height that fits best, if any height does.
    together = np.vstack([prior, np.eye(len(prior))[len(blocks) :]])
    height = float(_fit(together @ products @ together.T, together @ told)[0])
    if not height > 0:
        return default
    draw = _DRAWN * np.diag(products) * (prior > 0)
    squares = _fit(products + np.diag(draw), told + draw * prior * height)[: len(blocks)]
    own = prior[: len(blocks)]
    factor = np.sqrt(squares / (own * max(height, 1e-300)))
    weights = np.sqrt(own) * np.clip(factor, 1 / _BAND, _BAND)
    return dict(zip(default, weights.tolist(), strict=True))


def _fit(products: Floats, told: Floats) -> Floats:
    """min_{x ≥ 0} xᵀ A x − 2 bᵀ x, by the Cholesky factor of A brought to a unit diagonal."""
    scale = np.sqrt(np.maximum(np.diag(products), 1e-300))
    unit = products / np.outer(scale, scale) + _SLACK * np.eye(len(products))
    left = np.linalg.cholesky(unit)
    found, _ = nnls(left.T, np.linalg.solve(left, told / scale))
    return np.asarray(found / scale, np.float64)


def _kernels(one: sp.csr_array, other: sp.csr_array) -> float:
    """Σ_{i≠j} (A Aᵀ)_ij (C Cᵀ)_ij = ‖Aᵀ C‖² − Σ_i ‖a_i‖² ‖c_i‖²."""
    total = 0.0
    columns = sp.csc_array(one)
    for start in range(0, columns.shape[1], _CHUNK):
        part = (columns[:, start : start + _CHUNK].T @ other).tocsr()
        total += float(part.data @ part.data)
    return total - float(_squares(one) @ _squares(other))


def _with_factors(one: sp.csr_array, factors: Floats) -> float:
    """Σ_{i≠j} (A Aᵀ)_ij (L Lᵀ)_ij."""
    product = one.T @ factors
    return float((product**2).sum()) - float(_squares(one) @ (factors**2).sum(axis=1))


def _squares(one: sp.csr_array) -> Floats:
    return np.asarray(one.multiply(one).sum(axis=1), np.float64).ravel()
