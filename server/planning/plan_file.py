"""The plan file: what a run of a federation is to train and under which guarantee, for people.

TOML; `docs/plan.md` lists every key. From it follows the plan document, in which every number is
pinned. Nothing here looks at data: numbers of users are the sites' declared, rounded ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.catalogue_document import catalogue_from_bytes
from recommons.common.errors import InvalidInput
from recommons.common.models.interface import FederatedModel, PublicFigures
from recommons.common.models.registry import MODEL_NAMES, build_model
from recommons.common.privacy.calibration import default_delta
from recommons.common.secagg.identity import is_identifier
from recommons.common.secagg.parameters import RoundParameters
from recommons.common.toml_file import read_settings
from recommons.server.planning.wish import Wish, noise_cohort

__all__ = ["Epsilon", "ModelName", "PlanFile", "PlannedRun", "RingBits", "read_plan_file"]

_MOST_ITEMS = 10_000_000


def _epsilon(value: object) -> object:
    return inf if value in ("inf", "Infinity", inf) else value


def _site(name: str) -> str:
    if not is_identifier(name):
        raise ValueError("must be 1 to 64 of a-z, 0-9, '.', '_', '-'")
    return name


def _model(name: str) -> str:
    if name not in MODEL_NAMES:
        raise ValueError(f"must be one of {', '.join(MODEL_NAMES)}")
    return name


Epsilon = Annotated[float, BeforeValidator(_epsilon), Field(gt=0)]
ModelName = Annotated[str, AfterValidator(_model)]
RingBits = Literal[8, 16, 24, 32, 40, 48, 56, 64]
Users = Annotated[int, Field(ge=1)]
Site = Annotated[str, AfterValidator(_site)]


class PlanFile(BaseModel):
    """The keys of a plan file.

    Attributes:
        model: The model.
        settings: Hyperparameters of the model by name; its own choice for those left out.
        epsilon: Target ε over all releases and permitted attempts; infinite for no noise.
        delta: δ; None for min(10^-6, 1/(10·declared users)).
        colluding: c.
        min_survivors: M; None for all sites.
        spare_attempts: Attempts beyond one a round, over the whole run.
        max_sites_per_person: Sites at which one person may have a record.
        ring_bits: Bits of a coordinate on the wire; None for the plan's choice.
        sites: Declared users by site; or a number of sites, with `users_per_site`.
        users_per_site: Declared users of each site, where `sites` is a number.
        catalogue: The catalogue document, relative to the file; or
        items: the number of its items, which is enough to plan a budget and not to run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    model: ModelName = "als"
    settings: dict[str, Any] = Field(default_factory=dict)
    epsilon: Epsilon = 8.0
    delta: Annotated[float, Field(gt=0, lt=1)] | None = None
    colluding: Annotated[int, Field(ge=0)] = 1
    min_survivors: Annotated[int, Field(ge=2)] | None = None
    spare_attempts: Annotated[int, Field(ge=0, le=1000)] = 0
    max_sites_per_person: Annotated[int, Field(ge=1)] = 1
    ring_bits: RingBits | None = None
    sites: dict[Site, Users] | Annotated[int, Field(ge=2, le=4096)]
    users_per_site: Users | None = None
    catalogue: str | None = None
    items: Annotated[int, Field(ge=1, le=_MOST_ITEMS)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if isinstance(self.sites, int) != (self.users_per_site is not None):
            raise ValueError("users_per_site goes with a number of sites, and with it alone")
        if (self.catalogue is None) == (self.items is None):
            raise ValueError("give catalogue or items, one of them and not both")
        return self

    def declared_users(self) -> dict[str, int]:
        """Declared users by site, ascending by name."""
        if isinstance(self.sites, int):
            width = len(str(self.sites))
            names = [f"site-{number:0{width}d}" for number in range(1, self.sites + 1)]
            return dict.fromkeys(names, self.users_per_site or 0)
        return dict(sorted(self.sites.items()))


@dataclass(frozen=True, kw_only=True, eq=False)
class PlannedRun:
    """What a plan file asks for, complete and checked.

    Attributes:
        declared_users: Rounded number of users by site.
        catalogue: The catalogue; placeholders where the file only counts its items.
        counted_only: Whether the file only counts the items.
        model: The model with every hyperparameter.
        wish: The guarantee.
    """

    declared_users: Mapping[str, int]
    catalogue: Catalogue
    counted_only: bool
    model: FederatedModel
    wish: Wish


def read_plan_file(path: Path) -> PlannedRun:
    """Read a plan file, and the catalogue it names.

    Raises:
        InvalidInput: ``plan/file``: it cannot be read, is not TOML, or keys are not as required,
            each of which the message names; ``secagg/…``: c and M that no such cohort can hold;
            ``model/…``: a model or settings that do not fit the catalogue.
    """
    file = read_settings(path, PlanFile, "plan/file")
    declared = file.declared_users()
    wish = Wish(
        epsilon=file.epsilon,
        delta=file.delta if file.delta is not None else default_delta(sum(declared.values())),
        colluding=file.colluding,
        min_survivors=len(declared) if file.min_survivors is None else file.min_survivors,
        spare_attempts=file.spare_attempts,
        max_sites_per_person=file.max_sites_per_person,
        ring_bits=file.ring_bits,
    )
    RoundParameters(sites=len(declared), colluding=wish.colluding, survivors=wish.min_survivors)
    noise_cohort(wish, len(declared))  # refuses a number of sites a person cannot be at
    catalogue = _catalogue(file, path)
    figures = PublicFigures(declared_users=declared, n_items=len(catalogue), epsilon=wish.epsilon)
    model = build_model(file.model, catalogue, figures, settings=file.settings)
    return PlannedRun(
        declared_users=declared,
        catalogue=catalogue,
        counted_only=file.catalogue is None,
        model=model,
        wish=wish,
    )


def _catalogue(file: PlanFile, path: Path) -> Catalogue:
    if file.items is not None:
        names = tuple(f"item-{number:08d}" for number in range(file.items))
        return Catalogue(item_ids=names, titles=("",) * file.items)
    document = path.parent / (file.catalogue or "")
    try:
        data = document.read_bytes()
    except OSError as error:
        raise InvalidInput(
            "plan/file",
            f"catalogue is {file.catalogue!r}; required: a catalogue document, "
            f"found from the folder of {path.name}",
        ) from error
    return catalogue_from_bytes(data)
