"""Two hundred rounds with random faults, in eight parts: exact sums, every release charged."""

from collections import Counter

import numpy as np
import pytest

from tests.deployment.conftest import Deployment
from tests.deployment.faults import check_charged, check_exact, of_run
from tests.deployment.soak import KINDS, Soak

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),  # flwr's own
]


@pytest.fixture
def deployment(five: Deployment) -> Deployment:
    return five


PARTS = 8


@pytest.fixture(scope="module")
def seen() -> list[Counter[str]]:
    """The faults of each part, by kind."""
    return []


@pytest.mark.parametrize("seed", range(PARTS))
def test_twenty_five_rounds_with_random_faults(
    deployment: Deployment, seen: list[Counter[str]], seed: int
) -> None:
    soak, rounds = Soak(deployment, np.random.default_rng(seed)), 0
    # The last run has noise: its sums nobody can compute again, but what it charged.
    for length, epsilon in ((9, None), (8, None), (8, 8.0)):
        name = soak.run(length, faults=4, epsilon=epsilon)
        rounds += len(of_run(deployment, name, "sum"))
        check_charged(deployment, name)
        if epsilon is None:
            check_exact(deployment, name)
    assert rounds == 25
    assert soak.done.total() >= 3, soak.done
    soak.finish()
    seen.append(soak.done)


def test_every_kind_of_fault_was_among_them(seen: list[Counter[str]]) -> None:
    if len(seen) < PARTS:
        pytest.skip("needs all parts of the soak in one session")
    found = sum(seen, Counter[str]())
    assert found.keys() >= KINDS.keys(), found
