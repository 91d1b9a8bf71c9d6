"""`sequence`: what comes next, by self-attention over a user's last events.

Warm start, rounds, server steps and release are those of `two-tower`, of which this is a kind; the
user's side and the loss are its own (`sequence_towers`). With noise every user is computed alone
and made integers (`user_sums`). Without noise nothing is promised to anyone, and the users' clipped
sum is taken from Opacus in batches, as `two-tower` does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from recommons.common.checks import require
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.models.interface import Arrays, ModelRelease, NoisySum
from recommons.common.models.neural.batches import Negatives
from recommons.common.models.neural.clipping import Batch, clipped_sum
from recommons.common.models.neural.histories import Reading
from recommons.common.models.neural.integers import truncate
from recommons.common.models.neural.sequence_parameters import (
    bounded_sequence,
    first_sequence,
    sequence_shapes,
)
from recommons.common.models.neural.sequence_scoring import attention_arrays
from recommons.common.models.neural.sequence_settings import SequenceSettings
from recommons.common.models.neural.sequence_towers import blank_sequence
from recommons.common.models.neural.sequences import sequence_batches
from recommons.common.models.neural.tower_scoring import fused_arrays
from recommons.common.models.neural.two_tower import TwoTowerModel
from recommons.common.models.neural.user_sums import aligned, users_sum
from recommons.common.models.options import options_from_json
from recommons.common.models.state import check_state
from recommons.common.privacy.mechanism import BlockMechanism

__all__ = ["SequenceModel", "SequenceSettings"]

Floats = npt.NDArray[np.float64]
Sums = Mapping[str, NoisySum]

_MOST_SCORES = 1 << 22


@dataclass(frozen=True, kw_only=True, eq=False)
class SequenceModel(TwoTowerModel):
    """`FederatedModel` of sequences.

    Attributes:
        catalogue: The public catalogue.
        options: The hyperparameters.
    """

    options: SequenceSettings = field()

    @property
    def name(self) -> str:
        """``"sequence"``."""
        return "sequence"

    @property
    def ordered(self) -> bool:
        """Times and types of events are read."""
        return True

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], catalogue: Catalogue) -> "SequenceModel":
        """The very model that a plan's settings describe."""
        return cls(catalogue=catalogue, options=options_from_json(SequenceSettings, settings))

    def contribute(
        self,
        round_index: int,
        state: Arrays,
        users: Interactions,
        blocks: tuple[BlockMechanism, ...],
    ) -> Mapping[str, npt.NDArray[np.int64]]:
        """The integer sums over the users that were drawn; see `FederatedModel.contribute`.

        Raises:
            InvalidInput: ``site/message``: a state of other shapes, or beyond its bounds.
        """
        check_state(state, self.state_shapes(round_index))
        if round_index < self._warm_rounds:
            return self._warm.contribute(round_index, state, users, blocks)
        (block,) = blocks
        require(self._sound, "towers", self.name, "sound")
        module, negatives = aligned(self._module(state)), Negatives.of_state(state)
        names = tuple(self._trained_shapes)
        if block.noise_stddev:
            alone = self._users(users, negatives)
            return {block.name: users_sum(module, alone, names, block)}
        batches = self._batches(users, self._reading(round_index), negatives)
        sums = clipped_sum(module, batches, clip=block.clip)
        flat = np.concatenate([sums[name].numpy().ravel() for name in names])
        return {block.name: truncate(flat, block)}

    def release(self, done: Sequence[Sums]) -> ModelRelease:
        """Item vectors with their content fused in, the attention, and all of the warm start's."""
        base, parameters = self._base(done), self._parameters(done)
        towers = fused_arrays(self._shape, parameters, self._features)
        return ModelRelease(
            model=self.name,
            arrays={**base.arrays, **towers, **attention_arrays(parameters)},
            settings={
                **base.settings,
                "last": self.options.most_items,
                "seed": self.options.seed,
            },
        )

    def _beginning(self, done: Sequence[Sums]) -> dict[str, Floats]:
        options = self.options
        return first_sequence(
            self._shape,
            self._base(done),
            warm=options.warm,
            last=options.most_items,
            decay=options.decay,
            popularity=options.popularity,
            candidates=self._candidates,
            seed=options.seed,
        )

    def _blank(self) -> torch.nn.Module:
        features = torch.from_numpy(self._features).clone()
        return blank_sequence(
            self._shape, features, last=self.options.most_items, candidates=self._candidates
        )

    def _bounded(self, parameters: Mapping[str, Floats]) -> dict[str, Floats]:
        return bounded_sequence(parameters)

    def _batches(
        self, users: Interactions, reading: Reading, negatives: Negatives | None
    ) -> Iterator[Batch]:
        """Of so many users that the scores of a batch stay within a few hundred megabytes."""
        cells = max(1, _MOST_SCORES // len(self.catalogue))
        if negatives is not None:
            cells = max(1, _MOST_SCORES // ((len(negatives.items) + 1) * self.options.dim))
        return self._some(users, negatives, cells)

    def _users(self, users: Interactions, negatives: Negatives | None) -> Iterator[Batch]:
        return self._some(users, negatives, 0)

    def _some(
        self, users: Interactions, negatives: Negatives | None, most_cells: int
    ) -> Iterator[Batch]:
        return sequence_batches(
            users,
            self._features,
            negatives,
            last=self.options.most_items,
            most_cells=most_cells,
            seed=self.options.seed,
        )

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        last = self.options.most_items
        return sequence_shapes(self._shape, last, candidates=self._candidates)
