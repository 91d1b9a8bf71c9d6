"""The coordinator's side of training: parameters after the sums so far, one step a sum."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from recommons.common.models.interface import NoisySum
from recommons.common.models.neural.optimisers import Moments, ServerOptimiser
from recommons.common.models.neural.updates import UpdateShape

__all__ = ["Replay", "stepped"]

Floats = npt.NDArray[np.float64]
Parameters = dict[str, Floats]
Sums = Mapping[str, NoisySum]


@dataclass(eq=False, repr=False)
class Replay:
    """Parameters and optimiser after the sums seen last, so that a round costs one step.

    Recognises sums by identity; any others are replayed from the start.

    Attributes:
        sums: The sums that were seen.
        parameters: θ after them.
        moments: The optimiser's memory after them.
    """

    sums: tuple[Sums, ...] = ()
    parameters: Parameters = field(default_factory=dict)
    moments: Moments = field(default_factory=Moments)

    def after(
        self,
        done: Sequence[Sums],
        *,
        warm: int,
        begin: Callable[[Sequence[Sums]], Parameters],
        step: Callable[[Parameters, Sums, Moments], tuple[Parameters, Moments]],
    ) -> Parameters:
        """The parameters after `done`.

        Args:
            done: The sums of all rounds so far.
            warm: Rounds of the warm start among them.
            begin: From the warm start's sums to the first parameters.
            step: From parameters, a sum and the optimiser's memory to the next ones.
        """
        if not self.sums or not self._covers(done):
            self.parameters, self.moments = begin(done[:warm]), Moments()
            self.sums = tuple(done[:warm])
        for sums in done[len(self.sums) :]:
            self.parameters, self.moments = step(self.parameters, sums, self.moments)
            self.sums = (*self.sums, sums)
        return dict(self.parameters)

    def _covers(self, done: Sequence[Sums]) -> bool:
        """Whether `done` goes on from what was seen."""
        return len(self.sums) <= len(done) and all(
            a is b for a, b in zip(self.sums, done, strict=False)
        )


def stepped(
    optimiser: ServerOptimiser,
    update: UpdateShape,
    parameters: Parameters,
    noisy: NoisySum,
    moments: Moments,
    *,
    expected: float,
    rows: npt.NDArray[np.int64] | None,
) -> tuple[Parameters, Moments]:
    """One step on a noised sum of gradients; parameters that are not trained stay as they are.

    Args:
        optimiser: What steps.
        update: What the sum's coordinates are.
        parameters: θ.
        noisy: The sum.
        moments: The optimiser's memory.
        expected: Users expected in the sum: a public figure, never the realised number.
        rows: Which rows of tables are trained, None for all.
    """
    gradients = update.split(noisy.values / expected)
    trained = update.chosen(parameters, rows)
    after, moments = optimiser.step(trained, gradients, moments, noise=noisy.stddev / expected)
    return update.put_back(parameters, after, rows), moments
