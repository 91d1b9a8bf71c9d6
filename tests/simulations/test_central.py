"""The central harness: a plan's mechanism, fresh noise, the model's own rounds."""

import math
from collections.abc import Mapping

import numpy as np
import pytest

from recommons.common.data.interactions import Interactions
from recommons.common.models.interface import NoisySum
from recommons.common.models.neural.two_tower import TwoTowerModel
from recommons.common.privacy.accounting import epsilon_of
from recommons.common.privacy.calibration import worst_case
from recommons.common.privacy.events import Cohort
from recommons.simulations.central import central_specs, train_centrally
from tests.common.models.neural.conftest import make_model, make_users

EPSILON, DELTA, SITES = 4.0, 1e-4, 8
COHORT = Cohort(sites=SITES, min_survivors=SITES, colluding=0)


@pytest.fixture(scope="module")
def model() -> TwoTowerModel:
    return make_model("full, als", steps=6, rate=0.25, users=200, most_users=400)


@pytest.fixture(scope="module")
def users() -> Interactions:
    return make_users(users=200)


def test_the_whole_training_spends_the_target(model: TwoTowerModel) -> None:
    specs = central_specs(model, COHORT, 200, epsilon=EPSILON, delta=DELTA)
    assert epsilon_of(worst_case(specs, COHORT, 0), DELTA) == pytest.approx(EPSILON, rel=1e-4)


def test_every_round_has_the_noise_of_all_shares(model: TwoTowerModel, users: Interactions) -> None:
    specs = central_specs(model, COHORT, 200, epsilon=EPSILON, delta=DELTA)
    seen: list[int] = []

    def note(done: tuple[Mapping[str, NoisySum], ...]) -> None:
        seen.append(len(done))

    done = train_centrally(model, users, specs, sites=SITES, listen=note)
    assert seen == list(range(1, len(model.rounds()) + 1))
    for sums, spec in zip(done, specs, strict=True):
        for block in spec.blocks:
            width = math.sqrt(SITES) * block.noise_stddev * block.grid
            assert sums[block.name].stddev == pytest.approx(width)
    updates = np.concatenate([s["update"].values / s["update"].stddev for s in done[2:]])
    assert np.std(updates) == pytest.approx(1, abs=0.2)


def test_without_a_target_nothing_is_noised(model: TwoTowerModel, users: Interactions) -> None:
    specs = central_specs(model, COHORT, 200, epsilon=math.inf, delta=DELTA)
    done = train_centrally(model, users, specs, sites=SITES)
    assert all(block.stddev == 0 for sums in done for block in sums.values())
    assert any(sums["update"].values.any() for sums in done[2:])
