"""Four ways to recommend to a site's test users, on the same users and the same catalogue.

| way | what it knows |
|---|---|
| popularity | the federation's noised counts |
| alone | the site's own users and the public features: its own best model |
| global | the federation's release |
| served | the release and the site's own users: what a site serves |

In a deployment these figures stay at each site; here the researcher sees all sites.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.dataset import Dataset
from recommons.common.data.interactions import Interactions
from recommons.common.data.splits import Split
from recommons.common.metrics import Evaluation, evaluate
from recommons.common.models.interface import ModelRelease, NoisySum, PublicFigures
from recommons.common.models.registry import build_model
from recommons.common.models.scoring import GlobalModel, Scorer, popularity_scorer
from recommons.common.models.site import SiteChoice, fit_site
from recommons.common.privacy.mechanism import BlockMechanism
from recommons.simulations.populations import Population

__all__ = ["WAYS", "Evaluated", "evaluate_sites"]

WAYS = ("popularity", "alone", "global", "served")

MOST_CENTRAL_ITEMS = 6_000
"""Largest catalogue for which the centralised baseline is computed: two dense float64 matrices."""

_EXAMPLES = 2


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """What evaluation found.

    Attributes:
        means: Metrics by way, over all test users; ``ease_centralised`` too where it was computed.
        by_site: Metrics by site and way, over the site's test users; NaN where it has none.
        test_users: Number of test users with held-out items, by site.
        choices: What each site chose on its own users for its own scores.
        example_items: Ids of the items most bought, by the noised counts.
    """

    means: Mapping[str, Mapping[str, float]]
    by_site: Mapping[str, Mapping[str, Mapping[str, float]]]
    test_users: Mapping[str, int]
    choices: Mapping[str, SiteChoice]
    example_items: tuple[str, ...]


def evaluate_sites(
    release: ModelRelease, dataset: Dataset, split: Split, population: Population, *, seed: int
) -> Evaluated:
    """Recommend to every site's test users in each way.

    Args:
        release: The model.
        dataset: All users; a site uses its own training users alone.
        split: Who trains and who is tested.
        population: Which user is at which site.
        seed: Of the folds by which a site chooses its weights.
    """
    shared, popular = GlobalModel(release=release), popularity_scorer(release)
    test = split.test
    found: dict[str, dict[str, Evaluation]] = {}
    choices: dict[str, SiteChoice] = {}
    for number, site in enumerate(population.site_names):
        users = population.users_of(site)
        rows = np.flatnonzero(np.isin(test.users, users))
        own = dataset.interactions.take(np.intersect1d(users, split.train_users))
        models = fit_site(shared, own, seed=1000 * seed + number)
        scorers: dict[str, Scorer] = {
            "popularity": popular,
            "alone": models.alone,
            "global": shared.scorer,
            "served": models.served,
        }
        choices[site] = models.choice
        found[site] = {
            way: evaluate(scorers[way].score, test.fold_in.take(rows), test.held_out.take(rows))
            for way in WAYS
        }
    means = {way: _means(by_way[way] for by_way in found.values()) for way in WAYS}
    if len(dataset.catalogue) <= MOST_CENTRAL_ITEMS:
        scorer = _central_ease(split.train, dataset.catalogue)
        means["ease_centralised"] = evaluate(scorer.score, test.fold_in, test.held_out).means()
    return Evaluated(
        means=means,
        by_site={s: {way: e.means() for way, e in ways.items()} for s, ways in found.items()},
        test_users={s: len(ways["global"].rows) for s, ways in found.items()},
        choices=choices,
        example_items=_much_bought(release.arrays["counts"], dataset.catalogue),
    )


def _means(parts: Iterable[Evaluation]) -> dict[str, float]:
    """Means over the users of all sites, each counting once."""
    evaluations = list(parts)
    first = evaluations[0]
    pooled = Evaluation(
        rows=np.arange(sum(len(e.rows) for e in evaluations)),
        left_out=sum(e.left_out for e in evaluations),
        by_user={
            name: np.concatenate([e.by_user[name] for e in evaluations]) for name in first.by_user
        },
        ranked=np.concatenate([e.ranked for e in evaluations]),
        n_items=first.n_items,
        cutoffs=first.cutoffs,
    )
    return pooled.means()


def _central_ease(train: Interactions, catalogue: Catalogue) -> Scorer:
    """EASE on everyone's pooled data without privacy: the ceiling nobody may have."""
    figures = PublicFigures(
        declared_users={"all": train.n_users}, n_items=len(catalogue), epsilon=float("inf")
    )
    model = build_model("ease", catalogue, figures)
    (requests,) = model.rounds()
    blocks = tuple(
        BlockMechanism(
            name=request.name,
            size=request.size,
            clip=request.clip,
            sensitivity=1,
            clamp=train.n_users,
            noise_stddev=0.0,
        )
        for request in requests
    )
    sums = model.contribute(0, model.public_state(()), train, blocks)
    exact = {
        name: NoisySum(values=values.astype(np.float64), stddev=0.0)
        for name, values in sums.items()
    }
    return GlobalModel(release=model.release((exact,))).scorer


def _much_bought(counts: npt.NDArray[Any], catalogue: Catalogue) -> tuple[str, ...]:
    best = np.argsort(-counts, kind="stable")[:_EXAMPLES]
    return tuple(catalogue.item_ids[item] for item in best)
