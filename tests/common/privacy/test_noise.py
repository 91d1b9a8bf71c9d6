"""The discrete Gaussian: its table against mpmath, its draws against an exact sampler."""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from itertools import accumulate, pairwise

import mpmath
import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from recommons.common.errors import InvalidInput
from recommons.common.privacy.mechanism import BlockMechanism, RoundSpec
from recommons.common.privacy.noise import (
    clamp_and_add_noise,
    fits_ring,
    keystream,
    noise_reach,
    sample,
    table_error,
)
from recommons.common.privacy.noise_table import noise_table

Integers = npt.NDArray[np.int64]

WIDTHS = [0.5, 1.0, 4.5, 30.0]
DRAWS = 400_000


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def probabilities(stddev: float, bits: int = 400) -> dict[int, mpmath.mpf]:
    """P[X = k] of N_Z(0, s²), exponential by exponential, as far as 20 s."""
    with mpmath.workprec(bits):
        reach = math.ceil(20 * stddev) + 1
        twice = 2 * mpmath.mpf(stddev) ** 2
        half = [mpmath.exp(-k * k / twice) for k in range(reach)]
        total = half[0] + 2 * mpmath.fsum(half[1:])
        return {k: half[abs(k)] / total for k in range(1 - reach, reach)}


def chi_square_p(draws: Integers, stddev: float, bins: int = 60) -> float:
    """p-value of the draws under N_Z(0, s²), in bins of roughly equal probability."""
    reach = math.ceil(9 * stddev)
    values = np.arange(-reach, reach + 1)
    weights = np.exp(-(values**2) / (2 * stddev**2))
    cumulative = np.cumsum(weights) / weights.sum()
    # Group values until a bin holds 1/bins of the mass; the tails are bins of their own.
    group = np.minimum((cumulative * bins).astype(int), bins - 1)
    expected = np.bincount(group, weights / weights.sum()) * len(draws)
    place = np.clip(draws, -reach, reach) + reach
    observed = np.bincount(group[place], minlength=len(expected))
    held = expected > 0
    return float(stats.chisquare(observed[held], expected[held]).pvalue)


def variance_z(draws: Integers, stddev: float) -> float:
    """How many standard errors the mean square is from s² (s wide enough that they agree)."""
    squares = draws.astype(float) ** 2
    return float((squares.mean() - stddev**2) / (math.sqrt(2 / len(draws)) * stddev**2))


@pytest.mark.parametrize("stddev", [1.0, 4.5, 30.0, 4096.0])
def test_draws_fit_their_law_and_no_slightly_wider_one(stddev: float) -> None:
    draws = sample(DRAWS, stddev, key(1))
    assert chi_square_p(draws, stddev) > 1e-3
    assert chi_square_p(draws, stddev * 1.02) < 1e-6
    assert chi_square_p(draws + 1, stddev) < 1e-6 or stddev > 100
    assert chi_square_p(np.abs(draws), stddev) < 1e-6


@pytest.mark.parametrize("stddev", [1.0, 4.5, 30.0, 4096.0])
def test_the_variance_is_that_of_the_width_and_of_no_slightly_wider_one(stddev: float) -> None:
    draws = sample(DRAWS, stddev, key(2))
    assert abs(variance_z(draws, stddev)) < 4
    assert variance_z(draws, stddev * 1.02) < -8
    assert abs(draws.mean()) < 4 * stddev / math.sqrt(DRAWS)


@pytest.mark.parametrize("stddev", [*WIDTHS, 300.25])
def test_every_threshold_is_within_two_units_of_mpmath(stddev: float) -> None:
    table = noise_table(stddev)
    exact = probabilities(stddev)
    thresholds = table.thresholds()
    assert thresholds == sorted(thresholds)
    with mpmath.workprec(400):
        below = dict(zip(exact, accumulate(exact.values()), strict=True))
        for rank, threshold in enumerate(thresholds):
            assert abs(threshold - below[table.lowest + rank] * 2**128) < 2


@pytest.mark.parametrize("stddev", WIDTHS)
def test_the_tables_total_variation_error_is_within_its_bound(stddev: float) -> None:
    table = noise_table(stddev)
    exact = probabilities(stddev)
    edges = [0, *table.thresholds(), 2**128]
    drawn = {table.lowest + i: b - a for i, (a, b) in enumerate(pairwise(edges))}
    assert sum(drawn.values()) == 2**128
    with mpmath.workprec(400):
        distance = mpmath.fsum(
            abs(mpmath.mpf(drawn.get(k, 0)) / 2**128 - p) for k, p in exact.items()
        )
        assert 0 < distance / 2 < table_error(stddev)
        assert table_error(stddev) < 1e-30


