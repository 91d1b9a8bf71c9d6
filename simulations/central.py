"""Training with all users at one place: the sums and the noise of a federation, no protocol.

For choosing what a plan should ask for, on public or made-up data, or on validation users. Draws
and noise are fresh every time, of the very distribution that the sites' would have.
"""

import math
import secrets
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from recommons.common.data.interactions import Interactions
from recommons.common.models.interface import FederatedModel, NoisySum
from recommons.common.privacy.calibration import calibrate
from recommons.common.privacy.events import Cohort
from recommons.common.privacy.mechanism import BlockMechanism, RoundSpec
from recommons.common.privacy.noise import keystream, sample
from recommons.common.privacy.sampling import draw_users

__all__ = ["Listener", "Sums", "central_specs", "train_centrally"]

Sums = Mapping[str, NoisySum]
Listener = Callable[[tuple[Sums, ...]], None]


def central_specs(
    model: FederatedModel, cohort: Cohort, users: int, *, epsilon: float, delta: float
) -> tuple[RoundSpec, ...]:
    """The mechanism of every round, as a plan of so many sites would pin it.

    Args:
        model: The model.
        cohort: N, M and c.
        users: Declared users of the whole cohort, in sites of one size.
        epsilon: Target ε; infinite for no noise.
        delta: δ.

    Raises:
        PrivacyError: No noise grants the wish.
    """
    each = -(-users // cohort.sites)
    return calibrate(
        model.rounds(),
        epsilon=epsilon,
        delta=delta,
        cohort=cohort,
        declared_users={f"site-{number}": each for number in range(cohort.sites)},
        sampling=model.sampling(),
    )


def train_centrally(
    model: FederatedModel,
    users: Interactions,
    specs: Sequence[RoundSpec],
    *,
    sites: int,
    listen: Listener = lambda _done: None,
) -> tuple[Sums, ...]:
    """All rounds.

    Args:
        model: The model, prepared for all users at one site.
        users: All training users.
        specs: From `central_specs`.
        sites: Shares of noise in a sum.
        listen: Called with the sums so far after every round.
    """
    done: tuple[Sums, ...] = ()
    for number, spec in enumerate(specs):
        drawn = draw_users(users.n_users, spec.sampling or 1.0, secrets.token_bytes(32))
        state = model.public_state(done)
        sums = model.contribute(number, state, users.take(np.flatnonzero(drawn)), spec.blocks)
        done = (
            *done,
            {block.name: _noised(sums[block.name], block, sites) for block in spec.blocks},
        )
        listen(done)
    return done


def _noised(values: npt.NDArray[np.int64], block: BlockMechanism, sites: int) -> NoisySum:
    width = math.sqrt(sites) * block.noise_stddev
    total = (
        values + sample(block.size, width, keystream(secrets.token_bytes(32))) if width else values
    )
    return NoisySum(values=np.asarray(total * block.grid, np.float64), stddev=width * block.grid)
