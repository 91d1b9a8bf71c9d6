"""What a site serves: the global model with the site's own users, and its own model beside it.

Nothing here leaves the site, so nothing here costs privacy; what the recommendations show the
site's own users about each other is outside the federation's guarantee.

A site chooses on its own users alone, by two-fold cross-validation (`selection`): what recovers
most of what was hidden is kept. The family of models holds the global model (ρ = 0, β = 0) and the
site's own (β = 1), so that neither is lost by joining. Where the release holds towers, they are
mixed in by a part ν, chosen last: scores of such different making are compared after each user's
are brought to mean 0 and deviation 1 over the catalogue. Those of `two-tower` are first taught
further by the site's own users (`neural.own_towers`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from recommons.common.data.interactions import Interactions
from recommons.common.models.gram import FactorGram
from recommons.common.models.inverse import GramInverse
from recommons.common.models.local import LocalGram, local_gram, weighted_rows
from recommons.common.models.neural.own_towers import own_towers
from recommons.common.models.scoring import EaseScorer, GlobalModel, Scorer
from recommons.common.models.selection import Fold, folds, recovered

__all__ = ["BlendScorer", "NeuralBlend", "SiteChoice", "SiteModels", "fit_site"]

KERNELS = ((0.4, 2.0), (1.6, 2.0), (1.6, 5.0), (3.2, 5.0))
"""(κ, λ) a site tries for its own model."""

LOCAL_WEIGHTS = (0.0, 0.3, 1.0, 2.0, 4.0)
ALONE_SHARES = (0.0, 0.25, 0.5)
NEURAL_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
LEAST_RECOVERED = 1e-3


@dataclass(frozen=True, kw_only=True)
class SiteChoice:
    """What a site chose on its own users.

    Attributes:
        kernel_weight: κ of the site's own model.
        ridge: λ of the site's own model.
        local_weight: ρ, the weight of the site's own co-occurrence in the served Gram matrix.
        alone_share: β, the part of the site's own model in the served scores.
        neural_share: ν, the part of towers in the served scores: the release's; for `two-tower`
            the site's own, where the catalogue allows dense matrices and the site has users.
    """

    kernel_weight: float = 1.6
    ridge: float = 2.0
    local_weight: float = 1.0
    alone_share: float = 0.0
    neural_share: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class NeuralBlend:
    """(1 − ν) · first + ν · towers, each user's scores of either brought to one scale."""

    first: Scorer
    towers: Scorer
    share: float

    def score(self, users: Interactions) -> npt.NDArray[np.float32]:
        """The blend, shape ``(n_users, n_items)``."""
        return _towers_mixed(self.first.score(users), self.towers.score(users), self.share)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class BlendScorer:
    """(1 − β) · first + β · second."""

    first: Scorer
    second: Scorer
    share: float

    def score(self, users: Interactions) -> npt.NDArray[np.float32]:
        """The blend, shape ``(n_users, n_items)``."""
        share = np.float32(self.share)
        return (1 - share) * self.first.score(users) + share * self.second.score(users)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SiteModels:
    """The two ways to recommend that use a site's own users.

    Attributes:
        alone: The site's best own model: its users and the public features.
        served: What the site serves.
        choice: How it was chosen.
    """

    alone: Scorer
    served: Scorer
    choice: SiteChoice


def fit_site(
    model: GlobalModel, own: Interactions, *, seed: int, choice: SiteChoice | None = None
) -> SiteModels:
    """Fit a site's models on its own users.

    Args:
        model: The federation's global model.
        own: The site's own users, full histories.
        seed: Draws the folds and the hidden items, and the order in which towers are taught; the
            result is a function of the arguments.
        choice: Keep this choice rather than making one.
    """
    choice = choice or _choose(model, own, np.random.default_rng(seed))
    alone = EaseScorer(inverse=_alone(model, own, choice).inverse(1.0))
    together = _with_global(model, own).inverse(choice.local_weight)
    blended = _blend(_joint(model, own, together, choice.local_weight), alone, choice.alone_share)
    if choice.neural_share:
        towers = _towers(model, own, together, choice.local_weight, seed)
        if towers is not None:
            blended = NeuralBlend(first=blended, towers=towers, share=choice.neural_share)
    return SiteModels(alone=alone, served=blended, choice=choice)


def _towers(
    model: GlobalModel, own: Interactions, together: GramInverse, weight: float, seed: int
) -> Scorer | None:
    """The towers that the site mixes in, if the release holds any."""
    if model.release.model == "two-tower" and model.dense and own.n_users:
        return own_towers(model, own, together, weight=weight, seed=seed)
    return model.neural


def _blend(first: Scorer, second: Scorer, share: float) -> Scorer:
    if share in (0.0, 1.0):
        return second if share else first
    return BlendScorer(first=first, second=second, share=share)


def _with_global(model: GlobalModel, own: Interactions) -> LocalGram:
    rows = weighted_rows(own, normalised=model.normalised)
    return local_gram(model.source(), model.inverse, rows, dense=model.dense)


def _joint(model: GlobalModel, own: Interactions, together: GramInverse, weight: float) -> Scorer:
    """EASE on Ĝ + ρ WᵀW; with a weight, the site's own items are not new to it."""
    return model.ease(together, own.indices if weight else None)


