"""Models by name: built from public figures, and rebuilt from a plan's settings."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from recommons.common.data.catalogue import Catalogue
from recommons.common.errors import InvalidInput
from recommons.common.hashing import canonical_json
from recommons.common.models.als import AlsModel, AlsSettings
from recommons.common.models.ease import EaseModel, EaseSettings
from recommons.common.models.interface import FederatedModel, PublicFigures
from recommons.common.models.options import options_with

__all__ = ["MODEL_NAMES", "build_model", "model_from_settings", "remembered_model"]

MODEL_NAMES = ("als", "ease", "two-tower", "sequence")

_REMEMBERED = 4


def build_model(
    name: str,
    catalogue: Catalogue,
    figures: PublicFigures,
    *,
    dim: int | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> FederatedModel:
    """A model with the plan's defaults: functions of public figures and of what is asked for.

    Args:
        name: One of `MODEL_NAMES`.
        catalogue: The public catalogue.
        figures: Declared users, catalogue size, ε.
        dim: Rank of every round of `als`, length of vectors of neural models, in place of the
            default.
        seed: The plan's seed, for what must be drawn (item vectors where there are no features).
        settings: Hyperparameters by name that are asked for; those left out follow from them.

    Raises:
        InvalidInput: No such model, or an option it does not take; ``model/settings``;
            ``model/catalogue-too-large``.
    """
    given = dict(settings or {})
    if name == "als":
        chosen = AlsSettings.choose(figures, dim=dim, seed=seed)
        return AlsModel(catalogue=catalogue, options=options_with(chosen, given))
    if name == "ease":
        if dim is not None:
            raise InvalidInput("input/argument", f"dim is {dim}; required: none, for model 'ease'")
        ease = EaseSettings.choose(figures)
        return EaseModel(catalogue=catalogue, options=options_with(ease, given))
    if name == "two-tower":
        # Here, so that whoever trains no neural model does not wait for torch.
        from recommons.common.models.neural.settings import TwoTowerSettings
        from recommons.common.models.neural.two_tower import TwoTowerModel

        towers = TwoTowerSettings.choose(figures, dim=dim, seed=seed, given=given)
        return TwoTowerModel(catalogue=catalogue, options=towers)
    if name == "sequence":
        from recommons.common.models.neural.sequence import SequenceModel, SequenceSettings

        options = SequenceSettings.choose(figures, dim=dim, seed=seed, given=given)
        return SequenceModel(catalogue=catalogue, options=options)
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
    if name == "two-tower":
        from recommons.common.models.neural.two_tower import TwoTowerModel

        return TwoTowerModel.from_settings(settings, catalogue)
    if name == "sequence":
        from recommons.common.models.neural.sequence import SequenceModel

        return SequenceModel.from_settings(settings, catalogue)
    raise _unknown(name)


def remembered_model(
    name: str, settings: Mapping[str, Any], catalogue: Catalogue
) -> FederatedModel:
    """As `model_from_settings`, the same object as long as plan and catalogue are the same.

    For sites: what a model works out from public input alone (features, bounds of rounding, the
    check of its layers) is worked out once and not in every round.
    """
    return _remembered(name, canonical_json(dict(settings)), _ByHash(catalogue.hash, catalogue))


@dataclass(frozen=True)
class _ByHash:
    """A catalogue, known by its hash."""

    hash: bytes
    catalogue: Catalogue = field(compare=False)


@lru_cache(maxsize=_REMEMBERED)
def _remembered(name: str, settings: bytes, catalogue: _ByHash) -> FederatedModel:
    return model_from_settings(name, json.loads(settings), catalogue.catalogue)


def _unknown(name: str) -> InvalidInput:
    return InvalidInput("model/unknown", f"model is {name!r}; required: one of {MODEL_NAMES}")
