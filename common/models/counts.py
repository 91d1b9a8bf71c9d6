"""A release that knows item counts and public features, and no factors but zeros."""

import numpy as np
import numpy.typing as npt

from recommons.common.data.catalogue import Catalogue
from recommons.common.models.content import feature_blocks, feature_table
from recommons.common.models.interface import ModelRelease
from recommons.common.models.kernel import FeatureKernel

__all__ = ["counts_release"]

_KERNEL_WEIGHT, _RIDGE = 0.4, 2.0


def counts_release(
    catalogue: Catalogue, counts: npt.NDArray[np.float64], users: int
) -> ModelRelease:
    """What `als` would release before its first factors: Ĝ is counts and the kernel of features.

    Args:
        catalogue: The public catalogue.
        counts: Noised Σ_u x_u/‖x_u‖, float64, shape ``(m,)``.
        users: Declared users of the cohort.
    """
    table = feature_table(feature_blocks(catalogue), len(catalogue))
    return ModelRelease(
        model="counts",
        arrays={
            "factors": np.zeros((len(catalogue), 1), np.float32),
            "counts": counts,
            **FeatureKernel(table=table).to_arrays(),
        },
        settings={
            "users": float(users),
            "features": table.shape[1],
            "normalised": True,
            "kernel_weight": _KERNEL_WEIGHT,
            "ridge": _RIDGE,
        },
    )
