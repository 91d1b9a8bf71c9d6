"""What every federated model provides.

A model is a pure description: what a site computes from its own users given the public state, what
the coordinator does with a noisy sum (free post-processing), and what is released. It never sees
the protocol, the noise generator or the accountant.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from recommons.common.data.interactions import Interactions
from recommons.common.privacy.mechanism import BlockMechanism

__all__ = ["Arrays", "BlockRequest", "FederatedModel", "ModelRelease", "NoisySum", "PublicFigures"]

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class PublicFigures:
    """The public figures on which hyperparameters may depend (and nothing else may).

    Attributes:
        declared_users: Rounded number of users of each site, as declared in advance.
        n_items: Size of the public catalogue.
        epsilon: Target ε of the plan; infinite for none.
    """

    declared_users: Mapping[str, int]
    n_items: int
    epsilon: float

    @property
    def total_users(self) -> int:
        """Declared users of the whole cohort."""
        return sum(self.declared_users.values())


@dataclass(frozen=True, kw_only=True)
class BlockRequest:
    """A block a model wants summed, before calibration turns it into a `BlockMechanism`.

    Attributes:
        name: Unique in its round.
        size: Number of coordinates.
        clip: C, the L2 bound of a user's contribution; infinite only for exact integer
            contributions (`ease` without privacy).
        share: This block's part of the plan's μ² over all rounds; the shares of all blocks of
            all rounds add up to 1. In a round of rate q it is a part of q²·(e^{μ²} − 1), with μ
            what the round costs a user who was drawn: what many such rounds add up to.
        user_peak: Largest absolute value of one coordinate of one user's contribution, in units
            of C (1 where nothing better is known), from which the clamp of a site's sum follows.
    """

    name: str
    size: int
    clip: float
    share: float
    user_peak: float = 1.0


@dataclass(frozen=True, kw_only=True)
class NoisySum:
    """The coordinator's view of one block after one round.

    Attributes:
        values: float64, shape ``(size,)``: the sum over sites, in the model's own units.
        stddev: Standard deviation of the noise in it, in the same units (0 for none).
    """

    values: npt.NDArray[np.float64]
    stddev: float


@dataclass(frozen=True, kw_only=True)
class ModelRelease:
    """What is published at the end: arrays, and settings as JSON.

    Attributes:
        model: The model's name.
        arrays: Named arrays, e.g. ``factors`` (items × dim) and ``counts`` (items,).
        settings: JSON object: what is needed to score with the arrays.
    """

    model: str
    arrays: Arrays
    settings: Mapping[str, Any] = field(default_factory=dict)


class FederatedModel(Protocol):
    """The contract between a model and the rooms that run it."""

    @property
    def name(self) -> str:
        """The name used in plans and on the command line."""
        ...

    @property
    def ordered(self) -> bool:
        """Whether contributions read when events were and of which type (`Interactions.times`)."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """Every hyperparameter, as JSON, for the plan and its hash."""
        ...

    def rounds(self) -> tuple[tuple[BlockRequest, ...], ...]:
        """The blocks of each round, in order."""
        ...

    def sampling(self) -> tuple[float | None, ...]:
        """By round: the rate at which each user is drawn, or None where everybody takes part."""
        ...

    def public_state(self, done: tuple[Mapping[str, NoisySum], ...]) -> Arrays:
        """What sites need for round ``len(done)``, from the sums of the earlier rounds.

        Called by the coordinator alone; float32 or float64 arrays that travel to every site.
        """
        ...

    def state_shapes(self, round_index: int) -> Mapping[str, tuple[int, ...]]:
        """Names and shapes of the arrays, all float64, that `public_state` has for a round.

        Sites refuse anything else before they compute: a state of another shape could move a
        user's contribution beyond its bound, or fail for some users only.
        """
        ...

    def contribute(
        self,
        round_index: int,
        state: Arrays,
        users: Interactions,
        blocks: tuple[BlockMechanism, ...],
    ) -> Mapping[str, npt.NDArray[np.int64]]:
        """The exact integer sum, by block name, over a site's users, or those it has drawn.

        A user's integers depend on that user's record and `state` alone, bit for bit. Each user's
        integer vector in a block has L2 norm at most the block's ``sensitivity``. No error ever
        depends on a user.
        """
        ...

    def release(self, done: tuple[Mapping[str, NoisySum], ...]) -> ModelRelease:
        """The published model, from the sums of all rounds."""
        ...