def test_the_table_is_symmetric() -> None:
    thresholds = noise_table(4.5).thresholds()
    assert [2**128 - t for t in reversed(thresholds)] == thresholds


def exact_sampler(stddev: Fraction, bits: Iterator[int]) -> int:
    """Canonne, Kamath and Steinke (2020), Algorithms 1 to 3, by the letter."""

    def below(count: int) -> int:
        size = count.bit_length()
        while True:
            value = sum(next(bits) << i for i in range(size))
            if value < count:
                return value

    def bernoulli(p: Fraction) -> bool:
        return below(p.denominator) < p.numerator

    def bernoulli_exp(x: Fraction) -> bool:
        while x > 1:
            if not bernoulli_exp(Fraction(1)):
                return False
            x -= 1
        k = 1
        while bernoulli(x / k):
            k += 1
        return k % 2 == 1

    def laplace(t: int) -> int:
        while True:
            u = below(t)
            if not bernoulli_exp(Fraction(u, t)):
                continue
            v = 0
            while bernoulli_exp(Fraction(1)):
                v += 1
            negative, size = bernoulli(Fraction(1, 2)), u + t * v
            if not (negative and size == 0):
                return -size if negative else size

    t = math.floor(stddev) + 1
    while True:
        y = laplace(t)
        if bernoulli_exp((abs(y) - stddev**2 / t) ** 2 / (2 * stddev**2)):
            return y


def bit_source(read: Callable[[int], bytes]) -> Iterator[int]:
    while True:
        for byte in read(4096):
            for place in range(8):
                yield (byte >> place) & 1


def two_sample_p(first: Integers, second: Integers) -> float:
    reach = 8
    tables = [np.bincount(np.clip(x, -reach, reach) + reach) for x in (first, second)]
    size = max(map(len, tables))
    counts = np.array([np.pad(t, (0, size - len(t))) for t in tables])
    return float(stats.chi2_contingency(counts[:, counts.sum(0) > 20]).pvalue)


def test_draws_are_like_those_of_the_exact_rejection_sampler() -> None:
    bits = bit_source(keystream(key(3)))
    exact = np.array([exact_sampler(Fraction(9, 2), bits) for _ in range(6000)])
    assert two_sample_p(sample(60_000, 4.5, key(4)), exact) > 1e-3
    assert two_sample_p(sample(60_000, 5.0, key(4)), exact) < 1e-3


def _next_of(words: Iterator[bytes], _count: int) -> bytes:
    return next(words)


