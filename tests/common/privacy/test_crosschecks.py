"""What counts as a disagreement between accountants, and that a wrong figure is one."""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import pytest

from recommons.common.privacy.accounting import epsilon
from recommons.common.privacy.crosschecks import (
    TIGHT,
    TOLERANCE,
    contradicts_exact,
    cross_checks,
    disagreements,
)
from recommons.common.privacy.events import GaussianSumRelease
from recommons.common.privacy.gaussian import gaussian_mu


def releases(target: float, delta: float) -> list[GaussianSumRelease]:
    """Five blocks of unequal parts that come to about the target."""
    mu = gaussian_mu(target, delta)
    return [
        GaussianSumRelease(
            round=0,
            attempt=0,
            block=str(part),
            size=1000,
            clip=1.0,
            sensitivity=max(1, round(65_000 * math.sqrt(5 * part) * mu)),
            noise_stddev=65_000.0,
            cohort=8,
            min_survivors=6,
            colluding=1,
            ring_bits=32,
        )
        for part in (0.1, 0.02, 0.4, 0.03, 0.45)
    ]


@lru_cache
def true_checks(target: float) -> Mapping[str, float]:
    return cross_checks(releases(target, 1e-6), 1e-6)


@pytest.mark.parametrize("delta", [1e-9, 1e-2])
@pytest.mark.parametrize("target", [0.01, 1.0, 40.0])
def test_true_figures_never_disagree(target: float, delta: float) -> None:
    events = releases(target, delta)
    headline, checks = epsilon(events, delta), cross_checks(events, delta)
    assert set(checks) >= {"zcdp", "dp-accounting-pld", "dp-accounting-rdp", "opacus-rdp"}
    assert ("opacus-prv" in checks) is (headline <= 30)
    assert disagreements(headline, checks) == ()


@pytest.mark.parametrize("target", [0.3, 8.0])
@pytest.mark.parametrize(
    "wrong",
    [
        {"sensitivity": 0.99},  # noise thought a hundredth wider than it is
        {"min_survivors": 7},  # a share of noise counted that may be missing
        {"max_sites_per_person": 2},
        "one release forgotten",
    ],
)
def test_a_headline_from_wrong_events_disagrees_with_every_exact_accountant(
    target: float, wrong: Any
) -> None:
    events, checks = releases(target, 1e-6), true_checks(target)
    if wrong == "one release forgotten":
        mistaken = events[1:]
    else:
        mistaken = [_changed(event, wrong) for event in events]
    found = disagreements(epsilon(mistaken, 1e-6), checks)
    assert set(found) >= TIGHT or (target < 1 and set(found) >= {"dp-accounting-pld"})


def _changed(event: GaussianSumRelease, wrong: dict[str, float]) -> GaussianSumRelease:
    values = dict(vars(event))
    for name, value in wrong.items():
        scaled = isinstance(value, float)
        values[name] = round(values[name] * value) if scaled else value
    return GaussianSumRelease(**values)


@pytest.mark.parametrize(
    ("name", "found", "disagrees"),
    [
        ("dp-accounting-pld", 8.0, False),
        ("dp-accounting-pld", 8.0 * (1 + 0.9 * TOLERANCE), False),
        ("dp-accounting-pld", 8.0 * (1 + 1.1 * TOLERANCE), True),
        ("dp-accounting-pld", 8.0 * (1 - 1.1 * TOLERANCE), True),
        ("opacus-prv", 8.1, True),
        ("opacus-rdp", 8.5, False),
        ("opacus-rdp", 16.2, True),
        ("opacus-rdp", 7.9, True),
        ("zcdp", 8.5, False),
        ("zcdp", 7.9, True),
        ("dp-accounting-rdp", None, True),
        ("dp-accounting-rdp", math.inf, True),
        ("somebody-elses", 8.5, False),
        ("somebody-elses", 7.9, True),
        ("opacus-prv", math.nan, True),
        ("opacus-rdp", math.nan, True),
    ],
)
def test_the_tolerance_is_what_is_stated(name: str, found: float | None, disagrees: bool) -> None:
    assert disagreements(8.0, {name: found}) == ((name,) if disagrees else ())


def test_several_figures_are_judged_one_by_one_and_never_averaged() -> None:
    checks = {"dp-accounting-pld": 8.0 + 1.0, "opacus-prv": 8.0 - 1.0, "opacus-rdp": 8.5}
    assert disagreements(8.0, checks) == ("dp-accounting-pld", "opacus-prv")


def test_where_there_is_no_guarantee_only_a_finite_figure_disagrees() -> None:
    assert disagreements(None, {"zcdp": None, "opacus-rdp": math.inf}) == ()
    assert disagreements(math.inf, {"zcdp": 3.0}) == ("zcdp",)


@pytest.mark.parametrize(
    ("ours", "theirs", "contradicts"),
    [
        (8.0, 8.0 * (1 + 0.9 * TOLERANCE), False),
        (8.0, 8.0 * (1 - 1.1 * TOLERANCE), True),
        (0.1, 0.1 + 0.9 * TOLERANCE, False),
        (math.inf, math.inf, False),
        (math.inf, 8.0, True),
        (8.0, math.inf, True),
        (8.0, math.nan, True),
        (math.nan, 8.0, True),
    ],
)
def test_two_exact_figures_agree_within_the_tolerance_or_where_both_are_infinite(
    ours: float, theirs: float, contradicts: bool
) -> None:
    assert contradicts_exact(ours, theirs) is contradicts
