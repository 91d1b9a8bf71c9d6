"""Two hundred rounds with random faults, in eight parts: exact sums, every release charged."""

import numpy as np
import pytest

from tests.deployment.conftest import Deployment
from tests.deployment.faults import check_charged, check_exact, of_run
from tests.deployment.soak import Soak

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),  # flwr's own
]


@pytest.fixture
def deployment(five: Deployment) -> Deployment:
    return five


@pytest.mark.parametrize("seed", range(8))
def test_twenty_five_rounds_with_random_faults(deployment: Deployment, seed: int) -> None:
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
