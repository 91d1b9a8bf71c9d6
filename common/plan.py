"""A plan: what will be trained, by whom, under which privacy; known by its hash.

The plan pins everything that a site must agree to before it computes anything: the cohort, the
public catalogue, the model with all its hyperparameters, and the exact mechanism of every round
(clips, grids, noise). Sites do not recompute the calibration; they check that the pinned mechanism
costs no more than the plan claims and their own policy allows.
"""

from math import inf
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from recommons.common.checks import describe_validation
from recommons.common.errors import InvalidInput
from recommons.common.hashing import canonical_json, digest
from recommons.common.models.interface import PublicFigures
from recommons.common.privacy.calibration import worst_case
from recommons.common.privacy.events import Cohort
from recommons.common.privacy.mechanism import BlockMechanism, RoundSpec
from recommons.common.privacy.spending import Spending
from recommons.common.secagg.identity import is_identifier
from recommons.common.secagg.parameters import RoundParameters

__all__ = ["BlockPlan", "CataloguePin", "ModelPlan", "Plan", "PrivacyPlan", "RoundPlan"]


def _identifier(text: str) -> str:
    if not is_identifier(text):
        raise ValueError("must be 1 to 64 of a-z, 0-9, '.', '_', '-'")
    return text


Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, AfterValidator(_identifier)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CataloguePin(_Strict):
    """The public catalogue, by hash.

    Attributes:
        hash: SHA-256 of the catalogue, hex.
        items: Number of items.
        inferred: Read off the events: private information, allowed in simulation only.
    """

    hash: Hex32
    items: Annotated[int, Field(ge=1)]
    inferred: bool


class ModelPlan(_Strict):
    """The model's name and every hyperparameter."""

    name: str
    settings: dict[str, Any]


class PrivacyPlan(_Strict):
    """The guarantee and the assumptions it rests on.

    Attributes:
        epsilon: Target ε over all releases and permitted attempts; None for no noise.
        delta: δ.
        colluding: c, at most this many sites of the cohort pool what they know.
        min_survivors: M, a round with fewer survivors releases nothing.
        spare_attempts: Attempts beyond one a round, over the whole run; paid for in advance.
        max_sites_per_person: Sites at which one person may have a record.
        unit: What one neighbouring data set lacks.
    """

    epsilon: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    delta: Annotated[float, Field(gt=0, lt=1)]
    colluding: Annotated[int, Field(ge=0)]
    min_survivors: Annotated[int, Field(ge=2)]
    spare_attempts: Annotated[int, Field(ge=0, le=1000)]
    max_sites_per_person: Annotated[int, Field(ge=1)] = 1
    unit: Literal["user"] = "user"

    @property
    def target(self) -> float:
        """ε as a number, infinite where there is no noise."""
        return inf if self.epsilon is None else self.epsilon


class BlockPlan(_Strict):
    """A `BlockMechanism` at the file boundary."""

    name: str
    size: int
    clip: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    sensitivity: int
    clamp: int
    noise_stddev: float

    def mechanism(self) -> BlockMechanism:
        """The same, checked.

        Raises:
            InvalidInput: Its bounds are not admissible.
        """
        clip = inf if self.clip is None else self.clip
        return BlockMechanism(**self.model_dump() | {"clip": clip})


class RoundPlan(_Strict):
    """A `RoundSpec` at the file boundary; ``sampling`` is there only where users are drawn."""

    ring_bits: Literal[8, 16, 24, 32, 40, 48, 56, 64]
    blocks: tuple[BlockPlan, ...]
    sampling: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_serializer(mode="wrap")
    def _without_nothing(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        document: dict[str, Any] = write(self)
        if self.sampling is None:
            del document["sampling"]
        return document

    def spec(self) -> RoundSpec:
        """The round's mechanism.

        Raises:
            InvalidInput: A block's bounds are not admissible.
        """
        return RoundSpec(
            ring_bits=self.ring_bits,
            blocks=tuple(block.mechanism() for block in self.blocks),
            sampling=self.sampling,
        )


class Plan(_Strict):
    """One training run that a federation agrees to.

    Attributes:
        version: Version of this document.
        federation: The federation's id.
        roster_hash: The roster, hex.
        cohort: The sites that take part, ascending.
        declared_users: Rounded number of users by site, as each site declared it.
        catalogue: The public catalogue, by hash.
        model: The model.
        privacy: The guarantee.
        rounds: The mechanism of every round.
    """

    version: Literal[1] = 1
    federation: Name
    roster_hash: Hex32
    cohort: tuple[Name, ...]
    declared_users: dict[Name, Annotated[int, Field(ge=1)]]
    catalogue: CataloguePin
    model: ModelPlan
    privacy: PrivacyPlan
    rounds: tuple[RoundPlan, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if list(self.cohort) != sorted(set(self.cohort)):
            raise ValueError("cohort must list distinct sites in ascending order")
        if set(self.declared_users) != set(self.cohort):
            raise ValueError("declared_users must name exactly the sites of the cohort")
        if not self.rounds:
            raise ValueError("rounds must hold at least one round")
        noiseless = [b.name for r in self.rounds for b in r.blocks if not b.noise_stddev]
        if self.privacy.epsilon is not None and noiseless:
            raise ValueError(f"epsilon is finite but blocks {noiseless} have no noise")
        unbounded = [b.name for r in self.rounds for b in r.blocks if b.clip is None]
        if self.privacy.epsilon is not None and unbounded:
            raise ValueError(f"epsilon is finite but blocks {unbounded} have no clip")
        return self

    def specs(self) -> tuple[RoundSpec, ...]:
        """The mechanism of every round."""
        return tuple(r.spec() for r in self.rounds)

    def noise_cohort(self) -> Cohort:
        """Who takes part, as far as the noise is concerned."""
        return Cohort(
            sites=len(self.cohort),
            min_survivors=self.privacy.min_survivors,
            colluding=self.privacy.colluding,
            max_sites_per_person=self.privacy.max_sites_per_person,
        )

    def parameters(self) -> RoundParameters:
        """N, c and M as the protocol takes them.

        Raises:
            InvalidInput: A cohort that cannot hold with these c and M.
        """
        return RoundParameters(
            sites=len(self.cohort),
            colluding=self.privacy.colluding,
            survivors=self.privacy.min_survivors,
        )

    def reserved(self) -> Spending:
        """What the plan can cost at most: every round, and the spare attempts where they cost most.

        The budget a site reserves when it joins.
        """
        return worst_case(self.specs(), self.noise_cohort(), self.privacy.spare_attempts)

    def figures(self) -> PublicFigures:
        """The public figures that hyperparameters may depend on."""
        return PublicFigures(
            declared_users=self.declared_users,
            n_items=self.catalogue.items,
            epsilon=self.privacy.target,
        )

    def to_bytes(self) -> bytes:
        """Canonical JSON: the bytes that are signed and hashed."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a plan document.

        Raises:
            InvalidInput: Not JSON, or not a plan; the message names each field at fault.
        """
        try:
            plan = cls.model_validate_json(data)
        except ValidationError as error:
            raise InvalidInput("plan/invalid", describe_validation("plan", error)) from error
        try:
            canonical = plan.to_bytes()
        except ValueError as error:
            raise InvalidInput("plan/invalid", "plan: holds a number JSON cannot carry") from error
        if canonical != data:
            raise InvalidInput("plan/invalid", "plan: the document is not canonical JSON")
        return plan

    def hash(self) -> bytes:
        """SHA-256 by which everyone knows the plan."""
        return digest("recommons/plan/1", self.to_bytes())
