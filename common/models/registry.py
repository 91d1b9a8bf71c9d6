"""The models a plan may name."""

from collections.abc import Mapping
from typing import Any

from recommons.common.data.catalogue import Catalogue
from recommons.common.errors import InvalidInput
from recommons.common.models.als import AlsModel
from recommons.common.models.interface import FederatedModel, PublicFigures

__all__ = ["model_from_settings"]


def model_from_settings(
    name: str, settings: Mapping[str, Any], catalogue: Catalogue, figures: PublicFigures
) -> FederatedModel:
    """The very model that a plan describes."""
    if name == "als":
        return AlsModel.from_settings(settings, catalogue)
    raise InvalidInput("model/unknown", f"model is {name!r}")
