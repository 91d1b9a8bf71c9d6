"""Reviews of the guarantee: a signed plan or a public state that would make a site's ε untrue."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from recommons.client.rounds.answering import answer
from recommons.client.rounds.joining import check_mechanism
from recommons.client.site import Site
from recommons.common.data.interactions import Interactions
from recommons.common.errors import RecommonsError, Refusal
from recommons.common.federation import sign_announcement
from recommons.common.hashing import canonical_json
from recommons.common.heads import heads_to_bytes
from recommons.common.models.registry import build_model, model_from_settings
from recommons.common.models.state import arrays_to_bytes
from recommons.common.plan import BlockPlan, Plan, RoundPlan
from recommons.common.privacy.accounting import epsilon_of
from recommons.common.privacy.calibration import worst_case
from recommons.common.wire import Envelope, pack
from recommons.simulations.founding import Found
from tests.client.seat import coordinator_round

Make = Callable[..., Found]
State = dict[str, npt.NDArray[Any]]

ITEMS, DIM = 40, 3
"""Of the tiny data and of the fixture's plan."""


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def wrong_states() -> dict[str, State]:
    vectors, ridge = rng().standard_normal((ITEMS, DIM)), np.eye(DIM)
    return {
        "one column": {"items": vectors[:, :1], "ridge": ridge[:1, :1]},
        "a row short": {"items": vectors[:-1], "ridge": ridge},
        "a row too many": {"items": np.vstack([vectors, vectors[:1]]), "ridge": ridge},
        "another width": {"items": vectors[:, :2], "ridge": ridge[:2, :2]},
        "one dimension": {"items": vectors[:-1, 0], "ridge": ridge},
        "no ridge": {"items": vectors},
        "a larger ridge": {"items": vectors, "ridge": np.eye(DIM + 1)},
        "more arrays": {"items": vectors, "ridge": ridge, "other": ridge},
    }


def to_keys(found: Found, state: State) -> Callable[[], object]:
    """A call that hands site-0 round 1's keys with this public state (step 2)."""
    plan, run_id = found.coordinator.plan, found.coordinator.run_id
    roster = found.coordinator.federation.roster

    def send(site: str, exchange: Any, body: bytes, **place: int) -> bytes:
        with Site.open(found.sites[site]) as opened:
            return answer(opened, Envelope(run_id=run_id, exchange=exchange, **place), body)

    for site in plan.cohort:
        announced = sign_announcement(plan, run_id, found.coordinator.identity)
        send(site, "join", pack(announced, heads_to_bytes(())))
    protocol = coordinator_round(plan, roster, run_id, round_=1)
    for site in protocol.expected:
        protocol.receive(site, send(site, "advertise", b"", round=1))
    protocol.close_advertise(arrays_to_bytes(state))
    return lambda: send("site-0", "shares", protocol.message_for("site-0"), round=1)


@pytest.mark.parametrize("name", sorted(wrong_states()))
def test_a_public_state_of_another_shape_is_refused_before_anything_is_dealt(
    found: Make, name: str
) -> None:
    deal = to_keys(found(), wrong_states()[name])
    with pytest.raises(RecommonsError):
        deal()


def contribution(plan: Plan, site: Site, state: State, users: Interactions) -> Mapping[str, Any]:
    model = model_from_settings(plan.model.name, plan.model.settings, site.catalogue)
    return model.contribute(1, state, users, plan.specs()[1].blocks)


def neighbours(site: Site) -> tuple[Interactions, Interactions]:
    """Users without the last item, and the same with one user more, who has it."""
    users = site.interactions
    lacking = [u for u in range(users.n_users) if ITEMS - 1 not in users.matrix()[[u]].indices]
    without = users.take(np.array(lacking))
    rows = np.repeat(np.arange(without.n_users), np.diff(without.indptr))
    rows, items = np.append(rows, [len(lacking)] * 2), np.append(without.indices, [3, ITEMS - 1])
    more = Interactions.from_pairs(rows, items, n_users=len(lacking) + 1, n_items=ITEMS)
    return without, more


@pytest.mark.parametrize("name", sorted(wrong_states()))
def test_no_public_state_moves_a_site_further_than_the_bound_or_fails_for_some_users_only(
    found: Make, name: str
) -> None:
    made = found()
    plan, state = made.coordinator.plan, wrong_states()[name]
    outcomes: list[Mapping[str, Any] | None] = []
    with Site.open(made.sites["site-0"]) as site:
        for users in neighbours(site):
            try:
                outcomes.append(contribution(plan, site, state, users))
            except Exception:  # noqa: BLE001 - any error is the same `site/internal` outside
                outcomes.append(None)
    without, more = outcomes
    assert (without is None) == (more is None), "one user decides whether the site answers"
    if without is None or more is None:
        return
    for block in plan.specs()[1].blocks:
        moved = (more[block.name] - without[block.name]).astype(object)
        assert int((moved * moved).sum()) <= block.sensitivity**2, block.name


def replaced(plan: Plan, **fields: Any) -> Plan:
    return Plan.from_bytes(canonical_json(plan.model_dump(mode="json") | fields))


def test_a_plan_for_unclipped_integers_under_a_finite_epsilon_is_refused(found: Make) -> None:
    made = found()
    with Site.open(made.sites["site-0"]) as site:
        figures = made.coordinator.plan.figures()
        figures = dataclasses.replace(figures, epsilon=math.inf)  # which makes `ease` exact
        exact = build_model("ease", site.catalogue, figures)
        block: dict[str, Any] = {
            "name": "gram",
            "size": exact.rounds()[0][0].size,
            "clip": None,
            "sensitivity": 1,  # of users who contribute x xᵀ, of norm ‖x‖² = 11
            "clamp": 1000,
            "noise_stddev": 4.0,
        }
        spec = RoundPlan(ring_bits=32, blocks=(BlockPlan(**block),))
        cost = worst_case([spec.spec()], made.coordinator.plan.noise_cohort(), 0)
        assert epsilon_of(cost, 1e-5) == math.inf
        with pytest.raises(RecommonsError, match="have no clip"):
            replaced(
                made.coordinator.plan,
                model={"name": "ease", "settings": dict(exact.settings())},
                rounds=[spec.model_dump(mode="json")],
            )


def test_spare_attempts_are_priced_at_the_costliest_round_under_every_accountant(
    found: Make,
) -> None:
    made = found()
    document = made.coordinator.plan.model_dump(mode="json")
    spare = document["privacy"]["spare_attempts"] = 20
    for block in document["rounds"][0]["blocks"]:  # s below 4: zCDP, cheap, but μ² infinite
        block |= {"sensitivity": 1, "noise_stddev": 3.99}
    for spec in document["rounds"][1:]:
        for block in spec["blocks"]:
            block["sensitivity"] //= 2
    plan = Plan.from_bytes(canonical_json(document))
    true = epsilon_of(worst_case(plan.specs(), plan.noise_cohort(), spare), plan.privacy.delta)
    assert true > 1.5 * plan.privacy.target, "the plan costs far more than it claims"
    with Site.open(made.sites["site-0"]) as site, pytest.raises(Refusal):
        check_mechanism(site, plan)


def test_the_reviewed_plan_is_accepted_as_it_stands(found: Make) -> None:
    made = found()
    with Site.open(made.sites["site-0"]) as site:
        check_mechanism(site, made.coordinator.plan)
