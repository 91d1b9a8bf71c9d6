"""Embarrassingly shallow autoencoders (EASE^R, Steck 2019) by one secure sum.

Without privacy (ε infinite) a user contributes x xᵀ in integers and the sum is XᵀX: exactly EASE^R.
With privacy a user contributes x xᵀ/‖x‖², packed as its diagonal and √2 times its upper triangle:
L2 sensitivity 1 (one user added or removed). For catalogues of up to some thousands of items.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pydantic import with_config

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput
from recommons.common.models.content import (
    FeatureBlock,
    feature_blocks,
    feature_table,
    principal_features,
)
from recommons.common.models.empirical_bayes import denoise
from recommons.common.models.fusion import learned_weights
from recommons.common.models.gram import item_spread
from recommons.common.models.interface import (
    Arrays,
    BlockRequest,
    ModelRelease,
    NoisySum,
    PublicFigures,
)
from recommons.common.models.item_step import leading_eigenvectors
from recommons.common.models.kernel import FeatureKernel
from recommons.common.models.options import STRICT, options_from_json, options_to_json
from recommons.common.models.triangles import packed_size, scales, unpack
from recommons.common.models.user_step import history_lengths
from recommons.common.privacy.mechanism import BlockMechanism
from recommons.common.privacy.quantization import quantize

__all__ = ["EaseModel", "EaseSettings"]

MOST_ITEMS = 6000
EXACT_RIDGE = 300.0
FEATURE_RANK = 64
LEAST_EIGENVALUE = 1.0  # one user's
ROW_CELLS = 1 << 22  # 32 MiB of int64: rows of the m × m sum held at once
Integers = npt.NDArray[np.int64]


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class EaseSettings:
    """Every hyperparameter of `ease`.

    Attributes:
        exact: Release XᵀX in integers: no clip, no noise, no privacy.
        dim: Rank to which a noisy Gram matrix is reduced.
        kernel_weight: κ of the global model's scores, with privacy.
        ridge: λ of the global model's scores.
        most_items: Larger catalogues are refused.
    """

    exact: bool
    dim: int
    kernel_weight: float
    ridge: float
    most_items: int = MOST_ITEMS

    @classmethod
    def choose(cls, figures: PublicFigures) -> "EaseSettings":
        """The plan's defaults: functions of public figures only."""
        exact = figures.epsilon == float("inf")
        ridge = EXACT_RIDGE if exact else 2.0
        return cls(exact=exact, dim=32, kernel_weight=0.4, ridge=ridge)


