"""What the coordinator tells whoever watches a run: one event at every step of every attempt."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from recommons.common.errors import InvalidInput

__all__ = ["STEPS", "RoundProgress"]

STEPS: Mapping[str, str] = MappingProxyType(
    {
        "advertise": "sites announce fresh keys",
        "keys": "every site checks every key",
        "shares": "sites share the secrets of their masks",
        "inbox": "the shares are delivered",
        "masked": "sites train, add noise and mask",
        "survivors": "the set of survivors is proposed",
        "sign": "sites sign the set of survivors",
        "certificate": "every site checks the signatures",
        "reveal": "the masks are lifted from the sum",
        "sum": "the coordinator adds up",
        "release": "the sum is released",
        "evaluate": "sites evaluate on their own users",
    }
)
"""The steps of a round in their order, in words: the nine messages, then the use of the sum."""


@dataclass(frozen=True, kw_only=True)
class RoundProgress:
    """Where a run stands. It holds nothing that the coordinator could not publish.

    Attributes:
        round: Number of the round, from 1.
        rounds: Number of rounds the plan has.
        attempt: Number of the attempt at this round, from 1.
        step: The step that has just begun, one of `STEPS`.
        sites_in: Sites that answered every step of this attempt so far.
        sites_total: Sites of the cohort.
        dropped: Names of the sites lost in this attempt so far.
        bytes_up: Bytes the coordinator received from all sites since the run was taken up.
        bytes_down: Bytes it sent to all sites since the run was taken up.
        epsilon_spent: ε of everything released so far; None where no privacy is claimed.
        epsilon_target: ε the plan may spend; None where no privacy is claimed.
        by_site: Bytes received from each site (``up``) and sent to it (``down``) since then.
        elapsed: Seconds since the run was taken up.
        refusals: Sites that declined, each as ``site: code``, since the run was taken up.
        message: What happened, if this is more than the next step, e.g. the code of an abort.

    Raises:
        InvalidInput: `step` is not a step.
    """

    round: int
    rounds: int
    attempt: int
    step: str
    sites_in: int
    sites_total: int
    dropped: tuple[str, ...]
    bytes_up: int
    bytes_down: int
    epsilon_spent: float | None
    epsilon_target: float | None
    by_site: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    elapsed: float = 0.0
    refusals: tuple[str, ...] = ()
    message: str = ""

    def __post_init__(self) -> None:
        if self.step not in STEPS:
            raise InvalidInput(
                "input/argument", f"step is {self.step!r}; required: one of {', '.join(STEPS)}"
            )
