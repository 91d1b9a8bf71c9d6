"""Models by name: built from public figures, and rebuilt from a plan's settings."""

from collections.abc import Mapping
from typing import Any

from recommons.common.data.catalogue import Catalogue
from recommons.common.errors import InvalidInput
from recommons.common.models.als import AlsModel, AlsSettings
from recommons.common.models.ease import EaseModel, EaseSettings
from recommons.common.models.interface import FederatedModel, PublicFigures

__all__ = ["MODEL_NAMES", "build_model", "model_from_settings"]

MODEL_NAMES = ("als", "ease")


def build_model(
    name: str,
    catalogue: Catalogue,
    figures: PublicFigures,
    *,
    dim: int | None = None,
    seed: int = 0,
) -> FederatedModel:
    """A model with the plan's defaults: functions of public figures only.

    Args:
        name: One of `MODEL_NAMES`.
        catalogue: The public catalogue.
        figures: Declared users, catalogue size, ε.
        dim: Rank of every round of `als`, in place of the default.
        seed: The plan's seed, for what must be drawn (item vectors where there are no features).

    Raises:
        InvalidInput: No such model, or an option it does not take; ``model/catalogue-too-large``.
    """
    if name == "als":
        return AlsModel(
            catalogue=catalogue, options=AlsSettings.choose(figures, dim=dim, seed=seed)
        )
    if name == "ease":
        if dim is not None:
            raise InvalidInput("input/argument", f"dim is {dim}; required: none, for model 'ease'")
        return EaseModel(catalogue=catalogue, options=EaseSettings.choose(figures))
    raise _unknown(name)


def model_from_settings(
    name: str, settings: Mapping[str, Any], catalogue: Catalogue
) -> FederatedModel:
    """The very model that a plan's settings describe.

    Raises:
        InvalidInput: ``model/unknown`` or ``model/settings``.
    """
    if name == "als":
        return AlsModel.from_settings(settings, catalogue)
    if name == "ease":
        return EaseModel.from_settings(settings, catalogue)
    raise _unknown(name)


def _unknown(name: str) -> InvalidInput:
    return InvalidInput("model/unknown", f"model is {name!r}; required: one of {MODEL_NAMES}")
