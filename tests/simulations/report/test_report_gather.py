"""From a run's releases to the privacy figures of its report."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from recommons.common.hashing import canonical_json
from recommons.common.plan import CataloguePin, ModelPlan, Plan, PrivacyPlan, RoundPlan
from recommons.common.privacy.accounting import epsilon, epsilon_of
from recommons.common.privacy.events import events_of_round
from recommons.server.planning.plan_file import read_plan_file
from recommons.server.planning.wish import specs_for
from recommons.simulations.report import gather
from recommons.simulations.report.gather import RunFigures
from recommons.simulations.report.schema import PrivacyFigures

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "plan.toml"


def plan() -> Plan:
    wanted = read_plan_file(EXAMPLE)
    wish = wanted.wish
    return Plan(
        federation="readers",
        roster_hash="00" * 32,
        cohort=tuple(wanted.declared_users),
        declared_users=dict(wanted.declared_users),
        catalogue=CataloguePin(
            hash=wanted.catalogue.hash.hex(), items=len(wanted.catalogue), inferred=False
        ),
        model=ModelPlan(name=wanted.model.name, settings=dict(wanted.model.settings())),
        privacy=PrivacyPlan(
            epsilon=wish.epsilon,
            delta=wish.delta,
            colluding=wish.colluding,
            min_survivors=wish.min_survivors,
            spare_attempts=wish.spare_attempts,
            max_sites_per_person=wish.max_sites_per_person,
        ),
        rounds=tuple(
            RoundPlan.model_validate_json(canonical_json(spec.to_json()))
            for spec in specs_for(wanted.model, wanted.declared_users, wish)
        ),
    )


def figures(of: Plan, *, sampling: float | None = None) -> PrivacyFigures:
    """The figures of a run in which every round was opened at its first attempt.

    Args:
        of: The plan.
        sampling: Rate at which users were drawn in the last round, whatever the plan says.
    """
    released = [
        tuple(events_of_round(spec, of.noise_cohort(), round_index=index))
        for index, spec in enumerate(of.specs())
    ]
    if sampling is not None:
        released[-1] = tuple(replace(event, sampling=sampling) for event in released[-1])
    nothing = cast(Any, None)
    return RunFigures(
        settings=nothing,
        dataset=nothing,
        declared=of.declared_users,
        plan=of,
        training=cast(Any, SimpleNamespace(events=tuple(released))),
        evaluated=nothing,
        version="0",
        command="",
    ).privacy


@pytest.fixture(scope="module")
def made() -> tuple[Plan, PrivacyFigures]:
    of = plan()
    return of, figures(of)


def test_released_and_reserved_are_the_accountants(made: tuple[Plan, PrivacyFigures]) -> None:
    of, found = made
    events = [
        event
        for index, spec in enumerate(of.specs())
        for event in events_of_round(spec, of.noise_cohort(), round_index=index)
    ]
    assert found.epsilon == epsilon(events, of.privacy.delta)
    assert found.epsilon_reserved == epsilon_of(of.reserved(), of.privacy.delta)
    assert found.epsilon < found.epsilon_reserved <= 8
    assert found.releases[-1].epsilon_cumulative == found.epsilon


def test_each_release_says_how_many_of_the_users_were_drawn(
    made: tuple[Plan, PrivacyFigures],
) -> None:
    of, everyone = made
    found = figures(of, sampling=0.25)
    last = found.releases[-1].round
    assert {release.sampling for release in everyone.releases} == {None}
    assert {r.round: r.sampling for r in found.releases}[last] == 0.25
    assert {release.sampling for release in found.releases if release.round < last} == {None}


def test_a_true_report_has_every_cross_check_and_no_disagreement(
    made: tuple[Plan, PrivacyFigures],
) -> None:
    _, found = made
    names = {"zcdp", "dp-accounting-pld", "dp-accounting-rdp", "opacus-rdp", "opacus-prv"}
    assert set(found.cross_checks) == names
    assert found.disagreements == ()


@pytest.mark.parametrize(
    ("name", "factor"),
    [("dp-accounting-pld", 1.01), ("opacus-prv", 0.99), ("opacus-rdp", 0.9), ("zcdp", 3.0)],
)
def test_a_deliberately_wrong_accountant_is_named_and_changes_no_other_figure(
    made: tuple[Plan, PrivacyFigures],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    factor: float,
) -> None:
    of, true = made
    wrong = {k: v for k, v in true.cross_checks.items() if v is not None}
    assert true.epsilon is not None
    wrong[name] = true.epsilon * factor
    monkeypatch.setattr(gather, "cross_checks", lambda events, delta: wrong)
    found = figures(of)
    assert found.disagreements == (name,)
    assert (found.epsilon, found.epsilon_reserved) == (true.epsilon, true.epsilon_reserved)
    assert found.cross_checks == wrong
