"""From what a model asks for and a target (ε, δ) to the blocks and noise of every round.

Notation: N sites, M least survivors, c colluding, n = M - c counted shares; C clip, S sensitivity,
s noise of one share, B clamp, k ring bits, r spare attempts, μ² the Gaussian budget, q the rate at
which users are drawn.
"""

import math
from collections.abc import Mapping, Sequence
from functools import reduce

from recommons.common.errors import InvalidInput, PrivacyError
from recommons.common.models.interface import BlockRequest
from recommons.common.privacy.accounting import Totals, epsilon_of, spending_of
from recommons.common.privacy.events import Cohort, GaussianSumRelease, Reading, events_of_round
from recommons.common.privacy.gaussian import check_delta, gaussian_mu
from recommons.common.privacy.least_noise import BELOW, CLOSE, least_noise, least_noise_sampled
from recommons.common.privacy.mechanism import RoundSpec
from recommons.common.privacy.noise_table import MAX_STDDEV
from recommons.common.privacy.sizing import Sizing, unnoised_round
from recommons.common.privacy.smoothing import MIN_STDDEV
from recommons.common.privacy.spending import Spending
from recommons.common.secagg.ring import RING_WIDTHS

__all__ = [
    "TARGET_STDDEV",
    "calibrate",
    "default_delta",
    "noise_price",
    "reserved_events",
    "worst_case",
]

Rounds = Sequence[Sequence[BlockRequest]]
Rates = Sequence[float | None]

TARGET_STDDEV = 4096.0
"""s aimed at. A coarser grid costs accuracy (truncation loses half a grid unit a user and
coordinate, to be seen beside √n·s units of noise), a finer one larger tables of noise."""

_SHARE_SLACK = 1e-9


def default_delta(declared_total: int) -> float:
    """min(10^-6, 1/(10·declared users)): from rounded, declared numbers alone.

    Raises:
        InvalidInput: The number is not positive.
    """
    if declared_total < 1:
        raise InvalidInput(
            "input/argument", f"declared_total is {declared_total}; required: at least 1"
        )
    return min(1e-6, 1 / (10 * declared_total))


def noise_price(cohort: Cohort) -> float:
    """√(N/(M - c)): the noise of a full sum against that with all counted on as honest."""
    return math.sqrt(cohort.sites / (cohort.min_survivors - cohort.colluding))


def calibrate(
    rounds: Rounds,
    *,
    epsilon: float,
    delta: float,
    cohort: Cohort,
    declared_users: Mapping[str, int],
    sampling: Rates | None = None,
    spare_attempts: int = 0,
    target_stddev: float = TARGET_STDDEV,
    ring_bits: int | None = None,
) -> tuple[RoundSpec, ...]:
    """The least noise with which all rounds and spare attempts together stay within (ε, δ).

    One number is sought, μ of the plan: a round in which everybody takes part costs its share of
    μ², one of rate q costs a user who was drawn μ_q with q²·(e^{μ_q²} − 1) its share of μ² (what
    many such rounds tend to: Dong, Roth and Su 2022, section 5). The account is exact either way.

    The account of `worst_case` is at most ε, after every rounding, and at least ε·(1 - 1e-4). S is
    the largest integer for which s is at most `target_stddev`, or the least for which it is at
    least 4. The ring has 32 bits where the wrap rule (`fits_ring`) then holds, else 64; a round of
    integers without noise takes the narrowest that holds it. In a ring that is asked for, S is
    the largest that fits it, down to the s of 4 (without noise down to S = 2^10): the same noise
    on a coarser grid, which truncates users' coordinates to larger steps.

    Args:
        rounds: The blocks of each round, whose shares of μ² add up to 1.
        epsilon: Target ε; infinity for no noise (S = 2^20, or 1 where contributions are integers).
        delta: δ, strictly between 0 and 1; not used where ε is infinite.
        cohort: N, M, c and the sites a person may be at.
        declared_users: Rounded number of users by site, of the cohort's sites; the largest fixes
            the clamp B = declared users times ⌈S·user_peak⌉.
        sampling: By round, the rate at which users are drawn, or None where everybody takes part;
            None for everybody in all.
        spare_attempts: r, attempts beyond one a round that the whole run may make; each is taken
            to cost as much as the costliest round.
        target_stddev: s aimed at, 4 to 65536.
        ring_bits: k of every round, a multiple of 8 up to 64; None for the choice above.

    Returns:
        One specification a round.

    Raises:
        InvalidInput: An argument is not as required; the message names it.
        PrivacyError: ``privacy/epsilon-unreachable`` or ``privacy/ring-too-small``.
    """
    _validate(rounds, epsilon, cohort, declared_users, spare_attempts, target_stddev)
    rates: Rates = (None,) * len(rounds) if sampling is None else sampling
    _require(len(rates) == len(rounds), "sampling", rates, f"one rate a round, {len(rounds)}")
    _require(ring_bits in (None, *RING_WIDTHS), "ring_bits", ring_bits, "8, 16, … or 64")
    largest = max(declared_users.values())
    if math.isinf(epsilon):
        return tuple(
            unnoised_round(blocks, rate, cohort, largest, ring_bits)
            for blocks, rate in zip(rounds, rates, strict=True)
        )
    check_delta(delta)

    def made(mu: float) -> tuple[RoundSpec, ...]:
        sizing = Sizing(
            mu=mu, cohort=cohort, largest=largest, target=target_stddev, ring_bits=ring_bits
        )
        return tuple(map(sizing.round_spec, rounds, rates))

    def cost(specs: tuple[RoundSpec, ...]) -> float:
        return epsilon_of(worst_case(specs, cohort, spare_attempts), delta)

    most = _plan_mu(rounds, epsilon, delta, spare_attempts)
    if any(rates):
        specs = least_noise_sampled(made, cost, epsilon, most)
    else:
        specs = least_noise(made, lambda specs: cost(specs) <= epsilon * BELOW, most)
    if specs is None or cost(specs) < epsilon * CLOSE:
        raise PrivacyError(
            "privacy/epsilon-unreachable",
            f"epsilon is {epsilon} at delta {delta}: "
            "the error of the noise tables times e^ε exceeds δ",
        )
    return specs


