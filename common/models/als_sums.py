"""What a batch of users adds to the integer sums of `als`."""

import numpy as np
import numpy.typing as npt

from recommons.common.models.triangles import scales, triangle
from recommons.common.models.user_step import UserBatch
from recommons.common.privacy.mechanism import BlockMechanism
from recommons.common.privacy.quantization import quantize

__all__ = ["add_counts", "add_factors", "add_gram"]

Integers = npt.NDArray[np.int64]


def add_counts(total: Integers, batch: UserBatch, block: BlockMechanism) -> None:
    """Σ w, with w = x/‖x‖."""
    weights = 1 / np.sqrt(np.maximum(batch.lengths, 1))
    integers = quantize(
        weights[:, None], clip=block.clip, sensitivity=block.sensitivity, multiplicity=batch.lengths
    )
    total[batch.items] += _item_sums(batch, integers)[:, 0]


def add_gram(total: Integers, vectors: npt.NDArray[np.float64], block: BlockMechanism) -> None:
    """Σ z zᵀ, packed."""
    rows, columns = triangle(vectors.shape[1])
    packed = vectors[:, rows] * vectors[:, columns] * scales(vectors.shape[1])
    total += quantize(packed, clip=block.clip, sensitivity=block.sensitivity).sum(axis=0)


def add_factors(
    total: Integers, batch: UserBatch, vectors: npt.NDArray[np.float64], block: BlockMechanism
) -> None:
    """Σ w zᵀ."""
    weights = 1 / np.sqrt(np.maximum(batch.lengths, 1))
    integers = quantize(
        vectors * weights[:, None],
        clip=block.clip,
        sensitivity=block.sensitivity,
        multiplicity=batch.lengths,
    )
    total.reshape(-1, vectors.shape[1])[batch.items] += _item_sums(batch, integers)


def _item_sums(batch: UserBatch, integers: Integers) -> Integers:
    """Σ_u x_u ⊗ integers_u in int64, shape ``(len(batch.items), columns)``."""
    return np.asarray(batch.matrix.astype(np.int64).T @ integers)
