"""The flagship: alternating least squares by secure sums, with public features.

DESIGN section 6. Each user releases, with L2 sensitivity 1 a block (one user added or removed):

* once, w = x/‖x‖ (item counts);
* each round, z zᵀ (packed) and w zᵀ, where z is the user's vector given the public item vectors.

Everything else is post-processing of these sums and of public features.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pydantic import with_config

from recommons.common.checks import require
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.models.als_sums import add_counts, add_factors, add_gram
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
from recommons.common.models.item_step import (
    first_items,
    matrix_power,
    next_items,
    positive_part,
    user_ridge,
)
from recommons.common.models.kernel import FeatureKernel
from recommons.common.models.options import STRICT, options_from_json, options_to_json
from recommons.common.models.state import check_state
from recommons.common.models.triangles import packed_size, unpack
from recommons.common.models.user_step import (
    plain_user_vectors,
    unit_user_vectors,
    user_batches,
)
from recommons.common.privacy.mechanism import BlockMechanism

__all__ = ["AlsModel", "AlsSettings"]

COUNTS_SHARE, GRAM_SHARE = 0.1, 0.033
"""Counts take 10 % of μ²; of the rest, 3.3 % goes to the Gram matrix in each round."""

STRICT_EPSILON = 2.0
"""Below this ε, one round of a lower rank."""

UNNOISED_DIM = 64
"""The rank where no noise is spread over its columns."""

LEAST_COUNT = 1.0
FEATURE_RANK = 64
SHARES_TOLERANCE = 1e-9
Sums = Mapping[str, NoisySum]
Integers = npt.NDArray[np.int64]


@with_config(STRICT)
@dataclass(frozen=True, kw_only=True)
class AlsSettings:
    """Every hyperparameter of `als`.

    Attributes:
        dim: d, the rank.
        round_shares: Each round's part of what is left of μ² after the counts; adds up to 1.
        kernel_weight: κ of the global model's scores.
        ridge: λ of the global model's scores.
        seed: Where item vectors start when there are no features.
    """

    dim: int
    round_shares: tuple[float, ...]
    kernel_weight: float = 0.4
    ridge: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        shares = self.round_shares
        require(self.dim >= 1, "dim", self.dim, "1 or more")
        sound = bool(shares) and min(shares) > 0 and abs(sum(shares) - 1) < SHARES_TOLERANCE
        require(sound, "round_shares", shares, "positive numbers that add up to 1")
        require(self.kernel_weight >= 0, "kernel_weight", self.kernel_weight, "0 or more")
        require(self.ridge > 0, "ridge", self.ridge, "a positive number")
        require(self.seed >= 0, "seed", self.seed, "0 or more")

    @classmethod
    def choose(
        cls, figures: PublicFigures, *, dim: int | None = None, seed: int = 0
    ) -> "AlsSettings":
        """The plan's defaults: functions of public figures only."""
        strict = figures.epsilon < STRICT_EPSILON
        default, shares = (16, (1.0,)) if strict else (32, (0.4, 0.6))
        if math.isinf(figures.epsilon):
            default = UNNOISED_DIM
        width = min(default if dim is None else dim, figures.n_items)
        return cls(dim=width, round_shares=shares, seed=seed)


