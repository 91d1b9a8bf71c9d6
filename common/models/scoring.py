"""From a release to scores: popularity, and the federation's global model.

Scores need the release alone. A user's own items are scored too: leaving them out is the caller's.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from recommons.common.data.interactions import Interactions
from recommons.common.models.gram import FactorGram, GramSource, KnownGram
from recommons.common.models.interface import ModelRelease
from recommons.common.models.inverse import GramInverse
from recommons.common.models.kernel import FeatureKernel
from recommons.common.models.neural.sequence_scoring import SequenceScorer
from recommons.common.models.neural.tower_scoring import TowerScorer
from recommons.common.models.triangles import unpack

__all__ = [
    "MOST_DENSE_ITEMS",
    "EaseScorer",
    "GlobalModel",
    "NewItemScorer",
    "PopularityScorer",
    "Scorer",
    "neural_scorer",
    "popularity_scorer",
]

Scores = npt.NDArray[np.float32]

MOST_DENSE_ITEMS = 12_000
"""Largest catalogue with a dense inverse: 576 MB in float32."""


class Scorer(Protocol):
    """One way to recommend."""

    def score(self, users: Interactions) -> Scores:
        """A score for every item, shape ``(n_users, n_items)``; higher is better."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class PopularityScorer:
    """The same scores for everybody: the items' (noised) counts."""

    counts: npt.NDArray[np.float64]

    def score(self, users: Interactions) -> Scores:
        """The counts, one row a user (a read-only view)."""
        return np.broadcast_to(self.counts.astype(np.float32), (users.n_users, users.n_items))


@dataclass(frozen=True, kw_only=True, eq=False)
class EaseScorer:
    """EASE's scores x B with B_ij = −Q_ij/Q_jj off the diagonal and 0 on it (Steck 2019, eq. 8)."""

    inverse: GramInverse

    def score(self, users: Interactions) -> Scores:
        """Scores, shape ``(n_users, n_items)``."""
        scores = self.inverse.product(users.matrix())
        scores /= -self.inverse.diagonal
        row = np.repeat(np.arange(users.n_users), np.diff(users.indptr))
        scores[row, users.indices] += 1  # takes the diagonal −Q_jj/Q_jj out again
        return scores.astype(np.float32, copy=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class NewItemScorer:
    """Another's scores; an item that nobody has gets the mean of those of the items it is like.

    score_j = Σ_s K_js⁺ score_s / Σ_s K_js⁺ over the items s that somebody has; 0 where none is
    like j. Only the former's columns of new items are replaced.

    Attributes:
        first: Scores items by who has them.
        kernel: K, of public features.
        new: Whether nobody has an item, shape ``(m,)``.
    """

    first: Scorer
    kernel: FeatureKernel
    new: npt.NDArray[np.bool_]

    def score(self, users: Interactions) -> Scores:
        """Scores, shape ``(n_users, n_items)``."""
        scores = self.first.score(users)
        scores[:, self.new] = scores[:, ~self.new] @ self._means
        return scores

    @cached_property
    def _means(self) -> Scores:
        """Weights whose columns add up to 1, shape ``(known, new)``: m²/4 numbers at most."""
        likeness = np.maximum(self.kernel.between(~self.new, self.new), 0)
        total = likeness.sum(axis=0)
        return np.asarray(likeness / np.where(total > 0, total, 1), np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class GlobalModel:
    """A release made ready to score, and to be combined with a site's own users.

    The inverse and the principal features are computed once, when first asked for: share the
    object.

    Attributes:
        release: The release.
        most_dense_items: Larger catalogues use a low-rank form.
    """

    release: ModelRelease
    most_dense_items: int = MOST_DENSE_ITEMS

    @property
    def n_items(self) -> int:
        """Size of the catalogue."""
        return len(self.release.arrays["counts"])

    @property
    def normalised(self) -> bool:
        """Whether Ĝ estimates WᵀW with w = x/‖x‖; otherwise it is XᵀX."""
        return bool(self.release.settings["normalised"])

    @property
    def dense(self) -> bool:
        """Whether the catalogue allows dense matrices of its size."""
        return self.n_items <= self.most_dense_items

    @cached_property
    def kernel(self) -> FeatureKernel:
        """The public features that the release carries."""
        features = int(self.release.settings["features"])
        return FeatureKernel.from_arrays(self.release.arrays, self.n_items, features)

    @cached_property
    def inverse(self) -> GramInverse:
        """Ĝ⁻¹."""
        return self.source().inverse()

    @cached_property
    def neural(self) -> Scorer | None:
        """The towers that the release holds beside factors and counts, if it holds any."""
        return neural_scorer(self.release)

    @property
    def scorer(self) -> Scorer:
        """The federation's global model, the same at every site."""
        return self.neural or self.ease(self.inverse)

    def ease(self, inverse: GramInverse, added: npt.NDArray[np.integer] | None = None) -> Scorer:
        """EASE on Ĝ, or on Ĝ and a site's own users.

        A released Gram matrix knows nothing of features: they speak for items that nobody has.

        Args:
            inverse: Of either.
            added: The items of the users that were added, repeated or not.
        """
        scorer = EaseScorer(inverse=inverse)
        if "gram" not in self.release.arrays:
            return scorer
        new = np.asarray(self.release.arrays["counts"] == 0)
        if added is not None:
            new[added] = False
        return NewItemScorer(first=scorer, kernel=self.kernel, new=new) if new.any() else scorer

    def source(self) -> GramSource:
        """Ĝ."""
        arrays, settings = self.release.arrays, self.release.settings
        ridge = float(settings["ridge"])
        if "gram" in arrays:
            return KnownGram(matrix=unpack(arrays["gram"], self.n_items), ridge=ridge)
        return FactorGram(
            counts=np.asarray(arrays["counts"], np.float64),
            users=float(settings["users"]),
            factors=np.asarray(arrays["factors"], np.float32),
            kernel=self.kernel,
            kernel_weight=float(settings["kernel_weight"]),
            ridge=ridge,
            exact=self.dense,
        )


def neural_scorer(release: ModelRelease) -> Scorer | None:
    """What scores by the towers of a neural model's release; None for any other."""
    if release.model == "two-tower":
        return TowerScorer(release=release)
    if release.model == "sequence":
        return SequenceScorer(release=release)
    return None


def popularity_scorer(release: ModelRelease) -> PopularityScorer:
    """The baseline: noised item counts."""
    return PopularityScorer(counts=np.asarray(release.arrays["counts"], np.float64))
