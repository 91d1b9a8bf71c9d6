"""A norm one unit in the last place larger changes integers here: nothing may move it."""

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from recommons.common.privacy.quantization import quantize

Row = npt.NDArray[np.float64]


def convergents(number: Fraction) -> Iterator[tuple[int, int]]:
    """The best rational approximations S/k of a number (continued fractions)."""
    before, last = (0, 1), (1, 0)
    while True:
        whole = number.numerator // number.denominator
        before, last = last, (before[0] + whole * last[0], before[1] + whole * last[1])
        yield last
        number -= whole
        if not number:
            return
        number = 1 / number


def neighbours(number: float) -> tuple[float, float, float]:
    return math.nextafter(number, 0), number, math.nextafter(number, math.inf)


def edges(row: Row) -> Iterator[int]:
    """Bounds S with which S/‖row‖ lies so near to an integer that one last place decides."""
    norm = math.sqrt(math.fsum(v * v for v in row.tolist()))
    for near in neighbours(norm):
        for bound, _ in convergents(Fraction(near)):
            if 2**20 < bound < 2**31 and len({int(bound / n) for n in neighbours(norm)}) > 1:
                yield bound


def test_not_even_the_last_place_of_a_norm_depends_on_the_company() -> None:
    rng = np.random.default_rng(3)
    tried = 0
    for _ in range(100):
        row = rng.standard_normal(17)
        row /= np.abs(row).max()
        for bound in edges(row):
            alone = quantize(100 * row[None], clip=1.0, sensitivity=bound)
            company = np.stack([100 * row, -row, 100 * row])
            together = quantize(company, clip=1.0, sensitivity=bound)
            assert np.array_equal(alone[0], together[0])
            assert np.array_equal(alone[0], together[2])
            tried += 1
    assert tried > 100