@dataclass(eq=False, repr=False)
class _Seen:
    """V after the sums seen last, known by identity: so a round costs one denoising."""

    sums: tuple[Sums, ...] = ()
    items: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class AlsModel:
    """`FederatedModel` of DESIGN section 6, first model.

    Attributes:
        catalogue: The public catalogue; its features are used by the coordinator alone.
        options: The hyperparameters.
    """

    catalogue: Catalogue
    options: AlsSettings
    _seen: _Seen = field(default_factory=_Seen, init=False, repr=False)

    @property
    def name(self) -> str:
        """``"als"``."""
        return "als"

    @property
    def ordered(self) -> bool:
        """Order and type of events are not read."""
        return False

    def settings(self) -> Mapping[str, Any]:
        """Every hyperparameter as JSON; `AlsModel.from_settings` is the way back."""
        return options_to_json(self.options)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], catalogue: Catalogue) -> "AlsModel":
        """The very model that a plan's settings describe."""
        return cls(catalogue=catalogue, options=options_from_json(AlsSettings, settings))

    def rounds(self) -> tuple[tuple[BlockRequest, ...], ...]:
        """Round 0: ``counts``; then ``gram`` and ``factors`` in each round."""
        items = len(self.catalogue)
        rounds: list[tuple[BlockRequest, ...]] = [
            (BlockRequest(name="counts", size=items, clip=1.0, share=COUNTS_SHARE),)
        ]
        left = 1 - COUNTS_SHARE
        dim = self.options.dim
        for share in self.options.round_shares:
            gram = BlockRequest(
                name="gram", size=packed_size(dim), clip=1.0, share=left * share * GRAM_SHARE
            )
            factors = BlockRequest(
                name="factors",
                size=items * dim,
                clip=1.0,
                share=left * share * (1 - GRAM_SHARE),
            )
            rounds.append((gram, factors))
        return tuple(rounds)

    def sampling(self) -> tuple[float | None, ...]:
        """Everybody takes part in every round."""
        return (None,) * len(self.rounds())

    def public_state(self, done: Sequence[Sums]) -> Arrays:
        """Item vectors V (``items``, float64) and the ridge of the user step; empty at first."""
        if not done:
            return {}
        items = self._items(done)
        return {"items": items, "ridge": user_ridge(items)}

    def state_shapes(self, round_index: int) -> Mapping[str, tuple[int, ...]]:
        """V, shape ``(m, d)``, and the ridge, shape ``(d, d)``; nothing in round 0."""
        dim = self.options.dim
        return (
            {} if round_index == 0 else {"items": (len(self.catalogue), dim), "ridge": (dim, dim)}
        )

    def contribute(
        self,
        round_index: int,
        state: Arrays,
        users: Interactions,
        blocks: tuple[BlockMechanism, ...],
    ) -> Mapping[str, Integers]:
        """The exact integer sums over a site's users; see `FederatedModel.contribute`."""
        check_state(state, self.state_shapes(round_index))
        totals = {block.name: np.zeros(block.size, np.int64) for block in blocks}
        by_name = {block.name: block for block in blocks}
        noised = any(block.noise_stddev for block in blocks)
        user_vectors = unit_user_vectors if noised else plain_user_vectors
        for batch in user_batches(users):
            if round_index == 0:
                add_counts(totals["counts"], batch, by_name["counts"])
                continue
            vectors = user_vectors(batch, state["items"], state["ridge"])
            add_gram(totals["gram"], vectors, by_name["gram"])
            add_factors(totals["factors"], batch, vectors, by_name["factors"])
        return totals

    def release(self, done: Sequence[Sums]) -> ModelRelease:
        """Factors L with LLᵀ ≈ WᵀW off the diagonal, counts, and the features of the kernel."""
        denoised, gram = self._denoised(done)
        counts, users = done[0]["counts"].values, max(float(np.trace(gram)), 1.0)
        root = matrix_power(gram, -0.5)
        raw = done[-1]["factors"].values.reshape(-1, self.options.dim) @ root
        weights = learned_weights(self._blocks, raw, item_spread(counts, users))
        table = feature_table(self._blocks, len(self.catalogue), weights)
        return ModelRelease(
            model=self.name,
            arrays={
                "factors": (denoised @ root).astype(np.float32),
                "counts": counts,
                **FeatureKernel(table=table).to_arrays(),
            },
            settings={
                "users": users,
                "features": table.shape[1],
                "feature_weights": {name: float(value) for name, value in weights.items()},
                "normalised": True,
                "kernel_weight": self.options.kernel_weight,
                "ridge": self.options.ridge,
            },
        )

    @cached_property
    def _table(self) -> sp.csr_array:
        """With the default weights: before any sum says which features matter."""
        return feature_table(self._blocks, len(self.catalogue))

    @cached_property
    def _blocks(self) -> tuple[FeatureBlock, ...]:
        return feature_blocks(self.catalogue)

    @cached_property
    def _features(self) -> npt.NDArray[np.float64]:
        return principal_features(self._table, max(FEATURE_RANK, self.options.dim))

    def _items(self, done: Sequence[Sums]) -> npt.NDArray[np.float64]:
        """V after these sums, one at least."""
        seen = self._seen
        known = [id(sums) for sums in seen.sums] == [id(sums) for sums in done]
        if seen.items is None or not known:
            seen.items = self._first_items(done) if len(done) == 1 else self._next_items(done)
            seen.sums = tuple(done)
        return seen.items

    def _first_items(self, done: Sequence[Sums]) -> npt.NDArray[np.float64]:
        """V₀: features first; where they are fewer than d, random columns from the plan's seed."""
        counts, dim = done[0]["counts"].values, self.options.dim
        columns = self._features[:, :dim]
        if columns.shape[1] < dim:
            missing = (len(counts), dim - columns.shape[1])
            drawn = np.random.default_rng(self.options.seed).standard_normal(missing)
            scale = np.abs(columns).mean() if columns.shape[1] else 1.0
            columns = np.hstack([columns, drawn * scale])
        return first_items(columns, counts)

    def _next_items(self, done: Sequence[Sums]) -> npt.NDArray[np.float64]:
        denoised, gram = self._denoised(done)
        return next_items(denoised, gram, done[0]["counts"].values)

    def _denoised(
        self, done: Sequence[Sums]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The last round's B, denoised, and its G, made positive semidefinite."""
        dim = self.options.dim
        last = done[-1]
        gram = positive_part(unpack(last["gram"].values, dim))
        counts = done[0]["counts"].values
        features = [self._features]
        if len(done) > 2:
            features.append(self._items(done[:-1]))
        denoised = denoise(
            last["factors"].values.reshape(len(counts), dim),
            np.sqrt(np.maximum(counts, LEAST_COUNT)),
            last["factors"].stddev,
            features,
        )
        return denoised, gram
