"""Every rule of a policy, end to end: refused by name, in the ledger, and nothing has left."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from recommons.client.enrolment import write_policy
from recommons.client.site import Site
from recommons.common.codes import REMEDIES
from recommons.common.secagg.parameters import VerifiedPeers
from recommons.common.secagg.site import SiteRound
from tests.client.seat import OWN, RUN, SITES, Seat

Changes = Mapping[str, Mapping[str, Any]]

RULES: dict[str, tuple[Changes, str]] = {
    "model": ({"plans": {"models": ["ease"]}}, "policy/model"),
    "plan hash": ({"plans": {"hashes": ["0" * 64]}}, "policy/plan-hash"),
    "catalogue": ({"plans": {"inferred_catalogue": "refuse"}}, "policy/catalogue"),
    "epsilon": ({"budget": {"epsilon": 7.9}}, "policy/epsilon"),
    "delta": ({"budget": {"delta": 9e-6}}, "policy/delta"),
    "survivors": ({"cohort": {"least_survivors": 4}}, "policy/survivors"),
    "colluding": ({"cohort": {"least_colluding": 2}}, "policy/colluding"),
    "own users": ({"cohort": {"least_own_users": 11}}, "policy/own-users"),
    "rounds": ({"plans": {"most_rounds": 1}}, "policy/rounds"),
    "spare attempts": ({"plans": {"most_spare_attempts": 0}}, "policy/spare-attempts"),
    "upload": ({"plans": {"largest_upload_bytes": 100}}, "policy/upload"),
    "fingerprint": ({"peers": {"verified": {"site-1": "0" * 40}}}, "policy/peer-fingerprint"),
    "verified peers": ({"peers": {"verified": {}}}, "policy/verified-peers"),
    "more verified peers": ({"peers": {"least_verified_survivors": 3}}, "policy/verified-peers"),
}


@pytest.fixture
def seat(tmp_path: Path, tiny_data: Path) -> Seat:
    seat = Seat.take(tmp_path / "run", tiny_data)
    plan = seat.plan(tiny_data, spare_attempts=1)
    inferred = plan.catalogue.model_copy(update={"inferred": True})
    seat.plans[RUN] = plan.model_copy(update={"catalogue": inferred})
    for site in SITES:
        seat.edit(site, plans={"most_spare_attempts": 1})
    return seat


@pytest.mark.parametrize("name", RULES)
def test_a_plan_against_a_rule_is_not_joined(seat: Seat, name: str) -> None:
    changes, code = RULES[name]
    seat.edit(OWN, **changes)
    assert seat.refused(OWN, "join", seat.announcement()) == code
    kind, body = seat.ledger()[-1]
    assert (kind, body["code"]) == ("plan-refused", code)
    assert body["run"] == RUN.hex()
    assert body["policy"] == seat.policy().hash.hex()
    assert code in REMEDIES
    assert seat.refused(OWN, "advertise") == "site/not-joined"


@pytest.mark.parametrize("name", RULES)
def test_a_rule_made_after_joining_refuses_the_next_round(seat: Seat, name: str) -> None:
    changes, code = RULES[name]
    seat.join()
    seat.edit(OWN, **changes)
    assert seat.refused(OWN, "advertise") == code
    kind, body = seat.ledger()[-1]
    assert (kind, body["code"], body["round"], body["attempt"]) == ("round-refused", code, 0, 0)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_made_within_an_attempt_keeps_the_vector_in(seat: Seat, name: str) -> None:
    changes, code = RULES[name]
    seat.join()
    protocol, before = seat.to_masked(), seat.policy()
    seat.edit(OWN, **changes)
    body = protocol.message_for(OWN)
    assert seat.refused(OWN, "masked", body) == code
    assert [kind for kind, _ in seat.ledger()][-2:] == ["round-refused", "aborted"]
    write_policy(seat.found.sites[OWN], before)  # the attempt's secrets are gone all the same
    assert seat.refused(OWN, "masked", body) == "site/step-order"


def test_the_refusals_are_of_every_rule_the_policy_has() -> None:
    codes = {code for code in REMEDIES if code.startswith("policy/")}
    assert {code for _, code in RULES.values()} == codes - {"policy/invalid", "policy/spent"}


def test_a_plan_on_the_list_of_hashes_is_joined(seat: Seat) -> None:
    seat.edit(plans={"hashes": [seat.plans[RUN].hash().hex()]})
    seat.join()


def test_a_changed_rule_on_peers_ends_an_attempt_that_began_under_another(seat: Seat) -> None:
    seat.join()
    protocol = seat.to_masked()
    seat.edit(peers={"least_verified_survivors": 1})
    assert seat.refused(OWN, "masked", protocol.message_for(OWN)) == "policy/verified-peers"


def test_the_rule_on_verified_peers_reaches_the_protocol(seat: Seat) -> None:
    seat.join()
    seat.ask(OWN, "advertise")
    with seat.open() as site:
        rule = stored_rule(seat, site)
    assert rule is not None
    assert (list(rule.peers), rule.least) == ([1, 2], 2)  # c + 1 of site-1 and site-2


def stored_rule(seat: Seat, site: Site) -> VerifiedPeers | None:
    with site.store.transaction() as transaction:
        state = site.store.state(transaction, seat.protocol().context.hash) or b""
    roster, identity = site.federation.roster, site.identity
    return SiteRound.from_bytes(state, roster=roster, identity=identity).verified


def test_a_repeated_refusal_is_written_once(seat: Seat) -> None:
    seat.edit(budget={"epsilon": 4.0})
    for _ in range(5):
        seat.refused(OWN, "join", seat.announcement())
    assert [kind for kind, _ in seat.ledger()].count("plan-refused") == 1


def test_attempts_beyond_those_paid_for_are_refused_in_the_ledger(seat: Seat) -> None:
    seat.join()
    for attempt in range(2):
        seat.ask(OWN, "advertise", attempt=attempt)
    assert seat.refused(OWN, "advertise", attempt=2) == "site/budget"
    kind, body = seat.ledger()[-1]
    assert (kind, body["code"], body["attempt"]) == ("round-refused", "site/budget", 2)


def test_a_policy_that_cannot_be_read_answers_nothing(seat: Seat) -> None:
    seat.join()
    (seat.found.sites[OWN] / "policy.toml").write_text("budget = { epsilon = 'lots' }")
    assert seat.refused(OWN, "advertise") == "policy/invalid"


def test_every_policy_in_force_stands_in_the_ledger_once(seat: Seat) -> None:
    first = seat.policy()
    seat.join()
    seat.edit(budget={"epsilon": 6.0})
    seat.open().store.close()
    seat.open().store.close()
    seat.edit(budget={"epsilon": 8.0})
    seat.open().store.close()
    changes = [body for kind, body in seat.ledger() if kind == "policy-changed"]
    assert [body["document"]["budget"]["epsilon"] for body in changes] == [8, 6, 8]
    assert changes[0]["policy"] == changes[2]["policy"] == first.hash.hex()
    assert [kind for kind, _ in seat.ledger()][:2] == ["roster-accepted", "policy-changed"]
