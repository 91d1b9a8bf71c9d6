"""What a site serves: the global model with the site's own users, and its own model beside it.

Nothing here leaves the site, so nothing here costs privacy; what the recommendations show the
site's own users about each other is outside the federation's guarantee.

A site chooses on its own users alone, by two-fold cross-validation: half of them train, a fifth of
each other user's items is hidden, and what recovers most of it is kept. The family of models holds
the global model (ρ = 0, β = 0) and the site's own (β = 1), so that neither is lost by joining.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommons.common.data.interactions import Interactions
from recommons.common.models.gram import FactorGram
from recommons.common.models.inverse import GramInverse
from recommons.common.models.local import LocalGram, local_gram, weighted_rows
from recommons.common.models.scoring import EaseScorer, GlobalModel, Scorer

__all__ = ["BlendScorer", "SiteChoice", "SiteModels", "fit_site"]

KERNELS = ((0.8, 2.0), (1.6, 2.0), (1.6, 5.0), (3.2, 5.0))
"""(κ, λ) a site tries for its own model."""

LOCAL_WEIGHTS = (0.0, 0.25, 1.0, 3.0)
ALONE_SHARES = (0.0, 0.5, 1.0)
HIDDEN_SHARE = 0.2
CUTOFFS = (10, 20, 50, 100)
LEAST_ITEMS = 3
MOST_JUDGED_USERS = 400
MOST_TRAINED_USERS = 4000


@dataclass(frozen=True, kw_only=True)
class SiteChoice:
    """What a site chose on its own users.

    Attributes:
        kernel_weight: κ of the site's own model.
        ridge: λ of the site's own model.
        local_weight: ρ, the weight of the site's own co-occurrence in the served Gram matrix.
        alone_share: β, the part of the site's own model in the served scores.
    """

    kernel_weight: float = 1.6
    ridge: float = 2.0
    local_weight: float = 1.0
    alone_share: float = 0.0


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
        seed: Draws the folds and the hidden items; the result is a function of the arguments.
        choice: Keep this choice rather than making one.
    """
    choice = choice or _choose(model, own, np.random.default_rng(seed))
    alone = EaseScorer(inverse=_alone(model, own, choice).inverse(1.0))
    served = EaseScorer(inverse=_with_global(model, own).inverse(choice.local_weight))
    return SiteModels(alone=alone, served=_blend(served, alone, choice.alone_share), choice=choice)


def _blend(first: Scorer, second: Scorer, share: float) -> Scorer:
    if share in (0.0, 1.0):
        return second if share else first
    return BlendScorer(first=first, second=second, share=share)


def _with_global(model: GlobalModel, own: Interactions) -> LocalGram:
    rows = weighted_rows(own, normalised=model.normalised)
    return local_gram(model.source(), model.inverse, rows, dense=model.dense)


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


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class _Fold:
    """Users to train on, and others with some of their items hidden."""

    train: Interactions
    visible: Interactions
    hidden: Interactions


def _choose(model: GlobalModel, own: Interactions, rng: np.random.Generator) -> SiteChoice:
    quality: dict[SiteChoice, list[npt.NDArray[np.float64]]] = {}
    for fold in _folds(own, rng):
        for choice, values in _judge(model, fold):
            quality.setdefault(choice, []).append(values)
    if not quality:
        return SiteChoice()
    means = {choice: float(np.concatenate(v).mean()) for choice, v in quality.items()}
    return max(means, key=lambda choice: means[choice])


def _folds(own: Interactions, rng: np.random.Generator) -> Iterator[_Fold]:
    order = rng.permutation(own.n_users)
    middle = len(order) // 2
    for train, judged in ((order[:middle], order[middle:]), (order[middle:], order[:middle])):
        enough = judged[np.diff(own.indptr)[judged] >= LEAST_ITEMS][:MOST_JUDGED_USERS]
        if len(train) and len(enough):
            visible, hidden = _hide(own.take(enough), rng)
            kept = own.take(np.sort(train[:MOST_TRAINED_USERS]))
            yield _Fold(train=kept, visible=visible, hidden=hidden)


def _hide(users: Interactions, rng: np.random.Generator) -> tuple[Interactions, Interactions]:
    """Hide a fifth of each user's items, at least one."""
    lengths = np.diff(users.indptr)
    row = np.repeat(np.arange(users.n_users), lengths)
    order = np.lexsort((rng.random(len(row)), row))
    rank = np.empty(len(row), np.int64)
    rank[order] = np.arange(len(row)) - np.repeat(users.indptr[:-1], lengths)
    hidden = rank < np.maximum(np.round(lengths * HIDDEN_SHARE), 1)[row]
    size = {"n_users": users.n_users, "n_items": users.n_items}
    visible = Interactions.from_pairs(row[~hidden], users.indices[~hidden], **size)
    return visible, Interactions.from_pairs(row[hidden], users.indices[hidden], **size)


def _judge(model: GlobalModel, fold: _Fold) -> Iterator[tuple[SiteChoice, npt.NDArray[np.float64]]]:
    """Every choice with the share of hidden items it recovers, by user."""
    alone = {}
    for kernel_weight, ridge in KERNELS:
        kernel = SiteChoice(kernel_weight=kernel_weight, ridge=ridge)
        alone[kernel] = _scores(_alone(model, fold.train, kernel).inverse(1.0), fold)
    best = max(alone, key=lambda kernel: _recovered(alone[kernel], fold).mean())
    combined = _with_global(model, fold.train)
    for weight in LOCAL_WEIGHTS:
        served = _scores(combined.inverse(weight), fold)
        for share in ALONE_SHARES:
            choice = SiteChoice(
                kernel_weight=best.kernel_weight,
                ridge=best.ridge,
                local_weight=weight,
                alone_share=share,
            )
            yield choice, _recovered(_mixed(served, alone[best], share), fold)


def _mixed(
    first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], share: float
) -> npt.NDArray[np.float32]:
    """(1 − β)·first + β·second, where minus infinity (a known item) stays what it is."""
    if share in (0.0, 1.0):
        return second if share else first
    return (1 - share) * first + share * second


def _scores(inverse: GramInverse, fold: _Fold) -> npt.NDArray[np.float32]:
    scores = EaseScorer(inverse=inverse).score(fold.visible)
    row = np.repeat(np.arange(fold.visible.n_users), np.diff(fold.visible.indptr))
    scores[row, fold.visible.indices] = -np.inf
    return scores


def _recovered(
    scores: npt.NDArray[np.float32], fold: _Fold, cutoffs: Sequence[int] = CUTOFFS
) -> npt.NDArray[np.float64]:
    """Recall of the hidden items, averaged over cutoffs; shape ``(n_users,)``."""
    n_users, n_items = scores.shape
    lengths = np.diff(fold.hidden.indptr)
    row = np.repeat(np.arange(n_users), lengths)
    own = scores[row, fold.hidden.indices]
    places = [max(n_items - k, 0) for k in cutoffs]
    ordered = np.partition(scores, places, axis=1)
    total = np.zeros(n_users)
    for k, place in zip(cutoffs, places, strict=True):
        hits = np.bincount(row, own >= ordered[row, place], minlength=n_users)
        total += hits / np.minimum(lengths, k)
    return total / len(cutoffs)