@pytest.mark.parametrize("stddev", [1.0, 4.5, 4096.0])
def test_a_word_equal_to_a_threshold_is_decided_by_the_lower_half(stddev: float) -> None:
    table = noise_table(stddev)
    thresholds = table.thresholds()
    last = len(thresholds) - 1
    outcomes = set()
    for rank in (0, 1, last // 3, last // 2, last - 1, last):
        high, low = divmod(thresholds[rank], 2**64)
        for lower_half in (0, max(low - 1, 0), low, min(low + 1, 2**64 - 1), 2**64 - 1):
            words = iter(word.to_bytes(8, "little") for word in (high, lower_half))
            draw = sample(1, stddev, partial(_next_of, words))
            expected = bisect_right(thresholds, (high << 64) + lower_half)
            assert draw[0] == table.lowest + expected
            outcomes.add(expected)
    assert len(outcomes) >= 10


def test_the_extreme_words_give_the_extreme_values() -> None:
    table = noise_table(30.0)
    lowest = sample(3, 30.0, lambda count: bytes(count))
    highest = sample(3, 30.0, lambda count: b"\xff" * count)
    assert set(lowest.tolist()) <= {table.lowest, table.lowest + 1}
    assert set((-highest).tolist()) <= {table.lowest, table.lowest + 1}
    assert noise_reach(30.0) >= -table.lowest


@pytest.mark.parametrize("stddev", [1.0, 30.0, 4096.0])
def test_inversion_with_the_guide_is_inversion_by_plain_search(stddev: float) -> None:
    table = noise_table(stddev)
    words = np.frombuffer(keystream(key(5))(8 * 50_000), np.dtype("<u8"))
    plain = np.searchsorted(table.high[:-1], words, side="right") + table.lowest
    assert (sample(50_000, stddev, key(5)) == plain).all()


def test_one_key_gives_one_stream_however_many_draws_are_asked_for() -> None:
    long = sample(200_000, 4096.0, key(6))
    assert (sample(10, 4096.0, key(6)) == long[:10]).all()
    assert (sample(65_536, 4096.0, key(6)) == long[:65_536]).all()
    assert (sample(200_000, 4096.0, key(7)) != long).mean() > 0.99


def test_no_noise_is_zeros_and_takes_no_random_bits() -> None:
    def refuse(_count: int) -> bytes:
        raise AssertionError

    assert not sample(5, 0.0, refuse).any()
    assert table_error(0.0) == 0
    assert noise_reach(0.0) == 0


@pytest.mark.parametrize("stddev", [0.49, 65_537.0, math.nan, math.inf, -1.0])
def test_a_width_without_a_table_is_refused(stddev: float) -> None:
    with pytest.raises(InvalidInput, match="stddev"):
        sample(1, stddev, key(1))


def test_a_key_of_the_wrong_size_is_refused_without_showing_it() -> None:
    with pytest.raises(InvalidInput) as caught:
        sample(1, 4.0, b"secret")
    assert "secret" not in caught.value.message


def test_a_source_that_runs_dry_is_refused() -> None:
    with pytest.raises(InvalidInput, match="entropy"):
        sample(4, 4.0, lambda count: bytes(count - 1))


def block(name: str, size: int, clamp: int, stddev: float) -> BlockMechanism:
    return BlockMechanism(
        name=name, size=size, clip=1.0, sensitivity=10, clamp=clamp, noise_stddev=stddev
    )


def test_a_sites_vector_is_its_clamped_sums_plus_noise_block_by_block() -> None:
    spec = RoundSpec(
        ring_bits=32, blocks=(block("b", 3, 100, 4.0), block("a", 2, 7, 0.0), block("c", 4, 5, 9.0))
    )
    sums = {
        "a": np.array([2**62, -(2**63)]),
        "b": np.array([100, 101, -500]),
        "c": np.array([1, -2, 6, -(2**63)]),
    }
    read = keystream(key(8))
    noise = np.concatenate([sample(3, 4.0, read), [0, 0], sample(4, 9.0, read)])
    clamped = np.array([100, 100, -100, 7, -7, 1, -2, 5, -5])
    assert (clamp_and_add_noise(sums, spec, key(8)) == clamped + noise).all()
    assert (clamp_and_add_noise(sums, spec, keystream(key(8))) == clamped + noise).all()
    assert sums["b"].tolist() == [100, 101, -500]


@pytest.mark.parametrize(
    "sums",
    [
        {},
        {"b": np.zeros(3, np.int64), "x": np.zeros(3, np.int64)},
        {"b": np.zeros(4, np.int64)},
        {"b": np.zeros(3)},
        {"b": np.zeros(3, np.int32)},
    ],
)
def test_sums_that_are_not_the_rounds_blocks_are_refused(sums: dict[str, Integers]) -> None:
    spec = RoundSpec(ring_bits=32, blocks=(block("b", 3, 100, 4.0),))
    with pytest.raises(InvalidInput, match="sums"):
        clamp_and_add_noise(sums, spec, key(9))


def test_the_wrap_rule_holds_up_to_its_exact_edge() -> None:
    reach = noise_reach(4.0)
    largest = (2**31 - 1) // 8 - reach  # 8·(B + K) < 2^31

    def fits(clamp: int, bits: int = 32) -> bool:
        return fits_ring(RoundSpec(ring_bits=bits, blocks=(block("b", 1, clamp, 4.0),)), 8)

    assert fits(largest)
    assert not fits(largest + 1)
    assert fits(largest + 1, bits=64)
    assert not fits(2**60, bits=64)


def test_no_sum_within_the_wrap_rule_wraps_round() -> None:
    """Every site at its clamp, every share of noise at its largest."""
    sites, reach = 8, noise_reach(4.0)
    clamp = (2**31 - 1) // sites - reach
    total = sites * (clamp + reach)
    assert (total + 2**31) % 2**32 - 2**31 == total
    assert (-total + 2**31) % 2**32 - 2**31 == -total
