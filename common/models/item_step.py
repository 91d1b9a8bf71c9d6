"""What the coordinator makes of a noisy round: the next public item vectors, and factors.

All of it is post-processing of releases and of public features.
"""

import numpy as np
import numpy.typing as npt
import scipy.sparse.linalg as sla

__all__ = [
    "first_items",
    "leading_eigenvectors",
    "matrix_power",
    "next_items",
    "positive_part",
    "user_ridge",
]

Floats = npt.NDArray[np.float64]

LEAST_COUNT = 0.5
LEAST_EIGENVALUE = 1e-3
USER_RIDGE, USER_BACKGROUND = 1.0, 0.2
ITEM_RIDGE, ITEM_BACKGROUND = 0.3, 0.03


def positive_part(symmetric: Floats) -> Floats:
    """The nearest positive semidefinite matrix (Frobenius norm; Higham 1988)."""
    values, vectors = np.linalg.eigh(symmetric)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


def matrix_power(gram: Floats, exponent: float) -> Floats:
    """A power of a positive matrix, its eigenvalues held above 0.1 % of the largest."""
    values, vectors = np.linalg.eigh(gram)
    largest = max(float(values.max()), np.finfo(np.float64).tiny)
    values = np.maximum(values, LEAST_EIGENVALUE * largest)
    return np.asarray((vectors * values**exponent) @ vectors.T)


def leading_eigenvectors(symmetric: Floats, rank: int) -> tuple[Floats, Floats]:
    """The largest eigenvalues, descending, shape ``(rank,)``, and their vectors as columns."""
    values, vectors = sla.eigsh(symmetric, k=rank, which="LA", v0=np.ones(len(symmetric)))
    order = np.argsort(-values)
    return values[order], vectors[:, order]


def first_items(features: Floats, counts: Floats) -> Floats:
    """V₀: the features, centred by the noised counts, rows scaled to unit root mean square."""
    weights = np.maximum(counts, LEAST_COUNT)
    centred = features - (weights @ features) / weights.sum()
    scale = np.sqrt(max(float(np.mean((centred**2).sum(1))), np.finfo(np.float64).tiny))
    return np.asarray(centred / scale)


def user_ridge(items: Floats) -> Floats:
    """R = .2 VᵀV + I, the ridge of the user step (float64, ``(d, d)``)."""
    return np.asarray(USER_BACKGROUND * (items.T @ items) + USER_RIDGE * np.eye(items.shape[1]))


def next_items(sums: Floats, gram: Floats, counts: Floats) -> Floats:
    """The next V: a ridge regression for each item, whitened.

    v_i = ((c_i⁺/tr G + .03) G + .3 I)⁻¹ b_i, then V (G · d/n)^{1/2} with n = tr G. All items share
    the eigenbasis of G, so each solution is a division.

    Args:
        sums: B denoised, shape ``(m, d)``.
        gram: G, positive semidefinite, shape ``(d, d)``; its trace is the number of users.
        counts: Noised counts c, shape ``(m,)``.
    """
    values, vectors = np.linalg.eigh(gram)
    values = np.maximum(values, 0.0)
    users = max(float(values.sum()), 1.0)
    confidence = np.maximum(counts, 0.0)[:, None] / users + ITEM_BACKGROUND
    solved = (sums @ vectors) / (confidence * values + ITEM_RIDGE)
    return np.asarray(solved @ vectors.T @ matrix_power(gram * (len(gram) / users), 0.5))
