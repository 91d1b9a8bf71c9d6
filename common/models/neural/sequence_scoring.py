"""From a released sequence model to scores: item vectors against the user's last place."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommons.common.data.interactions import Interactions
from recommons.common.models.interface import ModelRelease
from recommons.common.models.neural.events import gap_steps, last_events
from recommons.common.models.neural.shapes import REACH

__all__ = ["SequenceScorer", "attention_arrays"]

ATTENTION = ("kind", "query", "key", "value", "age", "gap", "likes")
"""The encoder's own parameters, beside the items' table and the content."""

Floats = npt.NDArray[np.float32]

_BATCH = 1024


def attention_arrays(
    parameters: dict[str, npt.NDArray[np.float64]],
) -> dict[str, Floats]:
    """The encoder's parameters as they are released, float32."""
    return {
        f"user.{name}": parameters[f"user.{name}.weight"].astype(np.float32) for name in ATTENTION
    }


@dataclass(frozen=True, kw_only=True, eq=False)
class SequenceScorer:
    """Scores by a release of `sequence`.

    Histories without times are taken in an order that means nothing.

    Attributes:
        release: The release.
    """

    release: ModelRelease

    def user_vectors(self, users: Interactions) -> Floats:
        """H after the last event, shape ``(n_users, d)``; of an empty history zeros."""
        parts = [self._vectors(batch) for batch in users.batches(_BATCH)]
        width = self.release.arrays["inputs"].shape[1]
        return np.concatenate([np.zeros((0, width), np.float32), *parts])

    def score(self, users: Interactions) -> Floats:
        """Scores, shape ``(n_users, n_items)``."""
        arrays = self.release.arrays
        scores = self.user_vectors(users) @ np.asarray(arrays["outputs"]).T + arrays["bias"]
        return np.asarray(scores, np.float32)

    def _vectors(self, users: Interactions) -> Floats:
        arrays, settings = self.release.arrays, self.release.settings
        events = last_events(users, int(settings["last"]), seed=int(settings["seed"]))
        read = np.asarray(arrays["inputs"]) + np.asarray(arrays["input_features"])
        seen = read[events.items] + arrays["user.kind"][events.kinds]
        rows = np.arange(len(seen))
        final = np.maximum(events.lengths - 1, 0)
        query = seen[rows, final] @ arrays["user.query"].T
        keys = seen @ arrays["user.key"].T
        logits = np.einsum("nd,nld->nl", query, keys) / np.sqrt(seen.shape[2])
        place = np.arange(seen.shape[1])
        ages = np.maximum(final[:, None] - place, 0)
        gaps = gap_steps(events.times[rows, final][:, None], events.times)
        logits += arrays["user.age"][ages, 0] + arrays["user.gap"][gaps, 0]
        logits += arrays["user.likes"][events.kinds, 0]
        inside = place < events.lengths[:, None]
        logits = np.where(inside, logits, -np.inf)
        largest = logits.max(axis=1, keepdims=True, initial=-1e30)
        weights = np.exp(logits - largest) * inside
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-30)
        pooled = np.einsum("nl,nld->nd", weights, seen + seen @ arrays["user.value"].T)
        return np.asarray(REACH * np.tanh(pooled / REACH), np.float32)
