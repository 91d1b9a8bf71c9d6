"""The models a plan may name."""

from collections.abc import Mapping
from typing import Any

from recommons.common.data.catalogue import Catalogue
from recommons.common.errors import InvalidInput
from recommons.common.models.als import AlsModel, AlsSettings
from recommons.common.models.interface import FederatedModel, PublicFigures

__all__ = ["model_from_settings", "new_model"]


def new_model(
    name: str,
    catalogue: Catalogue,
    figures: PublicFigures,
    *,
    dim: int | None = None,
    seed: int = 0,
) -> FederatedModel:
    """A model with its defaults for these public figures.

    Args:
        name: ``als`` or ``ease``.
        catalogue: The public catalogue.
        figures: What hyperparameters may depend on.
        dim: Number of factors, for models that have any.
        seed: Of what a model draws where the catalogue has no features.

    Raises:
        InvalidInput: ``model/unknown``, or settings that the model cannot have.
    """
    if name == "als":
        return AlsModel(
            catalogue=catalogue, options=AlsSettings.choose(figures, dim=dim, seed=seed)
        )
    raise InvalidInput("model/unknown", f"model is {name!r}; required: als or ease")


def model_from_settings(
    name: str, settings: Mapping[str, Any], catalogue: Catalogue, figures: PublicFigures
) -> FederatedModel:
    """The very model that a plan describes.

    Raises:
        InvalidInput: ``model/unknown`` or ``model/settings``.
    """
    if name == "als":
        return AlsModel.from_settings(settings, catalogue)
    raise InvalidInput("model/unknown", f"model is {name!r}; required: als or ease")
