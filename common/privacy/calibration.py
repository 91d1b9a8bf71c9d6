"""From what a model asks for and a target (ε, δ) to the blocks and noise of every round.

Notation: N sites, M least survivors, c colluding, n = M - c counted shares; C clip, S sensitivity,
s noise of one share, B clamp, k ring bits, r spare attempts, μ² the Gaussian budget, q the rate at
which users are drawn.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce

from recommons.common.errors import InvalidInput, PrivacyError
from recommons.common.models.interface import BlockRequest
from recommons.common.privacy.accounting import Totals, epsilon_of, spending_of
from recommons.common.privacy.events import Cohort, GaussianSumRelease, Reading, events_of_round
from recommons.common.privacy.gaussian import check_delta, gaussian_mu
from recommons.common.privacy.mechanism import BlockMechanism, RoundSpec
from recommons.common.privacy.noise_table import MAX_STDDEV
from recommons.common.privacy.quantization import MAX_SENSITIVITY
from recommons.common.privacy.rings import finest, narrowest
from recommons.common.privacy.sampled import rate_of_person
from recommons.common.privacy.smoothing import MIN_STDDEV, kernel_variance
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

_UNNOISED_SENSITIVITY = 2**20
_LEAST_UNNOISED_SENSITIVITY = 2**10
_STDDEV_STEPS = 2**16  # s is a multiple of 1/65536, exactly a float
_USUAL_RINGS = (32, 64)
_SHARE_SLACK = 1e-9
_STEP, _LARGEST_STEP = 1e-9, 0.1
_BELOW = 1 - 1e-11
"""So that another order of adding up floats cannot bring an account above the target."""

_FIRST_POWER, _MOST_TRIES = 1.5, 40
_CLOSE = 1 - 1e-4
"""A plan whose account is further below its target than this is refused instead."""


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
            _unnoised_round(blocks, rate, cohort, largest, ring_bits)
            for blocks, rate in zip(rounds, rates, strict=True)
        )
    check_delta(delta)

    def made(mu: float) -> tuple[RoundSpec, ...]:
        sizing = _Sizing(
            mu=mu, cohort=cohort, largest=largest, target=target_stddev, ring_bits=ring_bits
        )
        return tuple(map(sizing.round_spec, rounds, rates))

    def cost(specs: tuple[RoundSpec, ...]) -> float:
        return epsilon_of(worst_case(specs, cohort, spare_attempts), delta)

    most = _plan_mu(rounds, epsilon, delta, spare_attempts)
    if any(rates):
        specs = _least_noise_sampled(made, cost, epsilon, most)
    else:
        specs = _least_noise(made, lambda specs: cost(specs) <= epsilon * _BELOW, most)
    if specs is None or cost(specs) < epsilon * _CLOSE:
        raise PrivacyError(
            "privacy/epsilon-unreachable",
            f"epsilon is {epsilon} at delta {delta}: "
            "the error of the noise tables times e^ε exceeds δ",
        )
    return specs


def _least_noise(
    made: Callable[[float], tuple[RoundSpec, ...]],
    meets: Callable[[tuple[RoundSpec, ...]], bool],
    most: float,
) -> tuple[RoundSpec, ...] | None:
    """What is made of the largest μ that meets the target, at most `most`: outwards, then halving.

    τ, β and the rounding of s are worth some 1e-9 of μ, so that the first or second μ will do; near
    the largest ε that tables can vouch for, β is worth more. None where a tenth less does not do.
    """
    low, specs, step = most, made(most), _STEP
    high = low
    while not meets(specs):
        if step > _LARGEST_STEP:
            return None
        high, low = low, most * (1 - step)
        specs, step = made(low), step * 8
    while high - low > _STEP * most:
        middle = (low + high) / 2
        tried = made(middle)
        if meets(tried):
            low, specs = middle, tried
        else:
            high = middle
    return specs


def _least_noise_sampled(
    made: Callable[[float], tuple[RoundSpec, ...]],
    cost: Callable[[tuple[RoundSpec, ...]], float],
    epsilon: float,
    start: float,
) -> tuple[RoundSpec, ...] | None:
    """What is made of a μ whose account is between ε·(1 - 1e-4) and ε.

    ε is nearly a power of μ: each try follows the power between the last two, within the bracket.
    None where none is found.
    """
    low, high, mu, power = 0.0, math.inf, start, _FIRST_POWER
    aim = epsilon * (1 + _CLOSE) / 2
    last: tuple[float, float] | None = None
    for _ in range(_MOST_TRIES):
        specs = made(mu)
        found = cost(specs)
        if found > epsilon * _BELOW:
            high = mu
        elif found >= epsilon * _CLOSE:
            return specs
        else:
            low = mu
        if not 0 < found < math.inf:
            mu = (low + high) / 2 if high < math.inf else 2 * mu
            continue
        if last is not None and last[0] != mu and last[1] != found:
            power = math.log(found / last[1]) / math.log(mu / last[0])
            power = min(max(power, 0.5), 4.0)
        last = mu, found
        step = mu * (aim / found) ** (1 / power)
        mu = step if low < step < high else (low + min(high, 4 * mu)) / 2
    return None


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


@dataclass(frozen=True, kw_only=True)
class _Sizing:
    """How blocks are sized once the plan's μ is known."""

    mu: float
    cohort: Cohort
    largest: int
    target: float
    ring_bits: int | None

    def round_spec(self, blocks: Sequence[BlockRequest], rate: float | None) -> RoundSpec:
        """The round in the ring asked for, or in the narrower of the usual ones that holds it."""
        widths = (self.ring_bits,) if self.ring_bits else _USUAL_RINGS
        share = math.fsum(request.share for request in blocks)
        mu = self.round_mu(share, rate) / math.sqrt(share)
        made = [self.block(request, mu * math.sqrt(request.share)) for request in blocks]
        return narrowest(made, self.cohort.sites, widths, sampling=rate)

    def round_mu(self, share: float, rate: float | None) -> float:
        """μ of a round, for a user who takes part."""
        if rate is None:
            return self.mu * math.sqrt(share)
        drawn = rate_of_person(rate, self.cohort.max_sites_per_person)
        return math.sqrt(math.log1p(share * (self.mu / drawn) ** 2))

    def block(self, request: BlockRequest, mu: float) -> BlockMechanism:
        """S from the target width and the ring, then s from S: (p·S)²/(n·s² - t²) = μ²."""
        persons = self.cohort.max_sites_per_person
        shares = self.cohort.min_survivors - self.cohort.colluding
        kernel = kernel_variance(request.size)

        def ideal(stddev: float) -> float:
            return mu * math.sqrt(shares * stddev**2 - kernel) / persons

        def made(sensitivity: int) -> BlockMechanism:
            exact = math.sqrt(((persons * sensitivity / mu) ** 2 + kernel) / shares)
            stddev = math.ceil(exact * _STDDEV_STEPS) / _STDDEV_STEPS
            if not MIN_STDDEV <= stddev <= MAX_STDDEV:
                raise PrivacyError(
                    "privacy/epsilon-unreachable",
                    f"block {request.name!r} needs noise of standard deviation {stddev} grid "
                    f"units; required: {MIN_STDDEV} to {MAX_STDDEV}",
                )
            return _mechanism(request, sensitivity, self.largest, stddev)

        least = min(math.ceil(ideal(MIN_STDDEV)), MAX_SENSITIVITY)
        most = min(max(math.floor(ideal(self.target)), least), MAX_SENSITIVITY)
        if self.ring_bits is None:
            return made(most)
        sites = self.cohort.sites
        return finest(made, least=least, most=most, bits=self.ring_bits, sites=sites)


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


