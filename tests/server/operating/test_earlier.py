"""A plan that leaves out whoever took part before is told apart before it is run."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recommons.common.plan import Plan
from recommons.common.policy import BudgetPolicy, Policy
from recommons.common.policy_file import policy_to_toml
from recommons.common.privacy.accounting import epsilon_of
from recommons.common.privacy.spending import Spending
from recommons.server.operating import run_command
from recommons.server.operating.attendance import last_progress
from recommons.server.operating.earlier import overspent
from recommons.server.operating.run_command import run_plan
from recommons.server.records.runs import note_flower_run
from tests.server.operating.runs_of_home import Homestead, Link

NOW = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Homestead:
    folder = tmp_path_factory.mktemp("earlier")
    return Homestead.found(folder, tiny_data, runs=2, model="als", epsilon=8.0)


@pytest.fixture
def homestead(founded: Homestead, tmp_path: Path) -> Homestead:
    """Two runs, of which the first was begun a day ago."""
    copy = founded.copy(tmp_path / "home")
    begun(copy, "001", NOW - timedelta(days=1))
    return copy


def begun(homestead: Homestead, run: str, when: datetime) -> None:
    time = when.strftime("%Y-%m-%dT%H:%M:%SZ")
    (homestead.run(run) / "progress.json").write_text(f'{{"time": "{time}", "round": 1}}')
    assert last_progress(homestead.run(run)).time == time
    note_flower_run(homestead.run(run), 1)


def plan_of(homestead: Homestead) -> Plan:
    return Plan.from_bytes((homestead.run("001") / "plan.json").read_bytes())


def propose(homestead: Homestead, epsilon: float, window_days: int = 365) -> BudgetPolicy:
    wanted = {"epsilon": epsilon, "window_days": window_days}
    budget = Policy().budget.model_copy(update=wanted)
    policy = Policy().model_copy(update={"budget": budget})
    (homestead.home.folder / "policy.toml").write_text(policy_to_toml(policy))
    return budget


def cost(homestead: Homestead, runs: int, delta: float) -> float:
    return epsilon_of(Spending.total([plan_of(homestead).reserved()] * runs), delta)


def test_plans_that_are_beyond_the_proposed_cap_together_are_told(homestead: Homestead) -> None:
    plan = plan_of(homestead)
    assert overspent(homestead.home.folder, plan, NOW) is None  # nothing is proposed here
    delta = Policy().budget.delta
    two = cost(homestead, 2, delta)
    propose(homestead, two * 1.001)
    assert overspent(homestead.home.folder, plan, NOW) is None
    propose(homestead, two * 0.999)
    found = overspent(homestead.home.folder, plan, NOW)
    assert found is not None
    assert found.runs == ("001",)  # the second was never begun
    assert found.epsilon == pytest.approx(two)
    assert "run 001" in str(found)
    assert "noise alone" in str(found)
    note_flower_run(homestead.run("002"), 2)  # and no attempt yet: to join is to be charged
    found = overspent(homestead.home.folder, plan, NOW)
    assert found is not None
    assert found.runs == ("001", "002")
    assert found.epsilon == pytest.approx(cost(homestead, 3, delta))


def test_a_run_counts_for_the_window_and_the_life_of_an_attempt(homestead: Homestead) -> None:
    plan = plan_of(homestead)
    budget = propose(homestead, cost(homestead, 1, Policy().budget.delta) * 1.01, window_days=30)
    begun(homestead, "001", NOW - timedelta(days=36))
    assert overspent(homestead.home.folder, plan, NOW) is not None
    begun(homestead, "001", NOW - timedelta(days=38))
    assert overspent(homestead.home.folder, plan, NOW) is None
    propose(homestead, float(budget.epsilon), window_days=0)
    assert overspent(homestead.home.folder, plan, NOW) is not None


def test_the_operator_is_told_before_the_run(
    homestead: Homestead, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_command, "Control", Link())
    monkeypatch.setattr(run_command, "connected", lambda _home: frozenset())
    begun(homestead, "001", datetime.now(UTC))

    def said() -> str:
        folder = homestead.home.folder
        run_plan(folder, homestead.plan, dry_run=True, wait=False, deadline=1.0, as_json=False)
        return capsys.readouterr().err

    propose(homestead, cost(homestead, 1, Policy().budget.delta) * 1.01)
    assert "Together with run 001 the plan reserves" in said()
    propose(homestead, 1000.0)
    assert "Together with" not in said()
