"""The sequence model's parameters: names and shapes, where they begin, and their bounds."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from recommons.common.models.interface import ModelRelease
from recommons.common.models.neural.shapes import GAPS, KINDS, TowerShape
from recommons.common.models.neural.warm_starts import (
    BIASES,
    content_tables,
    parameter_shapes,
    weight_tables,
)

__all__ = ["bounded_sequence", "first_sequence", "sequence_shapes"]

Floats = npt.NDArray[np.float64]

_MOST = 64.0
"""Largest absolute value of an entry, so that nothing overflows."""

_BASE = ("user.table.weight", "user.content.weight")
_FIRST_QUERY = 0.5


def sequence_shapes(
    shape: TowerShape, last: int, *, candidates: bool
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the parameters, in the order of the update's coordinates."""
    dim = shape.dim
    encoder: dict[str, tuple[int, ...]] = {
        "user.kind.weight": (KINDS, dim),
        "user.query.weight": (dim, dim),
        "user.key.weight": (dim, dim),
        "user.value.weight": (dim, dim),
        "user.age.weight": (last, 1),
        "user.gap.weight": (GAPS, 1),
        "user.likes.weight": (KINDS, 1),
    }
    towers = parameter_shapes(shape, candidates=candidates)
    first = {name: towers[name] for name in _BASE if name in towers}
    return first | encoder | {name: size for name, size in towers.items() if name not in _BASE}


def first_sequence(
    shape: TowerShape,
    release: ModelRelease,
    *,
    warm: str,
    last: int,
    decay: float,
    popularity: float,
    candidates: bool,
    seed: int,
) -> dict[str, Floats]:
    """Parameters from a release of the warm start.

    Attention begins as a mean with weights decay^age and no regard to content: K = V = 0, Q = I/2.
    """
    counts = np.asarray(release.arrays["counts"], np.float64)
    if warm == "content":
        start = content_tables(shape, counts, candidates=candidates, seed=seed)
    else:
        start = weight_tables(shape, release, candidates=candidates, seed=seed)
    share = np.maximum(counts, 1.0)
    bias = popularity * np.log(share / share.mean())
    for name in BIASES:
        if name in start:
            start[name] = (bias - bias.mean()).reshape(start[name].shape)
    shapes = sequence_shapes(shape, last, candidates=candidates)
    start = {name: start.get(name, np.zeros(size)) for name, size in shapes.items()}
    start["user.query.weight"] = _FIRST_QUERY * np.eye(shape.dim)
    start["user.age.weight"] = (np.arange(last) * np.log(decay))[:, None]
    return bounded_sequence(start)


def bounded_sequence(parameters: Mapping[str, Floats]) -> dict[str, Floats]:
    """The parameters with every entry within ±64; finite whatever comes."""
    return {
        name: np.clip(np.nan_to_num(np.asarray(value, np.float64)), -_MOST, _MOST)
        for name, value in parameters.items()
    }