def _unnoised_round(
    blocks: Sequence[BlockRequest],
    rate: float | None,
    cohort: Cohort,
    largest: int,
    ring_bits: int | None,
) -> RoundSpec:
    """ε infinite: a grid of C/2^20 or as fine as the ring permits, integers as they are."""

    def block(request: BlockRequest) -> BlockMechanism:
        most = 1 if math.isinf(request.clip) else _UNNOISED_SENSITIVITY
        if ring_bits is None:
            return _mechanism(request, most, largest, 0.0)
        return finest(
            lambda sensitivity: _mechanism(request, sensitivity, largest, 0.0),
            least=min(most, _LEAST_UNNOISED_SENSITIVITY),
            most=most,
            bits=ring_bits,
            sites=cohort.sites,
        )

    integers = all(math.isinf(request.clip) for request in blocks)
    widths = (ring_bits,) if ring_bits else RING_WIDTHS if integers else _USUAL_RINGS
    made = [block(request) for request in blocks]
    return narrowest(made, cohort.sites, widths, sampling=rate)


def _mechanism(
    request: BlockRequest, sensitivity: int, largest: int, stddev: float
) -> BlockMechanism:
    return BlockMechanism(
        name=request.name,
        size=request.size,
        clip=request.clip,
        sensitivity=sensitivity,
        clamp=largest * math.ceil(Fraction(request.user_peak) * sensitivity),
        noise_stddev=stddev,
    )


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
