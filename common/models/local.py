"""What a site makes of its own users: its best model alone, and the model it serves.

Nothing here ever leaves the site, so nothing here costs privacy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from recommons.common.data.interactions import Interactions
from recommons.common.metrics import evaluate
from recommons.common.models.gram import GramEstimate
from recommons.common.models.inverse import RankUpdate
from recommons.common.models.scoring import EaseScorer, GlobalModel, Scorer

__all__ = ["SiteModels"]

OWN_WEIGHTS = (0.0, 0.05, 0.2, 0.5, 1.0)
HIDDEN_SHARE = 0.2
ALONE_KERNEL_WEIGHT, ALONE_RIDGE = 0.8, 3.0


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteModels:
    """A site's two ways to recommend.

    Attributes:
        alone: Its own users and the public features.
        served: The federation's model with its own users' co-occurrence.
        choice: ρ, JSON.
    """

    alone: Scorer
    served: Scorer
    choice: Mapping[str, Any]

    @classmethod
    def choose(cls, shared: GlobalModel, own: Interactions, *, rng: np.random.Generator) -> Self:
        """Choose ρ on the site's own users."""
        weight = _own_weight(shared, own, rng)
        rows = _normalised(own)
        counts = np.asarray(rows.sum(axis=0), np.float64)
        estimate = GramEstimate(
            counts=counts,
            users=own.n_users,
            factors=None,
            table=shared.table,
            kernel_weight=ALONE_KERNEL_WEIGHT,
            ridge=ALONE_RIDGE,
        )
        alone = RankUpdate.of(estimate.inverse(shared.kernel), rows).weighted(1.0)
        served = RankUpdate.of(shared.inverse, rows).weighted(weight)
        return cls(
            alone=EaseScorer(inverse=alone),
            served=EaseScorer(inverse=served),
            choice={"rho": weight},
        )


def _own_weight(shared: GlobalModel, own: Interactions, rng: np.random.Generator) -> float:
    fold = rng.permutation(own.n_users) % 2
    totals = np.zeros(len(OWN_WEIGHTS))
    for part in (0, 1):
        update = RankUpdate.of(shared.inverse, _normalised(own.take(np.flatnonzero(fold != part))))
        seen, hidden = _hide(own.take(np.flatnonzero(fold == part)), rng)
        for place, weight in enumerate(OWN_WEIGHTS):
            scorer = EaseScorer(inverse=update.weighted(weight))
            found = evaluate(scorer.score, seen, hidden)
            totals[place] += np.nansum(found.by_user["recall@20"])
    return OWN_WEIGHTS[int(np.argmax(totals))]


def _hide(users: Interactions, rng: np.random.Generator) -> tuple[Interactions, Interactions]:
    hidden = rng.random(len(users.indices)) < HIDDEN_SHARE
    return _only(users, ~hidden), _only(users, hidden)


def _only(users: Interactions, keep: npt.NDArray[np.bool_]) -> Interactions:
    rows = np.repeat(np.arange(users.n_users), np.diff(users.indptr))[keep]
    return Interactions.from_pairs(
        rows, users.indices[keep], n_users=users.n_users, n_items=users.n_items
    )


def _normalised(users: Interactions) -> sp.csr_array:
    lengths = np.diff(users.indptr)
    values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32)
    return sp.csr_array((values, users.indices, users.indptr), shape=(users.n_users, users.n_items))