@dataclass(frozen=True, kw_only=True, eq=False)
class EaseModel:
    """`FederatedModel` of DESIGN section 6, second model.

    Attributes:
        catalogue: The public catalogue.
        options: The hyperparameters.
    """

    catalogue: Catalogue
    options: EaseSettings

    def __post_init__(self) -> None:
        if len(self.catalogue) > self.options.most_items:
            raise InvalidInput(
                "model/catalogue-too-large",
                f"the catalogue has {len(self.catalogue)} items; "
                f"required: at most {self.options.most_items} for model 'ease'",
            )

    @property
    def name(self) -> str:
        """``"ease"``."""
        return "ease"

    @property
    def ordered(self) -> bool:
        """Order and type of events are not read."""
        return False

    def settings(self) -> Mapping[str, Any]:
        """Every hyperparameter as JSON; `EaseModel.from_settings` is the way back."""
        return options_to_json(self.options)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], catalogue: Catalogue) -> "EaseModel":
        """The very model that a plan's settings describe."""
        return cls(catalogue=catalogue, options=options_from_json(EaseSettings, settings))

    def rounds(self) -> tuple[tuple[BlockRequest, ...], ...]:
        """One round, one block: ``gram``."""
        clip = float("inf") if self.options.exact else 1.0
        size = packed_size(len(self.catalogue))
        return ((BlockRequest(name="gram", size=size, clip=clip, share=1.0),),)

    def sampling(self) -> tuple[float | None, ...]:
        """Everybody takes part in every round."""
        return (None,) * len(self.rounds())

    def public_state(self, done: Sequence[Mapping[str, NoisySum]]) -> Arrays:
        """Nothing: a user's contribution depends on the user alone."""
        return {}

    def state_shapes(self, round_index: int) -> Mapping[str, tuple[int, ...]]:
        """Nothing."""
        return {}

    def contribute(
        self,
        round_index: int,
        state: Arrays,
        users: Interactions,
        blocks: tuple[BlockMechanism, ...],
    ) -> Mapping[str, Integers]:
        """The exact integer sum over a site's users; see `FederatedModel.contribute`."""
        (block,) = blocks
        diagonal, above = self._user_integers(users, block)
        total = np.empty(block.size, np.int64)
        start = 0
        for rows in _upper_rows(users, diagonal, above):
            total[start : start + len(rows)] = rows
            start += len(rows)
        return {block.name: total}

    def _user_integers(
        self, users: Interactions, block: BlockMechanism
    ) -> tuple[Integers, Integers]:
        """What each user adds to every coordinate of theirs on and above the diagonal."""
        lengths = history_lengths(users)
        if self.options.exact:
            ones = np.ones(len(lengths), np.int64)
            return ones, ones
        each = 1 / np.maximum(lengths, 1)
        integers = quantize(
            np.stack([each, np.sqrt(2.0) * each], axis=1),
            clip=block.clip,
            sensitivity=block.sensitivity,
            multiplicity=np.stack([lengths, lengths * (lengths - 1) // 2], axis=1),
        )
        return integers[:, 0], integers[:, 1]

    def release(self, done: Sequence[Mapping[str, NoisySum]]) -> ModelRelease:
        """Without privacy XᵀX, packed; with it, factors L with LLᵀ ≈ WᵀW off the diagonal."""
        block, order = done[0]["gram"], len(self.catalogue)
        packed = block.values * scales(order) if self.options.exact else block.values
        gram = unpack(packed, order)
        counts = np.diagonal(gram).copy()
        arrays: dict[str, npt.NDArray[Any]] = {"counts": counts}
        settings: dict[str, Any] = {
            "ridge": self.options.ridge,
            "normalised": not self.options.exact,
        }
        weights = None
        if self.options.exact:
            arrays["gram"] = packed
        else:
            users = max(float(counts.sum()), 1.0)
            arrays["factors"], raw = self._factors(gram, block.stddev)
            weights = learned_weights(self._blocks, raw, item_spread(counts, users))
            settings |= {
                "users": users,
                "kernel_weight": self.options.kernel_weight,
                "feature_weights": {name: float(value) for name, value in weights.items()},
            }
        table = feature_table(self._blocks, order, weights)
        return ModelRelease(
            model=self.name,
            arrays=arrays | FeatureKernel(table=table).to_arrays(),
            settings=settings | {"features": table.shape[1]},
        )

    def _factors(
        self, gram: npt.NDArray[np.float64], stddev: float
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
        """The leading eigenvectors U of a noisy Gram matrix G, denoised and as they are.

        G U is U's items seen through noise of one standard deviation, as the sums of `als` are, and
        is denoised like them. Noise raises an eigenvalue θ to θ + σ²m/θ (Benaych-Georges and
        Nadakuditi 2011): this is undone before G U is divided by √θ.
        """
        sigma = stddev / np.sqrt(2.0)  # of an entry off the diagonal
        rank = min(self.options.dim, len(gram) - 1)
        values, vectors = leading_eigenvectors(gram, rank)
        counts = np.sqrt(np.maximum(np.diagonal(gram), 1.0))
        features = principal_features(self._table, FEATURE_RANK)
        raw = gram @ vectors
        sums = denoise(raw, counts, sigma, [features])
        raised = np.maximum(values**2 - 4 * len(gram) * sigma**2, 0.0)
        undone = np.maximum((values + np.sqrt(raised)) / 2, LEAST_EIGENVALUE)
        root = np.sqrt(undone)
        return np.asarray(sums / root, np.float32), raw / root

    @cached_property
    def _table(self) -> sp.csr_array:
        """With the default weights: before any sum says which features matter."""
        return feature_table(self._blocks, len(self.catalogue))

    @cached_property
    def _blocks(self) -> tuple[FeatureBlock, ...]:
        return feature_blocks(self.catalogue)


def _upper_rows(users: Interactions, diagonal: Integers, above: Integers) -> Iterator[Integers]:
    """Σ_u of x xᵀ, each user's integers in place of the ones, packed, some rows at a time.

    Exact: sparse products of int64, whatever the order of summation.
    """
    history = users.matrix(np.int64)
    by_item = history.T.tocsr()
    weighted = by_item * above[None, :]
    own = by_item @ diagonal
    step = max(1, ROW_CELLS // users.n_items)
    for start in range(0, users.n_items, step):
        # Left of the chunk's first item nothing is needed: the matrix is symmetric.
        sums = (weighted[start : start + step] @ history[:, start:]).toarray()
        for offset, row in enumerate(sums):
            row[offset] = own[start + offset]
            yield row[offset:]
