"""The search for a plan's μ: the largest with which its account stays within the target ε."""

import math
from collections.abc import Callable

from recommons.common.privacy.mechanism import RoundSpec

__all__ = ["BELOW", "CLOSE", "least_noise", "least_noise_sampled"]

BELOW = 1 - 1e-11
"""So that another order of adding up floats cannot bring an account above the target."""

CLOSE = 1 - 1e-4
"""A plan whose account is further below its target than this is refused instead."""

_STEP, _LARGEST_STEP = 1e-9, 0.1
_FIRST_POWER, _MOST_TRIES = 1.5, 40


def least_noise(
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


def least_noise_sampled(
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
    aim = epsilon * (1 + CLOSE) / 2
    last: tuple[float, float] | None = None
    for _ in range(_MOST_TRIES):
        specs = made(mu)
        found = cost(specs)
        if found > epsilon * BELOW:
            high = mu
        elif found >= epsilon * CLOSE:
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