def _alone(model: GlobalModel, own: Interactions, choice: SiteChoice) -> LocalGram:
    """WᵀW of the site's users over the kernel of public features; nothing of the federation's."""
    rows = weighted_rows(own, normalised=True)
    source = FactorGram(
        counts=np.asarray(rows.sum(axis=0), np.float64).ravel(),
        users=float(max(own.n_users, 1)),
        factors=np.zeros((own.n_items, 0), np.float32),
        kernel=model.kernel,
        kernel_weight=choice.kernel_weight,
        ridge=choice.ridge,
        exact=False,
    )
    return local_gram(source, source.inverse(), rows, dense=model.dense)


def _choose(model: GlobalModel, own: Interactions, rng: np.random.Generator) -> SiteChoice:
    """The choice that recovers most of what was hidden, or the default where nothing can be."""
    judged = tuple(folds(own, rng))
    if not judged:
        return SiteChoice()
    own_models = {
        SiteChoice(kernel_weight=kernel_weight, ridge=ridge, alone_share=1.0): 0.0
        for kernel_weight, ridge in KERNELS
    }
    for choice in own_models:
        scores = (_own_scores(model, fold, choice) for fold in judged)
        pairs = zip(scores, judged, strict=True)
        own_models[choice] = sum(recovered(found, fold) for found, fold in pairs)
    kernel = max(own_models, key=lambda choice: own_models[choice])
    quality: Counter[SiteChoice] = Counter()
    for fold in judged:
        quality.update(_judge(model, fold, kernel))
    best = max(quality, key=lambda choice: quality[choice])
    return best if model.neural is None else _with_towers(model, judged, best)


def _with_towers(model: GlobalModel, judged: Sequence[Fold], chosen: SiteChoice) -> SiteChoice:
    """The choice with the part of the towers that recovers most."""
    quality: Counter[float] = Counter()
    for fold in judged:
        together = _with_global(model, fold.train).inverse(chosen.local_weight)
        alone = EaseScorer(inverse=_alone(model, fold.train, chosen).inverse(1.0))
        joint = _joint(model, fold.train, together, chosen.local_weight)
        blended = _blend(joint, alone, chosen.alone_share)
        first = blended.score(fold.visible)
        mixed_in = _towers(model, fold.train, together, chosen.local_weight, 0)
        towers = mixed_in.score(fold.visible) if mixed_in else first
        found = {
            share: recovered(_unseen(_towers_mixed(first, towers, share), fold), fold)
            for share in NEURAL_SHARES
        }
        unit = max(found[0.0], LEAST_RECOVERED)
        quality.update({share: value / unit for share, value in found.items()})
    return replace(chosen, neural_share=max(quality, key=lambda share: quality[share]))


def _judge(model: GlobalModel, fold: Fold, kernel: SiteChoice) -> dict[SiteChoice, float]:
    """What every candidate recovers, as a multiple of what the global model does.

    The unit gives both folds the same weight, though one is harder than the other.
    """
    own_scores = _own_scores(model, fold, kernel)
    combined = _with_global(model, fold.train)
    found = {kernel: recovered(own_scores, fold)}
    for weight in LOCAL_WEIGHTS:
        served = _scores(_joint(model, fold.train, combined.inverse(weight), weight), fold)
        for share in ALONE_SHARES:
            choice = replace(kernel, local_weight=weight, alone_share=share)
            found[choice] = recovered(_mixed(served, own_scores, share), fold)
    unit = found[replace(kernel, local_weight=0.0, alone_share=0.0)]
    return {choice: value / max(unit, LEAST_RECOVERED) for choice, value in found.items()}


def _mixed(
    first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], share: float
) -> npt.NDArray[np.float32]:
    """(1 − β)·first + β·second, where minus infinity (a known item) stays what it is."""
    return (1 - share) * first + share * second if share else first


def _towers_mixed(
    first: npt.NDArray[np.float32], towers: npt.NDArray[np.float32], share: float
) -> npt.NDArray[np.float32]:
    if share == 0.0:
        return first.copy()
    part = np.float32(share)
    return (1 - part) * _standardised(first) + part * _standardised(towers)


def _standardised(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Each row with mean 0 and deviation 1; a row that is all alike becomes zeros."""
    centred = scores - scores.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(deviation, np.float32(1e-12)), np.float32)


def _own_scores(model: GlobalModel, fold: Fold, choice: SiteChoice) -> npt.NDArray[np.float32]:
    inverse = _alone(model, fold.train, choice).inverse(1.0)
    return _scores(EaseScorer(inverse=inverse), fold)


def _scores(scorer: Scorer, fold: Fold) -> npt.NDArray[np.float32]:
    return _unseen(scorer.score(fold.visible), fold)


def _unseen(scores: npt.NDArray[np.float32], fold: Fold) -> npt.NDArray[np.float32]:
    """Minus infinity at what the users show."""
    row = np.repeat(np.arange(fold.visible.n_users), np.diff(fold.visible.indptr))
    scores[row, fold.visible.indices] = -np.inf
    return scores
