"""From released towers to scores: item vectors against a user vector."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from recommons.common.data.interactions import Interactions
from recommons.common.models.interface import ModelRelease
from recommons.common.models.neural.shapes import REACH, TowerShape

__all__ = ["TowerScorer", "fused_arrays"]

Floats = npt.NDArray[np.float64]
_USER_LAYERS = ("widen.weight", "widen.bias", "narrow.weight", "narrow.bias")


def fused_arrays(
    shape: TowerShape, parameters: Mapping[str, Floats], features: Floats
) -> dict[str, npt.NDArray[np.float32]]:
    """What is released: one vector an item for each tower, content fused in.

    Returns:
        float32: ``inputs`` (m, d), ``input_features`` (m, d: what the mean of features adds),
        ``outputs`` (m, d), ``bias`` (m,), and the user layers where there are any.
    """
    outputs = parameters["out.weight" if "out.weight" in parameters else "table.weight"]
    bias = parameters["out.bias" if "out.bias" in parameters else "bias.weight"]
    read = np.zeros_like(outputs)
    if shape.features:
        read = features @ parameters["user.content.weight"].T
        outputs = outputs + _fused(shape, parameters, features)
    arrays = {
        "inputs": parameters["user.table.weight"],
        "input_features": read,
        "outputs": outputs,
        "bias": bias.ravel(),
    }
    layers = {
        f"user.{name}": parameters[f"user.{name}"]
        for name in _USER_LAYERS
        if f"user.{name}" in parameters
    }
    return {name: value.astype(np.float32) for name, value in (arrays | layers).items()}


def _fused(shape: TowerShape, parameters: Mapping[str, Floats], features: Floats) -> Floats:
    fuse = parameters["fuse.weight"]
    if "out.weight" in parameters:
        return features @ fuse
    if shape.fusion == "linear":
        return features @ fuse.T
    return np.asarray(np.tanh(features @ fuse.T) @ parameters["deepen.weight"].T)


@dataclass(frozen=True, kw_only=True, eq=False)
class TowerScorer:
    """Scores by a release of `two-tower`.

    Attributes:
        release: The release.
    """

    release: ModelRelease

    def user_vectors(self, users: Interactions) -> npt.NDArray[np.float32]:
        """h, shape ``(n_users, d)``; of an empty history the vector of nothing."""
        arrays = self.release.arrays
        counts = np.maximum(np.diff(users.indptr), 1)[:, None]
        histories = users.matrix()
        hidden = histories @ self._inputs / np.sqrt(counts).astype(np.float32)
        hidden = hidden + histories @ np.asarray(arrays["input_features"]) / counts.astype(
            np.float32
        )
        if self.release.settings["activation"] == "tanh":
            hidden = REACH * np.tanh(hidden / REACH)
        if "user.widen.weight" in arrays:
            wide = np.tanh(
                hidden / REACH @ arrays["user.widen.weight"].T + arrays["user.widen.bias"]
            )
            hidden = hidden + wide @ arrays["user.narrow.weight"].T + arrays["user.narrow.bias"]
        return np.asarray(hidden, np.float32)

    def score(self, users: Interactions) -> npt.NDArray[np.float32]:
        """Scores, shape ``(n_users, n_items)``."""
        arrays = self.release.arrays
        scores = self.user_vectors(users) @ np.asarray(arrays["outputs"]).T + arrays["bias"]
        return np.asarray(scores, np.float32)

    @cached_property
    def _inputs(self) -> npt.NDArray[np.float32]:
        return np.asarray(self.release.arrays["inputs"], np.float32)
