"""What a simulation is asked to do: a file, command-line options, or both.

Options on the command line override the file. Everything has a default, so that an empty file, or
none, is a complete request. A plan file of a deployment is a request too: for what it asks of the
model and the guarantee, over as many sites, with the simulation's own data.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from recommons.common.checks import describe_validation
from recommons.common.errors import InvalidInput
from recommons.common.toml_file import read_settings, read_toml
from recommons.server.planning.plan_file import Epsilon, ModelName, PlanFile, RingBits

__all__ = ["SimulationSettings"]


_OF_PLANS = {"catalogue", "items"}
"""Every plan file has one of these keys, and no settings file has either."""

_TAKEN = {
    *("model", "settings", "epsilon", "delta", "colluding", "min_survivors"),
    *("spare_attempts", "max_sites_per_person", "ring_bits"),
}
"""Keys that mean the same in both files."""


class SimulationSettings(BaseModel):
    """One simulation.

    Attributes:
        data: A folder or file of events; None for the embedded online-retail data.
        columns: Names of columns in the events file that differ from the usual ones, by usual
            name, e.g. ``{"user_id": "customer"}``.
        sites: Number of sites.
        partition: How users are spread over sites.
        model: The model.
        dim: Number of factors; None for the model's own choice.
        settings: Further hyperparameters by name; those left out follow from them.
        epsilon: Target ε over all releases and permitted attempts; infinite for no noise.
        delta: δ; None for min(10^-6, 1/(10·declared users)).
        colluding: c, sites assumed to pool what they know.
        min_survivors: M; None for all sites where no dropout is asked for, otherwise the least
            that the quorum allows.
        spare_attempts: Attempts beyond one a round; None for 0 without dropout, 1 with.
        max_sites_per_person: Sites at which one person may have a record.
        ring_bits: Bits of a coordinate on the wire; None for 32, or what the plan needs.
        dropout: Probability that a site vanishes at a random step of an attempt.
        seed: Of the split, the partition, the outages and every other choice that is not a secret.
        engine: What drives the sites: `flower` only founds the federation, for `flwr run`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    data: Path | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    sites: Annotated[int, Field(ge=3, le=1000)] = 8
    partition: Literal["uniform", "country", "skewed"] = "uniform"
    model: ModelName = "als"
    dim: Annotated[int, Field(ge=1, le=512)] | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    epsilon: Epsilon = 8.0
    delta: Annotated[float, Field(gt=0, lt=1)] | None = None
    colluding: Annotated[int, Field(ge=0)] = 1
    min_survivors: Annotated[int, Field(ge=2)] | None = None
    spare_attempts: Annotated[int, Field(ge=0, le=100)] | None = None
    max_sites_per_person: Annotated[int, Field(ge=1)] = 1
    ring_bits: RingBits | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    seed: Annotated[int, Field(ge=0)] = 0
    engine: Literal["inprocess", "flower"] = "inprocess"

    @model_validator(mode="after")
    def _no_outages_of_flowers(self) -> Self:
        if self.engine == "flower" and self.dropout:
            raise ValueError("dropout is played by the inprocess engine alone; required: 0")
        return self

    @classmethod
    def load(cls, plan: Path | None, overrides: dict[str, Any]) -> Self:
        """Read a settings file, or a plan file, and put the given options over it.

        Of a plan file are taken the number of its sites and what it says of the model and the
        guarantee. Its catalogue, the names of its sites and the users they declare are not: data
        bring their own, spread evenly.

        Args:
            plan: A TOML file with the attributes above as keys, a plan file, or None.
            overrides: Options by name; those that are None were not given.

        Raises:
            InvalidInput: The file cannot be read, or a value is not admissible; names each. Under
                ``plan/file`` where the file is a plan's, else ``run/settings``.
        """
        values = {} if plan is None else _values_of(plan)
        values |= {name: value for name, value in overrides.items() if value is not None}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            source = "options" if plan is None else plan.name
            raise InvalidInput("run/settings", describe_validation(source, error)) from error

    @property
    def quorum(self) -> int:
        """Q = ⌊(N + c)/2⌋ + 1: two different survivor sets cannot both gather it."""
        return (self.sites + self.colluding) // 2 + 1

    @property
    def survivors(self) -> int:
        """M."""
        if self.min_survivors is not None:
            return self.min_survivors
        return max(self.quorum, self.colluding + 2) if self.dropout else self.sites

    @property
    def spare(self) -> int:
        """Attempts beyond one a round, over the whole run."""
        if self.spare_attempts is not None:
            return self.spare_attempts
        return 1 if self.dropout else 0


def _values_of(path: Path) -> dict[str, Any]:
    values = read_toml(path, "run/settings")
    if not _OF_PLANS & values.keys():
        return values
    file = read_settings(path, PlanFile, "plan/file")
    asked = file.model_dump(include=_TAKEN, exclude_unset=True)
    return {**asked, "sites": len(file.declared_users())}
