"""Sizes and kinds of towers: what training, bounds and scoring share, without torch."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["GAPS", "KINDS", "REACH", "Activation", "Fusion", "TowerShape"]

Activation = Literal["tanh", "identity"]
"""f(a) = 4·tanh(a/4), which bounds user vectors and is nearly straight below 1; or f(a) = a."""

REACH = 4.0
"""Largest coordinate of a user's vector under ``tanh``."""

Fusion = Literal["linear", "deep"]

KINDS = 16
"""Types of events, 0 for none (`Interactions.kinds`)."""

GAPS = 33
"""Steps of time between events: 0, 1–3, 4–15, …, by powers of four; of any clock."""


@dataclass(frozen=True, kw_only=True)
class TowerShape:
    """Sizes of the towers.

    Attributes:
        items: m, items of the catalogue.
        dim: d, length of user and item vectors.
        features: r, public features an item has; 0 for none.
        hidden: Width of the layer after the user's vector; 0 for none.
        fusion: How items fuse features.
        fusion_hidden: Width of the deep fusion.
        activation: f.
    """

    items: int
    dim: int
    features: int = 0
    hidden: int = 0
    fusion: Fusion = "linear"
    fusion_hidden: int = 0
    activation: Activation = "tanh"