def worst_case(
    specs: Sequence[RoundSpec],
    cohort: Cohort,
    spare_attempts: int,
    reading: Reading = Reading.PLANNED,
) -> Spending:
    """What every round once, and the spare attempts wherever they cost most, cost together."""
    costs = [
        spending_of(events_of_round(spec, cohort, round_index=index), reading)
        for index, spec in enumerate(specs)
    ]
    costliest = reduce(Spending.at_least, costs, Spending())
    return Spending.total([*costs, costliest.times(spare_attempts)])


def reserved_events(
    specs: Sequence[RoundSpec], cohort: Cohort, spare_attempts: int
) -> tuple[GaussianSumRelease, ...]:
    """Events of the costliest run of the plan: each round, and r more of the one of largest μ².

    For a round of rate q, q²·(e^{μ²} - 1) takes the place of μ².
    """
    planned = [events_of_round(spec, cohort, round_index=index) for index, spec in enumerate(specs)]
    costs = [_tending_to(Totals.of(spending_of(events))) for events in planned]
    costliest = max(range(len(specs)), key=costs.__getitem__)
    spare = [
        events_of_round(specs[costliest], cohort, round_index=costliest, attempt=attempt)
        for attempt in range(1, spare_attempts + 1)
    ]
    return tuple(event for events in (*planned, *spare) for event in events)


def _tending_to(totals: Totals) -> float:
    """μ² of the Gaussian release that many rounds of such a cost each add to."""
    drawn = [(rate**2 * math.expm1(min(mu**2, 700.0)), n) for (rate, mu), n in totals.sampled]
    return totals.mu**2 + sum(each * count for each, count in drawn)


def _plan_mu(rounds: Rounds, epsilon: float, delta: float, spare_attempts: int) -> float:
    """μ of the plan without spare attempts, such that with them it comes to (ε, δ)."""
    available = gaussian_mu(epsilon, delta)
    if available == 0:
        raise PrivacyError(
            "privacy/epsilon-unreachable",
            f"epsilon is {epsilon} at delta {delta}; required: an ε that some noise can give",
        )
    costliest = max(sum(request.share for request in blocks) for blocks in rounds)
    return available / math.sqrt(1 + spare_attempts * costliest)


def _validate(
    rounds: Rounds,
    epsilon: float,
    cohort: Cohort,
    declared_users: Mapping[str, int],
    spare_attempts: int,
    target_stddev: float,
) -> None:
    _require(epsilon > 0, "epsilon", epsilon, "a positive number, or infinity for no noise")
    _require(spare_attempts >= 0, "spare_attempts", spare_attempts, "zero or more")
    _require(
        MIN_STDDEV <= target_stddev <= MAX_STDDEV,
        "target_stddev",
        target_stddev,
        f"{MIN_STDDEV} to {MAX_STDDEV}",
    )
    _require(
        len(declared_users) == cohort.sites,
        "declared_users",
        f"of {len(declared_users)} sites",
        f"one number for each of the cohort's {cohort.sites} sites",
    )
    for site, users in declared_users.items():
        _require(users >= 1, f"declared_users[{site!r}]", users, "at least 1")
    _require(len(rounds) > 0 and all(len(r) > 0 for r in rounds), "rounds", "empty", "a block each")
    for blocks in rounds:
        names = [request.name for request in blocks]
        _require(len(set(names)) == len(names), "block names", names, "no two alike in a round")
        for request in blocks:
            _validate_request(request, epsilon)
    total = math.fsum(request.share for blocks in rounds for request in blocks)
    _require(
        math.isinf(epsilon) or abs(total - 1) <= _SHARE_SLACK,
        "the sum of all blocks' shares",
        total,
        "1",
    )


def _validate_request(request: BlockRequest, epsilon: float) -> None:
    of_block = f"of block {request.name!r}"
    _require(request.size >= 1, f"size {of_block}", request.size, "at least 1")
    _require(
        0 < request.user_peak < math.inf,
        f"user_peak {of_block}",
        request.user_peak,
        "a positive, finite number",
    )
    _require(
        request.clip > 0 and (math.isinf(epsilon) or request.clip < math.inf),
        f"clip {of_block}",
        request.clip,
        "positive, and finite where ε is finite",
    )
    _require(
        math.isinf(epsilon) or request.share > 0, f"share {of_block}", request.share, "positive"
    )


def _require(holds: bool, name: str, value: object, requirement: str) -> None:
    if not holds:
        raise InvalidInput("input/argument", f"{name} is {value}; required: {requirement}")
