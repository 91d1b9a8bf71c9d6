"""Numbers for reading; a privacy cost is never rounded down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.units import (
    byte_size,
    counted,
    duration,
    epsilon_text,
    factor_text,
    small_text,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_960, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (2_431_411, "2.4 MB"),
        (1e9, "1.0 GB"),
        (5e12, "5000 GB"),
    ],
)
def test_bytes_are_read_in_steps_of_a_thousand(count: float, text: str) -> None:
    assert byte_size(count) == text


def test_one_thing_is_told_in_the_singular() -> None:
    assert [counted(k, "site") for k in (0, 1, 1200)] == ["0 sites", "1 site", "1,200 sites"]
    assert [counted(k, "entry") for k in (1, 2)] == ["1 entry", "2 entries"]
    assert counted(2, "survey") == "2 surveys"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.04, "40 ms"),
        (3.21, "3.2 s"),
        (59.7, "1 min 00 s"),
        (61.2, "1 min 01 s"),
        (7260, "2 h 01 min"),
    ],
)
def test_times_are_read_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("epsilon", "text"),
    [
        (None, "∞"),
        (0.0, "0"),
        (8.0, "8"),
        (8.0 + 1e-12, "8"),
        (8.0001, "8.01"),
        (7.981, "7.99"),
        (0.0123, "0.0123"),
        (12.34, "12.4"),
        (99.95, "100"),
        (1234.5, "1240"),
    ],
)
def test_epsilon_is_rounded_up(epsilon: float | None, text: str) -> None:
    assert epsilon_text(epsilon) == text


@given(st.floats(1e-4, 1e4))
def test_epsilon_as_read_is_never_below_epsilon(epsilon: float) -> None:
    read = float(epsilon_text(epsilon))
    assert epsilon * (1 - 1e-8) <= read <= epsilon * 1.011


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1e-6, "10⁻⁶"),
        (0.000207, "2.07 × 10⁻⁴"),
        (0.0002107, "2.11 × 10⁻⁴"),
        (9.999e-7, "10⁻⁶"),
        (0.05, "0.05"),
    ],
)
def test_small_probabilities_are_powers_of_ten_rounded_up(value: float, text: str) -> None:
    assert small_text(value) == text


@pytest.mark.parametrize(
    ("epsilon", "text"), [(0.5, "1.65"), (1.0, "2.72"), (8.0, "2,981"), (800.0, "10³⁴⁸")]
)
def test_factors_are_read_as_numbers_while_they_can_be_pictured(epsilon: float, text: str) -> None:
    assert factor_text(epsilon) == text
