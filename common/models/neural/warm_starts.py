"""Where the towers' parameters begin: public content, or the sums of a few rounds of `als`.

Both are functions of public features and of noisy sums: free of privacy beyond those sums.

* ``content``: in_i = A f_i and out_i = A f_i with A = √8·I, so that scores begin as eight times the
  likeness of an item to the mean of the history; biases are ln of the noised popularity.
* ``als``: the model that `als` would release scores x·W with EASE's weights W; the towers begin as
  the matrix of rank d nearest to W as users see it (`ease_weights`); biases are .4·ln of the noised
  popularity.

The constants were chosen on validation users of MovieLens 1M (`simulations/benchmarks/neural.py`).
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import scipy.sparse.linalg as sla

from recommons.common.models.interface import ModelRelease
from recommons.common.models.neural.ease_weights import EaseWeights, tower_tables
from recommons.common.models.neural.rounding import (
    MOST_BIAS,
    MOST_LAYER,
    MOST_ROW,
    MOST_STRETCH,
)
from recommons.common.models.neural.shapes import TowerShape
from recommons.common.models.scoring import GlobalModel

__all__ = ["bounded", "content_tables", "parameter_shapes", "weight_tables"]

Floats = npt.NDArray[np.float64]

_CONTENT_SCALE = 8.0
_WEIGHTS_POPULARITY = 0.4
_INSIDE = 1 - 1e-7

TABLES = ("user.table.weight", "out.weight", "table.weight")
BIASES = ("out.bias", "bias.weight")


def parameter_shapes(shape: TowerShape, *, candidates: bool) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the towers' parameters, in the order of the update's coordinates."""
    items, dim, features = shape.items, shape.dim, shape.features
    shapes: dict[str, tuple[int, ...]] = {"user.table.weight": (items, dim)}
    if features:
        shapes["user.content.weight"] = (dim, features)
    if shape.hidden:
        shapes |= {"user.widen.weight": (shape.hidden, dim), "user.widen.bias": (shape.hidden,)}
        shapes |= {"user.narrow.weight": (dim, shape.hidden), "user.narrow.bias": (dim,)}
    if not candidates:
        shapes |= {"out.weight": (items, dim), "out.bias": (items,)}
        return shapes | ({"fuse.weight": (features, dim)} if features else {})
    shapes |= {"table.weight": (items, dim), "bias.weight": (items, 1)}
    if features and shape.fusion == "deep":
        inner = shape.fusion_hidden
        shapes |= {"fuse.weight": (inner, features), "deepen.weight": (dim, inner)}
    elif features:
        shapes["fuse.weight"] = (dim, features)
    return shapes


def content_tables(
    shape: TowerShape, counts: Floats, *, candidates: bool, seed: int
) -> dict[str, Floats]:
    """Parameters from public content and noised counts."""
    start = _blank(shape, candidates=candidates, seed=seed)
    _set_bias(start, 1.0, counts)
    if not shape.features:  # nothing tells items apart: small random rows
        draws = np.random.default_rng(seed)
        for name in TABLES:
            if name in start:
                start[name] = 0.05 * draws.standard_normal(start[name].shape)
        return bounded(start)
    alike = np.sqrt(_CONTENT_SCALE) * np.eye(shape.dim, shape.features)
    start["user.content.weight"] = alike
    if not candidates:
        start["fuse.weight"] = alike.T.copy()
    elif shape.fusion == "linear":
        start["fuse.weight"] = alike.copy()
    return bounded(start)


def weight_tables(
    shape: TowerShape, release: ModelRelease, *, candidates: bool, seed: int
) -> dict[str, Floats]:
    """Parameters from the EASE weights of a release."""
    start = _blank(shape, candidates=candidates, seed=seed)
    _set_bias(start, _WEIGHTS_POPULARITY, np.asarray(release.arrays["counts"], np.float64))
    left, right, squares = _leading(release, shape.dim)
    inputs, vectors = tower_tables(left, right, squares)
    rank = inputs.shape[1]
    start["user.table.weight"][:, :rank] = inputs
    start["table.weight" if candidates else "out.weight"][:, :rank] = vectors
    return bounded(start)


def bounded(parameters: Mapping[str, Floats]) -> dict[str, Floats]:
    """The parameters, shrunk into the bounds that `rounding` counts on; finite whatever comes."""
    result = {}
    for name, given in parameters.items():
        value = np.nan_to_num(np.asarray(given, np.float64), posinf=0.0, neginf=0.0)
        if name in BIASES:
            result[name] = np.clip(value, -MOST_BIAS, MOST_BIAS)
        elif name in TABLES:
            norms = np.linalg.norm(value, axis=1, keepdims=True)
            result[name] = value * np.minimum(1.0, _INSIDE * MOST_ROW / np.maximum(norms, 1e-300))
        else:
            stretch, whole = float(np.linalg.norm(value, 2)), float(np.linalg.norm(value))
            excess = max(stretch / MOST_STRETCH, whole / MOST_LAYER) / _INSIDE
            result[name] = value / max(excess, 1.0)
    return result


def _blank(shape: TowerShape, *, candidates: bool, seed: int) -> dict[str, Floats]:
    """Zeros, and random inner layers, whose outer layers are zero."""
    shapes = parameter_shapes(shape, candidates=candidates)
    start = {name: np.zeros(size) for name, size in shapes.items()}
    draws = np.random.default_rng(seed)
    for name in ("user.widen.weight", "fuse.weight"):
        if name in start and (name != "fuse.weight" or shape.fusion == "deep"):
            inputs = start[name].shape[1]
            start[name] = draws.standard_normal(start[name].shape) / np.sqrt(inputs)
    return start


def _set_bias(start: dict[str, Floats], weight: float, counts: Floats) -> None:
    share = np.maximum(counts, 1.0)
    popularity = weight * np.log(share / share.sum())
    for name in BIASES:
        if name in start:
            start[name] = (popularity - popularity.mean()).reshape(start[name].shape)


def _leading(release: ModelRelease, rank: int) -> tuple[Floats, Floats, Floats]:
    """W V and V, shape ``(m, ≤ rank)``, and users' mean squares of x W V/√n by column.

    Where the catalogue is too large for Ĝ itself, its diagonal takes its place.
    """
    model = GlobalModel(release=release)
    users, items = float(release.settings["users"]), model.n_items
    if model.dense:
        gram: npt.NDArray[np.floating] = np.asarray(model.source().dense(), np.float32)
    else:
        counts = np.maximum(np.asarray(release.arrays["counts"], np.float64), 1.0)
        gram = counts * (users / counts.sum())
    ease = EaseWeights(inverse=model.inverse, gram=gram)

    def metric(vector: Floats) -> Floats:
        return ease.metric(np.ravel(vector)[:, None]).ravel()

    start = np.random.default_rng(0).standard_normal(items)
    operator = sla.LinearOperator((items, items), matvec=metric, dtype=np.float64)
    values, right = sla.eigsh(operator, k=min(rank, items - 1), v0=start)
    order = np.argsort(-values)
    right = right[:, order]
    right = right * np.sign(right[np.abs(right).argmax(axis=0), np.arange(len(order))])
    return ease.weights(right), right, np.maximum(values[order], 0.0) / users
