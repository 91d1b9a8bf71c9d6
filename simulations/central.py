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
    scale: float = 1.0,
    listen: Listener = lambda _done: None,
) -> tuple[Sums, ...]:
    """All rounds.

    Args:
        model: The model, prepared for all users at one site.
        users: All training users.
        specs: From `central_specs`.
        sites: Shares of noise in a sum.
        scale: Of the noise's standard deviation: trained users / declared users, where fewer train
            than were declared and signal to noise shall be theirs.
        listen: Called with the sums so far after every round.
    """
    done: tuple[Sums, ...] = ()
    for number, spec in enumerate(specs):
        drawn = draw_users(users.n_users, spec.sampling or 1.0, secrets.token_bytes(32))
        state = model.public_state(done)
        sums = model.contribute(number, state, users.take(np.flatnonzero(drawn)), spec.blocks)
        done = (
            *done,
            {block.name: _noised(sums[block.name], block, sites, scale) for block in spec.blocks},
        )
        listen(done)
    return done


def _noised(
    values: npt.NDArray[np.int64], block: BlockMechanism, sites: int, scale: float
) -> NoisySum:
    width = math.sqrt(sites) * block.noise_stddev
    total = values.astype(np.float64)
    if width:
        total += scale * sample(block.size, width, keystream(secrets.token_bytes(32)))
    return NoisySum(values=total * block.grid, stddev=scale * width * block.grid)
