"""Every hyperparameter of `two-tower`, and the plan's defaults."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import with_config

from recommons.common.checks import require
from recommons.common.models.als import AlsSettings
from recommons.common.models.interface import PublicFigures
from recommons.common.models.neural.optimisers import OptimiserName
from recommons.common.models.neural.shapes import Activation, Fusion
from recommons.common.models.options import STRICT, options_from_json, options_to_json

__all__ = ["Loss", "TwoTowerSettings"]

Loss = Literal["full-softmax", "sampled-softmax", "pairwise"]
WarmStart = Literal["content", "als"]
Trained = Literal["all", "fusion"]

LARGEST_FULL_SOFTMAX = 12_000
"""Largest catalogue whose softmax is taken in full by default."""

FUSION_HIDDEN, NEGATIVES = 64, 512
RATE = 0.2
UNNOISED_DIM, UNNOISED_STEPS, UNNOISED_RATE = 64, 20, 1e-3
NOISED_DIM, NOISED_STEPS, NOISED_RATE = 128, 8, 3e-3
"""With noise the tables stay what the warm start made them (`trained`): their length is free."""

WARM_SHARE = 0.97
"""The warm start's part of μ² where it is all of `als`."""

COUNTS_SHARE = 0.1
"""And where it is item counts alone."""


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class TwoTowerSettings:
    """Every hyperparameter of `two-tower`.

    Attributes:
        dim: d, length of user and item vectors.
        features: r, principal public features of an item; 0 for none.
        hidden: Width of the layer after the user's vector; 0 for none.
        activation: Of the user's vector.
        fusion: How items fuse public features; ``deep`` needs a loss on candidates.
        fusion_hidden: Width of the deep fusion; 0 with ``linear``.
        loss: ``full-softmax``, ``sampled-softmax`` or ``pairwise``.
        negatives: Negatives drawn for a round, the same for all users; 0 with ``full-softmax``.
        hide: Mean share of a history that is hidden from the tower and asked for.
        most_items: L, most items of a history that are read.
        most_targets: Most items a user is asked for in a step.
        most_users: Most users a site may draw for a step; what rounding may do grows with it.
        warm: Where parameters begin.
        warm_share: The warm start's part of μ².
        trained: ``all`` parameters, or all but the items' tables (``fusion``).
        update_items: Items whose rows of tables a step moves, those of the largest noised counts;
            0 for all.
        steps: Rounds of training.
        rate: Probability with which a user takes part in a step.
        users: Declared users of the whole cohort: with the rate, what a sum is divided by.
        clip: C of a user's gradient. A user's loss weighs its targets by a total of one.
        optimiser: Of the coordinator.
        learning_rate: η of the first step.
        seed: Of negatives, of what is hidden, and of random beginnings.
        als: Settings of the `als` of the warm start; none with ``content``.
    """

    dim: int
    features: int = 64
    hidden: int = 0
    activation: Activation = "tanh"
    fusion: Fusion = "linear"
    fusion_hidden: int = 0
    loss: Loss = "full-softmax"
    negatives: int = 0
    hide: float = 0.5
    most_items: int = 2048
    most_targets: int = 2048
    most_users: int
    warm: WarmStart = "als"
    warm_share: float
    trained: Trained = "all"
    update_items: int = 0
    steps: int
    rate: float
    users: int
    clip: float = 0.1
    optimiser: OptimiserName = "adam"
    learning_rate: float = 1e-3
    seed: int = 0
    als: AlsSettings | None = None

    def __post_init__(self) -> None:
        least = {"dim": 1, "most_items": 1, "most_targets": 1, "most_users": 1, "steps": 1}
        least |= {"users": 1, "features": 0, "hidden": 0, "negatives": 0, "seed": 0}
        least |= {"update_items": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            require(value >= bound, name, value, f"{bound} or more")
        require(0 <= self.hide < 1, "hide", self.hide, "0 or more, below 1")
        require(0 < self.warm_share < 1, "warm_share", self.warm_share, "between 0 and 1")
        require(0 < self.rate <= 1, "rate", self.rate, "in (0, 1]")
        require(0 < self.clip < math.inf, "clip", self.clip, "a positive number")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "positive")
        sampled = self.loss != "full-softmax"
        require(
            sampled == (self.negatives > 0),
            "negatives",
            self.negatives,
            "positive for losses on candidates, 0 for the full softmax",
        )
        deep = self.fusion == "deep"
        require(
            deep == (self.fusion_hidden > 0),
            "fusion_hidden",
            self.fusion_hidden,
            "positive for the deep fusion, 0 for the linear one",
        )
        require(sampled or not deep, "fusion", self.fusion, "linear, for the full softmax")
        require(not deep or self.features > 0, "features", self.features, "positive, for fusion")
        require(
            (self.als is None) == (self.warm == "content"),
            "als",
            self.als,
            "settings for the warm start 'als', none for 'content'",
        )

    @classmethod
    def choose(
        cls,
        figures: PublicFigures,
        *,
        dim: int | None = None,
        seed: int = 0,
        given: Mapping[str, Any] | None = None,
    ) -> Self:
        """The plan's defaults: functions of public figures, and of what is asked for.

        With noise, and a start from `als`, the items' tables stay what the start made them: noise
        in each of their coordinates costs more than a few dozen steps can teach some thousands of
        users' model (`docs/neural-models.md`).

        Args:
            figures: The public figures.
            dim: d, in place of the default.
            seed: The plan's.
            given: Fields by name, as JSON has them; what is left out follows from them.

        Raises:
            InvalidInput: ``model/settings``.
        """
        asked = dict(given or {})
        private = math.isfinite(figures.epsilon)
        deep = asked.get("fusion") == "deep"
        large = figures.n_items > LARGEST_FULL_SOFTMAX
        loss = asked.get("loss", "sampled-softmax" if large or deep else "full-softmax")
        rate = asked.get("rate", RATE)
        warm = asked.get("warm", "als")
        als = AlsSettings.choose(figures, seed=seed)
        kept = private and warm == "als"
        default = NOISED_DIM if kept else UNNOISED_DIM
        length = default if dim is None else dim
        chosen: dict[str, Any] = {
            "dim": min(length, max(figures.n_items - 1, 1)),
            "loss": loss,
            "negatives": 0 if loss == "full-softmax" else min(NEGATIVES, figures.n_items),
            "fusion_hidden": FUSION_HIDDEN if deep else 0,
            "warm_share": (WARM_SHARE if warm == "als" else COUNTS_SHARE) if private else 0.5,
            "steps": NOISED_STEPS if kept else UNNOISED_STEPS,
            "learning_rate": NOISED_RATE if kept else UNNOISED_RATE,
            "trained": "fusion" if kept and not asked.get("update_items") else "all",
            "rate": rate,
            "users": figures.total_users,
            "seed": seed,
            "als": options_to_json(als) if warm == "als" else None,
        }
        if isinstance(rate, float) and 0 < rate <= 1:  # otherwise refused below, by name
            chosen["most_users"] = _most_drawn(max(figures.declared_users.values()), rate)
        return options_from_json(cls, {"most_users": 1} | chosen | asked)


def _most_drawn(users: int, rate: float) -> int:
    """So many that twice the declared users draw more with a probability below 2^-64.

    Bernstein: P[X ≥ v + t] ≤ exp(−t²/(2(v + t/3))), v = 2·users·rate.
    """
    mean = 2 * users * rate
    needed = 64 * math.log(2)
    spare = needed / 3 + math.sqrt((needed / 3) ** 2 + 2 * needed * mean)
    return min(2 * users, math.ceil(mean + spare))
