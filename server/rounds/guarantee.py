"""What a run has cost, in every reading, as its release says it."""

import math
from collections.abc import Iterable
from typing import Any

from recommons.common.models.release import ReleaseMetadata
from recommons.common.plan import Plan
from recommons.common.privacy.accounting import account, epsilon, epsilon_of
from recommons.common.privacy.calibration import noise_price
from recommons.common.privacy.events import GaussianSumRelease, Reading
from recommons.server.records.folder import CoordinatorFolder

__all__ = ["guarantee_of", "metadata_of"]


def guarantee_of(plan: Plan, events: Iterable[GaussianSumRelease]) -> dict[str, Any]:
    """The privacy cost as a JSON object; every ε is null where nothing was noised.

    Args:
        plan: The plan.
        events: Everything that was released, failed attempts included.
    """
    spent, privacy = list(events), plan.privacy
    private, delta = privacy.epsilon is not None, privacy.delta
    headline = account(spent, delta)
    return {
        "unit": headline.unit,
        "neighbours": headline.neighbours,
        "epsilon": _finite(headline.epsilon),
        "delta": delta if private else None,
        "epsilon_reserved": _finite(epsilon_of(plan.reserved(), delta)),
        "target_epsilon": privacy.epsilon,
        "min_survivors": privacy.min_survivors,
        "colluding": privacy.colluding,
        "epsilon_all_honest": _finite(epsilon(spent, delta, Reading.ALL_HONEST)),
        "epsilon_own_share_only": _finite(epsilon(spent, delta, Reading.OWN_SHARE)),
        "accountant": headline.accountant if private else "none",
        "zcdp_epsilon": _finite(headline.zcdp_epsilon),
        "max_sites_per_person": privacy.max_sites_per_person,
        "noise_price": noise_price(plan.noise_cohort()) if private else None,
    }


def metadata_of(folder: CoordinatorFolder, events: Iterable[GaussianSumRelease]) -> ReleaseMetadata:
    """What `model.json` says beside the arrays."""
    catalogue = folder.catalogue
    return ReleaseMetadata(
        item_ids=catalogue.item_ids,
        titles=catalogue.titles,
        plan_hash=folder.plan.hash().hex(),
        features=tuple(column.name for column in catalogue.features),
        privacy=guarantee_of(folder.plan, events),
        catalogue_assumed_public=catalogue.inferred,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
