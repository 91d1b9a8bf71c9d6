"""From a wish (model, ε, δ, who takes part) to a plan that pins every number."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isinf

from recommons.common.data.catalogue import Catalogue
from recommons.common.models.interface import FederatedModel
from recommons.common.plan import (
    BlockPlan,
    CataloguePin,
    ModelPlan,
    Plan,
    PrivacyPlan,
    RoundPlan,
)
from recommons.common.privacy.calibration import calibrate
from recommons.common.privacy.events import Cohort
from recommons.common.privacy.mechanism import RoundSpec
from recommons.common.secagg.parameters import RoundParameters
from recommons.common.secagg.roster import Roster

__all__ = ["Wish", "make_plan", "noise_cohort", "specs_for"]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """The guarantee asked for.

    Attributes:
        epsilon: Target ε; infinite for no noise.
        delta: δ.
        colluding: c.
        min_survivors: M.
        spare_attempts: Attempts beyond one a round, over the whole run.
        max_sites_per_person: Sites at which one person may have a record.
        ring_bits: k of every round, a multiple of 8 up to 64; None for 32, or 64 where 32 would
            make the grid coarse (integers without noise: the narrowest that holds them). A
            narrower ring makes uploads smaller and grids coarser.
    """

    epsilon: float
    delta: float
    colluding: int
    min_survivors: int
    spare_attempts: int = 0
    max_sites_per_person: int = 1
    ring_bits: int | None = None


def noise_cohort(wish: Wish, sites: int) -> Cohort:
    """Who takes part, as far as the noise is concerned.

    Raises:
        InvalidInput: Numbers that fit no cohort of so many sites.
    """
    return Cohort(
        sites=sites,
        min_survivors=wish.min_survivors,
        colluding=wish.colluding,
        max_sites_per_person=wish.max_sites_per_person,
    )


def specs_for(
    model: FederatedModel, declared_users: Mapping[str, int], wish: Wish
) -> tuple[RoundSpec, ...]:
    """The mechanism of every round: the least noise that grants the wish.

    Raises:
        InvalidInput: The cohort cannot hold with these c and M, or an argument is not admissible.
        PrivacyError: No noise grants the wish, or ``privacy/ring-too-small``.
    """
    RoundParameters(
        sites=len(declared_users), colluding=wish.colluding, survivors=wish.min_survivors
    )
    return calibrate(
        model.rounds(),
        epsilon=wish.epsilon,
        delta=wish.delta,
        cohort=noise_cohort(wish, len(declared_users)),
        declared_users=declared_users,
        sampling=model.sampling(),
        spare_attempts=wish.spare_attempts,
        ring_bits=wish.ring_bits,
    )


def make_plan(
    model: FederatedModel,
    catalogue: Catalogue,
    roster: Roster,
    declared_users: Mapping[str, int],
    wish: Wish,
    specs: tuple[RoundSpec, ...],
) -> Plan:
    """Pin everything that a site must agree to."""
    return Plan(
        federation=roster.federation,
        roster_hash=roster.hash.hex(),
        cohort=tuple(sorted(declared_users)),
        declared_users=dict(declared_users),
        catalogue=CataloguePin(
            hash=catalogue.hash.hex(), items=len(catalogue), inferred=catalogue.inferred
        ),
        model=ModelPlan(name=model.name, settings=dict(model.settings())),
        privacy=PrivacyPlan(
            epsilon=None if isinf(wish.epsilon) else wish.epsilon,
            delta=wish.delta,
            colluding=wish.colluding,
            min_survivors=wish.min_survivors,
            spare_attempts=wish.spare_attempts,
            max_sites_per_person=wish.max_sites_per_person,
        ),
        rounds=tuple(_round_plan(spec) for spec in specs),
    )


def _round_plan(spec: RoundSpec) -> RoundPlan:
    document = spec.to_json()
    blocks = tuple(BlockPlan(**block) for block in document["blocks"])
    return RoundPlan(ring_bits=document["ring_bits"], blocks=blocks, sampling=spec.sampling)
