"""Shamir's threshold sharing of 32-byte secrets over the prime 2^256 + 297.

Any `threshold` shares give the secret, fewer say nothing about it (Shamir 1979). The prime is the
least above 2^256, so every 32-byte string is a field element. Shares say nothing about whether
their dealer was honest: that is what the protocol's commitments are for.

Not constant-time: Python's integers are used. The protocol shares fresh secrets once per context.
"""

from collections.abc import Sequence

from recommons.common.errors import InvalidInput

__all__ = ["COEFFICIENT_BYTES", "PRIME", "SHARE_BYTES", "combine", "lagrange_weights", "split"]

PRIME = (1 << 256) + 297
SHARE_BYTES = 33
# 384 bits reduced modulo the prime are within 2^-127 of uniform.
COEFFICIENT_BYTES = 48


def split(
    secret: bytes, *, threshold: int, points: Sequence[int], randomness: bytes
) -> tuple[int, ...]:
    """The values at `points` of a random polynomial whose value at zero is the secret.

    Args:
        secret: 32 bytes, read big-endian.
        threshold: How many shares determine the secret, at least 1.
        points: Distinct, from 1 on; at least `threshold` of them.
        randomness: ``(threshold - 1) * COEFFICIENT_BYTES`` uniform bytes, used for nothing else.

    Raises:
        InvalidInput: An argument outside these bounds.
    """
    if len(secret) != 32:
        raise InvalidInput("input/argument", f"secret of {len(secret)} bytes; required: 32")
    if not 1 <= threshold <= len(points) or len(set(points)) != len(points):
        raise InvalidInput(
            "input/argument", f"threshold {threshold} does not fit {len(points)} distinct points"
        )
    if not all(0 < point < PRIME for point in points):
        raise InvalidInput("input/argument", "every point must be positive and below the prime")
    if len(randomness) != (threshold - 1) * COEFFICIENT_BYTES:
        raise InvalidInput("input/argument", f"randomness of {len(randomness)} bytes does not fit")
    coefficients = [
        int.from_bytes(randomness[start : start + COEFFICIENT_BYTES], "big") % PRIME
        for start in range(0, len(randomness), COEFFICIENT_BYTES)
    ]
    coefficients.append(int.from_bytes(secret, "big"))
    return tuple(_evaluate(coefficients, point) for point in points)


def _evaluate(coefficients: Sequence[int], point: int) -> int:
    """Horner's rule; the highest coefficient comes first."""
    value = 0
    for coefficient in coefficients:
        value = (value * point + coefficient) % PRIME
    return value


def lagrange_weights(points: Sequence[int]) -> tuple[int, ...]:
    """The weights by which values at `points` give the value at zero.

    Quadratic in the number of points, with one inversion for all (Montgomery's trick); compute
    them once for a set of responders and use them for every secret.

    Raises:
        InvalidInput: The points are not distinct and positive.
    """
    if len(set(points)) != len(points) or not all(0 < point < PRIME for point in points):
        raise InvalidInput("input/argument", "points must be distinct and positive")
    numerator = 1
    denominators = []
    for i, point in enumerate(points):
        numerator = numerator * point % PRIME
        denominator = point
        for j, other in enumerate(points):
            if i != j:
                denominator = denominator * (other - point) % PRIME
        denominators.append(denominator)
    return tuple(numerator * inverse % PRIME for inverse in _inverses(denominators))


def _inverses(values: Sequence[int]) -> list[int]:
    products = [1]
    for value in values:
        products.append(products[-1] * value % PRIME)
    inverse = pow(products[-1], -1, PRIME)
    inverses = [0] * len(values)
    for i in range(len(values) - 1, -1, -1):
        inverses[i] = inverse * products[i] % PRIME
        inverse = inverse * values[i] % PRIME
    return inverses


def combine(weights: Sequence[int], shares: Sequence[int]) -> bytes | None:
    """The secret, or None where the value is no 32-byte string (the dealer cheated).

    Args:
        weights: `lagrange_weights` of the shares' points.
        shares: The shares in the same order.
    """
    value = sum(w * s for w, s in zip(weights, shares, strict=True)) % PRIME
    return value.to_bytes(32, "big") if value < 1 << 256 else None
