"""A made-up run, with every kind of figure a report can hold."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

MakeDocument = Callable[..., dict[str, Any]]


def _metrics(recall: float) -> dict[str, float]:
    return {
        "recall@20": recall,
        "ndcg@20": 0.84 * recall + 0.001,
        "ndcg@100": 1.17 * recall + 0.0007,
        "coverage@20": 0.3 + recall,
    }


def _site(number: int, rng: np.random.Generator) -> dict[str, Any]:
    alone = 0.13 + 0.01 * float(rng.random())
    return {
        "name": f"site-{number:02d}",
        "users_declared": int(rng.integers(20, 900)) * 10,
        "test_users": int(rng.integers(1, 90)),
        "popularity": 0.05 + 0.01 * float(rng.random()),
        "alone": alone,
        "global": 0.14 + 0.01 * float(rng.random()),
        "served": alone + 0.02 * float(rng.random()) - 0.003,
        "rho": float(rng.choice([0.0, 0.05, 0.2, 0.5, 1.0])),
        "bytes_up": int(rng.integers(2_000_000, 3_000_000)),
        "bytes_down": int(rng.integers(1_000_000, 2_000_000)),
        "dropped": int(rng.integers(0, 3)),
    }


def _privacy(epsilon: float | None, sites: int, releases: int) -> dict[str, Any]:
    def times(factor: float) -> float | None:
        return None if epsilon is None else epsilon * factor

    return {
        "unit": "user",
        "neighbours": "add-or-remove one user",
        "epsilon": times(0.9731),
        "delta": None if epsilon is None else 1e-6,
        "epsilon_reserved": times(1.0),
        "target_epsilon": times(1.0),
        "min_survivors": sites - 1,
        "colluding": 1,
        "epsilon_all_honest": times(0.91),
        "epsilon_own_share_only": times(3.7),
        "accountant": "gaussian",
        "zcdp_epsilon": times(1.09),
        "max_sites_per_person": 1,
        "noise_price": None if epsilon is None else (sites / (sites - 2)) ** 0.5,
        "cross_checks": {
            "zcdp": times(1.09),
            "dp-accounting-pld": times(0.974),
            "x/y": times(1.12),
        },
        "disagreements": [],
        "releases": [
            {
                "round": 1 + number // 2,
                "attempt": 1 + number % 2,
                "block": ("gram", "factors")[number % 2],
                "mu": None if epsilon is None else 0.25 + 0.1 * number,
                "sampling": (None, 0.2)[number % 2],
                "epsilon_cumulative": times(0.9731 * (number + 1) / releases),
            }
            for number in range(releases)
        ],
    }


def _sums() -> dict[str, Any]:
    return {
        "rounds": 3,
        "attempts": 4,
        "aborted": 1,
        "aborts": [{"round": 2, "attempt": 1, "code": "secagg/least-survivors"}],
        "bytes_up_per_site": 2_431_411,
        "bytes_down_per_site": 1_930_551,
        "seconds_by_step": {"release": 2.41, "advertise": 0.213, "keys": 0.354, "masked": 9.81},
        "bytes_up_by_step": {"advertise": 9_120, "masked": 19_034_120},
        "bytes_down_by_step": {"keys": 15_120_455},
    }


def _make(
    *,
    sites: int = 8,
    epsilon: float | None = 8.0,
    catalogue: str = "public",
    releases: int = 5,
    untested: int = 1,
) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    found = [_site(number + 1, rng) for number in range(sites)]
    for site in found[:untested]:
        site.update(test_users=0, popularity=None, alone=None, served=None, rho=None)
        site["global"] = None
    return {
        "data": {
            "name": "online-retail",
            "users": 5852,
            "items": 4744,
            "interactions": 481_879,
            "sites": sites,
            "catalogue": catalogue,
        },
        "model": {"name": "als", "dim": 32, "rounds": 3},
        "metrics": {"global": _metrics(0.14391), "served": _metrics(0.14923)},
        "baselines": {
            "site_alone": _metrics(0.13812),
            "popularity": _metrics(0.04921),
            "ease_centralised": _metrics(0.1531),
        },
        "privacy": _privacy(epsilon, sites, releases),
        "secure_aggregation": _sums(),
        "sites": found,
        "seconds": 61.24,
        "seconds_by_stage": {"reading the data": 1.21, "training": 22.3},
        "peak_memory_mb": 1480.2,
        "plan_hash": "ab" * 32,
        "version": "0.1.0",
        "seed": 0,
        "command": "recommons simulate --epsilon 8",
    }


@pytest.fixture(scope="session")
def make_document() -> MakeDocument:
    """Makes the content of a `report.json`."""
    return _make
