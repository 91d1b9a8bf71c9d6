"""`two-tower`: users by their own history, items by id and public content, trained in many rounds.

First come the full-participation rounds of the warm start: item counts alone, or all rounds of
`als` under a share of the budget. Then each step is one round with one block: every site adds up
its drawn users' clipped gradients (`clipping`), the coordinator divides by the expected number of
users and steps (`optimisers`). Who is drawn is settled before `contribute` is called.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from recommons.common.checks import require
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput
from recommons.common.models.als import AlsModel, AlsSettings
from recommons.common.models.content import tower_features
from recommons.common.models.counts import counts_release
from recommons.common.models.interface import (
    Arrays,
    BlockRequest,
    ModelRelease,
    NoisySum,
)
from recommons.common.models.neural.batches import Negatives, tower_batches
from recommons.common.models.neural.clipping import Batch, clipped_sum
from recommons.common.models.neural.histories import Reading
from recommons.common.models.neural.integers import SumError, effective_clip, truncate
from recommons.common.models.neural.optimisers import Moments, ServerOptimiser
from recommons.common.models.neural.replay import Replay, stepped
from recommons.common.models.neural.rounding import gradient_error
from recommons.common.models.neural.settings import TwoTowerSettings
from recommons.common.models.neural.shapes import TowerShape
from recommons.common.models.neural.soundness import check_sound
from recommons.common.models.neural.tower_scoring import fused_arrays
from recommons.common.models.neural.towers import blank_towers
from recommons.common.models.neural.updates import UpdateShape, checked_rows, most_bought
from recommons.common.models.neural.warm_starts import (
    TABLES,
    bounded,
    content_tables,
    parameter_shapes,
    weight_tables,
)
from recommons.common.models.options import options_from_json, options_to_json
from recommons.common.models.state import check_state
from recommons.common.privacy.mechanism import BlockMechanism

__all__ = ["TwoTowerModel", "TwoTowerSettings"]

Floats = npt.NDArray[np.float64]
Sums = Mapping[str, NoisySum]

BATCH_CELLS = 1 << 15
BATCH_SCORES = 1 << 22
_BLOCK = "update"


@dataclass(frozen=True, kw_only=True, eq=False)
class TwoTowerModel:
    """`FederatedModel` of two towers.

    Attributes:
        catalogue: The public catalogue.
        options: The hyperparameters.
    """

    catalogue: Catalogue
    options: TwoTowerSettings
    _replay: Replay = field(default_factory=Replay, repr=False)

    @property
    def name(self) -> str:
        """``"two-tower"``."""
        return "two-tower"

    @property
    def ordered(self) -> bool:
        """Order and type of events are not read."""
        return False

    def settings(self) -> Mapping[str, Any]:
        """Every hyperparameter as JSON; `TwoTowerModel.from_settings` is the way back."""
        return options_to_json(self.options)

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], catalogue: Catalogue) -> "TwoTowerModel":
        """The very model that a plan's settings describe."""
        return cls(catalogue=catalogue, options=options_from_json(TwoTowerSettings, settings))

    def rounds(self) -> tuple[tuple[BlockRequest, ...], ...]:
        """The warm start's rounds, then one block ``update`` a step."""
        options = self.options
        warm = self._warm.rounds() if options.warm == "als" else self._warm.rounds()[:1]
        total = sum(block.share for blocks in warm for block in blocks)
        scale = options.warm_share / total
        first = tuple(
            tuple(replace(block, share=block.share * scale) for block in blocks) for blocks in warm
        )
        step = BlockRequest(
            name=_BLOCK,
            size=self._update.size,
            clip=options.clip,
            share=(1 - options.warm_share) / options.steps,
        )
        return first + ((step,),) * options.steps

    def sampling(self) -> tuple[float | None, ...]:
        """By round: the rate at which users are drawn, or None where everyone takes part."""
        rate = None if self.options.rate == 1 else self.options.rate
        return (None,) * self._warm_rounds + (rate,) * self.options.steps

    def state_shapes(self, round_index: int) -> Mapping[str, tuple[int, ...]]:
        """Parameters by name, a step's negatives with their corrections, and the rows it moves."""
        if round_index < self._warm_rounds:
            return self._warm.state_shapes(round_index)
        shapes = dict(self._shapes)
        if self._update.rows:
            shapes["rows"] = (self._update.rows,)
        if self._candidates:
            shapes |= dict.fromkeys(("negatives", "corrections"), (self.options.negatives,))
        return shapes

    def public_state(self, done: Sequence[Sums]) -> Arrays:
        """What sites need; see `FederatedModel.public_state`."""
        if len(done) < self._warm_rounds:
            return self._warm.public_state(done)
        state: dict[str, Floats] = dict(self._parameters(done))
        rows = self._rows(done)
        if rows is not None:
            state["rows"] = rows.astype(np.float64)
        if self._candidates:
            drawn = Negatives.draw(
                np.asarray(done[0]["counts"].values),
                self.options.negatives,
                seed=(self.options.seed, len(done)),
            )
            state["negatives"] = drawn.items.astype(np.float64)
            state["corrections"] = drawn.corrections
        return state

    def contribute(
        self,
        round_index: int,
        state: Arrays,
        users: Interactions,
        blocks: tuple[BlockMechanism, ...],
    ) -> Mapping[str, npt.NDArray[np.int64]]:
        """The integer sums over the users that were drawn.

        A step's integers have the block's sensitivity as a sum, not user by user
        (`docs/neural-models.md`). Of more than `most_users` users, which a draw gives with a
        probability below 2^-64, the first are taken.

        Raises:
            InvalidInput: ``site/message``: a state of other shapes, or beyond its bounds.
        """
        check_state(state, self.state_shapes(round_index))
        if round_index < self._warm_rounds:
            return self._warm.contribute(round_index, state, users, blocks)
        (block,) = blocks
        require(self._sound, "towers", self.name, "sound")
        module = self._module(state)
        clip = effective_clip(block, self.error)
        some = users.take(np.arange(min(users.n_users, self.options.most_users)))
        batches = self._batches(some, self._reading(round_index), Negatives.of_state(state))
        sums = clipped_sum(module, batches, clip=clip)
        rows = checked_rows(state["rows"], users.n_items) if self._update.rows else None
        found = {name: tensor.numpy() for name, tensor in sums.items()}
        return {block.name: truncate(self._update.flat(found, rows), block)}

    def release(self, done: Sequence[Sums]) -> ModelRelease:
        """Item vectors for both towers with their content fused in, and all of the warm start's."""
        base = self._base(done)
        towers = fused_arrays(self._shape, self._parameters(done), self._features)
        return ModelRelease(
            model=self.name,
            arrays={**base.arrays, **towers},
            settings={**base.settings, "activation": self.options.activation},
        )

    def _base(self, done: Sequence[Sums]) -> ModelRelease:
        """What the warm start's own sums release: for sites that add their co-occurrence."""
        if self.options.warm == "als":
            return self._warm.release(done[: self._warm_rounds])
        counts = np.asarray(done[0]["counts"].values)
        return counts_release(self.catalogue, counts, self.options.users)

    @cached_property
    def error(self) -> SumError:
        """What rounding may do to a step's sum."""
        rows = np.sqrt((self._features**2).sum(axis=1))
        candidates = self.options.negatives + self.options.most_targets
        return gradient_error(
            self._shape,
            largest_feature=float(rows.max(initial=0.0)) * (1 + 1e-9),
            most_history=self.options.most_items,
            most_candidates=candidates if self._candidates else len(self.catalogue),
            users=self.options.most_users,
        )

    def _parameters(self, done: Sequence[Sums]) -> dict[str, Floats]:
        """Parameters after the steps among `done`."""
        return self._replay.after(
            done,
            warm=self._warm_rounds,
            begin=self._beginning,
            step=partial(self._step, rows=self._rows(done)),
        )

    def _rows(self, done: Sequence[Sums]) -> npt.NDArray[np.int64] | None:
        """Which rows of tables are trained, None for all."""
        counts = np.asarray(done[0]["counts"].values)
        return most_bought(counts, self._update.rows) if self._update.rows else None

    def _beginning(self, done: Sequence[Sums]) -> dict[str, Floats]:
        seed = self.options.seed
        if self.options.warm == "content":
            counts = np.asarray(done[0]["counts"].values)
            return content_tables(self._shape, counts, candidates=self._candidates, seed=seed)
        release = self._base(done)
        return weight_tables(self._shape, release, candidates=self._candidates, seed=seed)

    def _step(
        self,
        parameters: dict[str, Floats],
        sums: Sums,
        moments: Moments,
        rows: npt.NDArray[np.int64] | None,
    ) -> tuple[dict[str, Floats], Moments]:
        options = self.options
        after, moments = stepped(
            ServerOptimiser(
                name=options.optimiser, rate=options.learning_rate, steps=options.steps
            ),
            self._update,
            parameters,
            sums[_BLOCK],
            moments,
            expected=options.rate * options.users,
            rows=rows,
        )
        return self._bounded(after), moments

    def _module(self, state: Arrays) -> torch.nn.Module:
        """The towers of a public state, after its bounds are checked."""
        parameters = {name: np.asarray(state[name]) for name in self._shapes}
        for name, inside in self._bounded(parameters).items():
            if not np.allclose(inside, parameters[name], rtol=1e-8, atol=0):
                raise InvalidInput("site/message", f"public state {name!r} is beyond its bound")
        return self._loaded(parameters)

    def _loaded(self, parameters: Mapping[str, Floats]) -> torch.nn.Module:
        module = self._blank()
        for name, parameter in module.named_parameters():
            parameter.data = torch.from_numpy(np.array(parameters[name], np.float64))
            parameter.requires_grad_(name in self._trained_shapes)
        return module

    def _blank(self) -> torch.nn.Module:
        return blank_towers(self._shape, torch.from_numpy(self._features), self.options.loss)

    def _bounded(self, parameters: Mapping[str, Floats]) -> dict[str, Floats]:
        return bounded(parameters)

    def _batches(
        self, users: Interactions, reading: Reading, negatives: Negatives | None
    ) -> Iterator[Batch]:
        return tower_batches(users, self._features, reading, negatives)

    @cached_property
    def _sound(self) -> bool:
        """True once `check_sound` has tried the towers on made-up users.

        Raises:
            PrivacyError: ``model/unsound-module``.
        """
        draws = np.random.default_rng(0)
        items = len(self.catalogue)
        rows = np.repeat(np.arange(3), [2, 4, 6])
        made_up = Interactions.from_pairs(
            rows, draws.integers(items, size=12), n_users=3, n_items=items
        )
        drawn = Negatives.draw(np.ones(items), self.options.negatives, seed=(0, 0))
        reading = replace(self._reading(0), hide=0.0)
        negatives = drawn if self._candidates else None
        (probe,) = self._batches(made_up, reading, negatives)
        parameters = {
            name: 0.1 * draws.standard_normal(shape) for name, shape in self._shapes.items()
        }
        check_sound(self._loaded(parameters), probe)
        return True

    def _reading(self, round_index: int) -> Reading:
        options = self.options
        cells = len(self.catalogue)
        if self._candidates:
            cells = (options.negatives + options.most_targets) * options.dim
        return Reading(
            most_items=options.most_items,
            most_targets=options.most_targets,
            hide=options.hide,
            batch_cells=BATCH_CELLS,
            batch_users=max(1, BATCH_SCORES // cells),
            seed=options.seed,
            round=round_index,
        )

    @property
    def _candidates(self) -> bool:
        return self.options.loss != "full-softmax"

    @cached_property
    def _warm(self) -> AlsModel:
        """`als`, of which the warm start from content uses the counts alone."""
        options = self.options.als or AlsSettings(dim=1, round_shares=(1.0,))
        return AlsModel(catalogue=self.catalogue, options=options)

    @cached_property
    def _warm_rounds(self) -> int:
        return 1 if self.options.warm == "content" else len(self._warm.rounds())

    @cached_property
    def _features(self) -> Floats:
        """Public features f, mean squared row length 1, shape ``(m, r)``."""
        return tower_features(self.catalogue, self.options.features)

    @cached_property
    def _shape(self) -> TowerShape:
        options = self.options
        return TowerShape(
            items=len(self.catalogue),
            dim=options.dim,
            features=self._features.shape[1],
            hidden=options.hidden,
            fusion=options.fusion,
            fusion_hidden=options.fusion_hidden,
            activation=options.activation,
        )

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return parameter_shapes(self._shape, candidates=self._candidates)

    @cached_property
    def _update(self) -> UpdateShape:
        """What a step's sum holds."""
        rows = self.options.update_items
        return UpdateShape(
            whole=self._trained_shapes, rows=rows if rows < len(self.catalogue) else 0
        )

    @cached_property
    def _trained_shapes(self) -> dict[str, tuple[int, ...]]:
        """Parameters of the update; its coordinates are in this order."""
        if self.options.trained == "all":
            return self._shapes
        return {name: shape for name, shape in self._shapes.items() if name not in TABLES}
