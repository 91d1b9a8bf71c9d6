"""Every hyperparameter of `sequence`, and the plan's defaults."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import with_config

from recommons.common.checks import require
from recommons.common.models.als import AlsSettings
from recommons.common.models.interface import PublicFigures
from recommons.common.models.neural.settings import TwoTowerSettings
from recommons.common.models.options import STRICT, options_to_json

__all__ = ["SequenceSettings"]

DIM, LAST = 128, 50
UNNOISED_DIM = 256
"""Length of vectors, and rank of the `als` they start from, where no noise is spread over it."""

RATE, STEPS, LEARNING_RATE = 0.05, 10, 1e-3

UNNOISED_DECAY = 0.7


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class SequenceSettings(TwoTowerSettings):
    """Every hyperparameter of `sequence`: those of `two-tower`, some of them with one value only.

    Attributes:
        hide: 0: what is asked for comes after what is read.
        most_items: L, last events that are read.
        most_targets: The same: every place but the last is asked for the next.
        decay: What an event's weight falls by with each later event, where attention begins.
        popularity: Weight of ln popularity in the item biases, where they begin.
    """

    hide: float = 0.0
    most_items: int = LAST
    most_targets: int = LAST
    decay: float = 0.8
    popularity: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.hide == 0, "hide", self.hide, "0 for model 'sequence'")
        require(self.hidden == 0, "hidden", self.hidden, "0 for model 'sequence'")
        require(self.activation == "tanh", "activation", self.activation, "'tanh'")
        require(self.loss != "pairwise", "loss", self.loss, "a softmax, for model 'sequence'")
        require(self.update_items == 0, "update_items", self.update_items, "0 for model 'sequence'")
        require(0 < self.decay <= 1, "decay", self.decay, "in (0, 1]")
        require(self.popularity >= 0, "popularity", self.popularity, "0 or more")

    @classmethod
    def choose(
        cls,
        figures: PublicFigures,
        *,
        dim: int | None = None,
        seed: int = 0,
        given: Mapping[str, Any] | None = None,
    ) -> Self:
        """The plan's defaults; see `TwoTowerSettings.choose`.

        The items' tables stay what the warm start made them: noise in each of their coordinates
        would cost more than some dozen steps can teach (`docs/neural-models.md`).
        """
        asked = dict(given or {})
        defaults: dict[str, Any] = {"rate": RATE, "steps": STEPS, "learning_rate": LEARNING_RATE}
        defaults["trained"] = "fusion"
        length = DIM
        if math.isinf(figures.epsilon):
            length, defaults["decay"] = UNNOISED_DIM, UNNOISED_DECAY
            if asked.get("warm", "als") == "als":
                als = AlsSettings.choose(figures, dim=UNNOISED_DIM, seed=seed)
                defaults["als"] = options_to_json(als)
        defaults["most_targets"] = asked.get("most_items", LAST)
        return super().choose(
            figures, dim=length if dim is None else dim, seed=seed, given=defaults | asked
        )
