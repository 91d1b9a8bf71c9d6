"""What a plan will cost, before anything runs: ε by release, and the price of each caution.

Everything follows from the plan file alone, by the accountant and the calibration that the run
itself uses. Notation: N sites, M least survivors, c colluding, r spare attempts.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from recommons.common.errors import InvalidInput, PrivacyError
from recommons.common.privacy.accounting import (
    account,
    cost_of,
    epsilon,
    epsilon_of,
)
from recommons.common.privacy.calibration import noise_price, worst_case
from recommons.common.privacy.events import (
    GaussianSumRelease,
    Reading,
    events_of_round,
)
from recommons.common.privacy.mechanism import RoundSpec
from recommons.common.secagg.parameters import least_survivors
from recommons.server.planning.plan_file import PlannedRun
from recommons.server.planning.wish import Wish, noise_cohort, specs_for

__all__ = ["Budget", "Change", "Readings", "ReleaseCost", "plan_budget"]

_MOST_SPARE = 3
_MOST_SURVIVOR_ROWS = 6


@dataclass(frozen=True, kw_only=True)
class Readings:
    """ε of the same releases, counting on different shares of noise; infinite for none.

    Attributes:
        planned: On the shares of M - c sites: the guarantee.
        all_honest: On those of all N sites, present and honest.
        own_share: On one site's own, should secure aggregation be broken.
    """

    planned: float
    all_honest: float
    own_share: float

    @classmethod
    def of(cls, epsilon_in: Callable[[Reading], float]) -> "Readings":
        """What a function gives for each reading."""
        return cls(
            planned=epsilon_in(Reading.PLANNED),
            all_honest=epsilon_in(Reading.ALL_HONEST),
            own_share=epsilon_in(Reading.OWN_SHARE),
        )

    @classmethod
    def of_events(cls, events: Sequence[GaussianSumRelease], delta: float) -> "Readings":
        """ε at δ in each reading."""
        return cls.of(lambda reading: epsilon(events, delta, reading))


@dataclass(frozen=True, kw_only=True)
class ReleaseCost:
    """One block of one round.

    Attributes:
        round: Index of the round, from 0.
        block: The block's name.
        size: Number of coordinates.
        noise: Standard deviation of the noise in a full sum, in units of the clip: a user's whole
            part of the block has at most norm 1.
        mu: μ as planned, of someone who was drawn where users are; infinite without noise.
        alone: ε of this release by itself, as planned.
        so_far: ε of everything released up to and with it.
    """

    round: int
    block: str
    size: int
    noise: float
    mu: float
    alone: float
    so_far: Readings


@dataclass(frozen=True, kw_only=True)
class Change:
    """The same wish with one number changed, and what that costs.

    Attributes:
        what: ``colluding``, ``min_survivors`` or ``spare_attempts``.
        colluding: c.
        min_survivors: M: the plan's, or the least permitted where that is more.
        spare_attempts: r.
        current: Whether this is the plan as it stands.
        noise: Noise in a full sum at the plan's ε, as a multiple of the plan's; infinite where no
            noise gives that ε.
        epsilon: ε reserved with the plan's noise as it is.
    """

    what: str
    colluding: int
    min_survivors: int
    spare_attempts: int
    current: bool
    noise: float
    epsilon: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Budget:
    """What a plan will cost.

    Attributes:
        run: What was asked for.
        specs: The mechanism of every round.
        accountant: Name of the accountant of the headline; ``"none"`` without noise.
        releases: Each release, in order.
        released: ε if every round is opened at its first attempt.
        reserved: ε if all spare attempts are used where they cost most: what sites set aside.
        noise_price: √(N/(M - c)).
        least_survivors: The least M that the cohort permits with this c.
        upload_bytes: Masked bytes that a site sends, all rounds once.
        changes: What c, M and spare attempts cost; empty without noise.
    """

    run: PlannedRun
    specs: tuple[RoundSpec, ...]
    accountant: str
    releases: tuple[ReleaseCost, ...]
    released: Readings
    reserved: Readings
    noise_price: float
    least_survivors: int
    upload_bytes: int
    changes: tuple[Change, ...]


def plan_budget(run: PlannedRun) -> Budget:
    """Calibrate the plan and account for it, without data.

    Raises:
        InvalidInput: An argument is not admissible.
        PrivacyError: No noise grants the wish.
    """
    wish, sites = run.wish, len(run.declared_users)
    specs = specs_for(run.model, run.declared_users, wish)
    cohort = noise_cohort(wish, sites)
    rounds = [events_of_round(spec, cohort, round_index=index) for index, spec in enumerate(specs)]
    events = [event for released in rounds for event in released]
    private = math.isfinite(wish.epsilon)
    return Budget(
        run=run,
        specs=specs,
        accountant=account(events, wish.delta).accountant if private else "none",
        releases=tuple(_releases(events, specs, wish, sites)),
        released=Readings.of_events(events, wish.delta),
        reserved=Readings.of(
            lambda reading: epsilon_of(
                worst_case(specs, cohort, wish.spare_attempts, reading), wish.delta
            )
        ),
        noise_price=noise_price(cohort),
        least_survivors=least_survivors(sites, wish.colluding),
        upload_bytes=sum(spec.size * spec.ring_bits // 8 for spec in specs),
        changes=tuple(_changes(run, specs)) if private else (),
    )


def _releases(
    events: list[GaussianSumRelease], specs: tuple[RoundSpec, ...], wish: Wish, sites: int
) -> Iterator[ReleaseCost]:
    blocks = [block for spec in specs for block in spec.blocks]
    for place, (event, block) in enumerate(zip(events, blocks, strict=True)):
        width = math.sqrt(sites) * block.noise_stddev * block.grid
        yield ReleaseCost(
            round=event.round,
            block=event.block,
            size=event.size,
            noise=width / block.clip if math.isfinite(block.clip) else 0.0,
            mu=math.sqrt(cost_of(event).mu_squared),
            alone=epsilon([event], wish.delta),
            so_far=Readings.of_events(events[: place + 1], wish.delta),
        )


def _changes(run: PlannedRun, specs: tuple[RoundSpec, ...]) -> Iterator[Change]:
    """With c up to two more, M from all sites down to the least, and 0 to 3 spare attempts."""
    wish, sites = run.wish, len(run.declared_users)
    for colluding in range(min(wish.colluding + 2, sites - 2) + 1):
        least = least_survivors(sites, colluding)
        yield _change(
            run,
            specs,
            "colluding",
            replace(wish, colluding=colluding, min_survivors=max(wish.min_survivors, least)),
        )
    for survivors in _survivors(wish.min_survivors, least_survivors(sites, wish.colluding), sites):
        yield _change(run, specs, "min_survivors", replace(wish, min_survivors=survivors))
    for spare in sorted({*range(_MOST_SPARE + 1), wish.spare_attempts}):
        yield _change(run, specs, "spare_attempts", replace(wish, spare_attempts=spare))


def _survivors(planned: int, least: int, sites: int) -> list[int]:
    """All sites, the planned M and the least permitted, and some between; descending."""
    span = sites - least
    steps = min(span, _MOST_SURVIVOR_ROWS - 1)
    between = (
        {sites - round(span * step / steps) for step in range(steps + 1)} if steps else {sites}
    )
    return sorted(between | {planned}, reverse=True)


def _change(run: PlannedRun, specs: tuple[RoundSpec, ...], what: str, wish: Wish) -> Change:
    sites = len(run.declared_users)
    worst = worst_case(specs, noise_cohort(wish, sites), wish.spare_attempts)
    return Change(
        what=what,
        colluding=wish.colluding,
        min_survivors=wish.min_survivors,
        spare_attempts=wish.spare_attempts,
        current=wish == run.wish,
        noise=_noise_ratio(run, specs, wish),
        epsilon=epsilon_of(worst, wish.delta),
    )


def _noise_ratio(run: PlannedRun, specs: tuple[RoundSpec, ...], wish: Wish) -> float:
    """Noise of a full sum under another wish, over the plan's; alike in every block."""
    if wish == run.wish:
        return 1.0
    try:
        other = specs_for(run.model, run.declared_users, wish)
    except (PrivacyError, InvalidInput):
        return math.inf
    ours, theirs = specs[0].blocks[0], other[0].blocks[0]
    return (theirs.noise_stddev * theirs.grid) / (ours.noise_stddev * ours.grid)
