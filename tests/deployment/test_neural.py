"""A neural model over a network: drawn rounds, gradients and releases of real processes."""

from typing import Any

import pytest

from recommons.server.records.releases import RELEASES, ReleaseShelf
from tests.deployment.conftest import Deployment
from tests.deployment.faults import check_charged, check_ledgers, of_run, started

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),  # flwr's own
]


@pytest.mark.parametrize("model", ["two-tower", "sequence"])
def test_a_plan_of_a_neural_model_is_carried_out_charged_and_released(
    five: Deployment, model: str
) -> None:
    settings = {"warm": "content", "steps": 2, "rate": 0.5, "features": 8, "dim": 8}
    keys: dict[str, Any] = {"model": model, "epsilon": 8.0, "settings": settings}
    keys["spare_attempts"] = 0  # so that all of ε is released
    with started(five, deadline=30.0, **keys) as name:
        pass
    sums = of_run(five, name, "sum")
    assert [body["round"] for body in sums] == [0, 1, 2]
    rates = [{event["sampling"] for event in body["events"]} for body in sums]
    assert rates == [{None}, {0.5}, {0.5}]
    check_charged(five, name)
    check_ledgers(five)
    (note,) = [n for n in ReleaseShelf(five.home.folder / RELEASES).notes() if n.model == model]
    assert note.epsilon == pytest.approx(8.0, rel=1e-3)
