"""A site against coordinators that are wrong, forgetful or hostile; real folders, real keys."""

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recommons.client.rounds import joining
from recommons.client.rounds.answering import answer
from recommons.client.site import Site, SiteConfig
from recommons.common.data.catalogue_document import catalogue_to_bytes
from recommons.common.errors import InvalidInput, ProtocolAbort, RecommonsError, Refusal
from recommons.common.federation import sign_announcement
from recommons.common.heads import heads_to_bytes
from recommons.common.models.state import arrays_to_bytes
from recommons.common.plan import Plan
from recommons.common.privacy.ledger import split_lines, verify_chain
from recommons.common.secagg.coordinator import CoordinatorRound
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.wire import Envelope, Exchange, pack
from recommons.simulations.attacks.on_plans import changed
from recommons.simulations.founding import Found
from tests.client.seat import coordinator_round

Make = Callable[..., Found]


class Coordinator:
    """Speaks to the sites of a founded federation without any transport."""

    def __init__(self, found: Found) -> None:
        self.found, self.plan = found, found.coordinator.plan
        self.run_id = found.coordinator.run_id

    def send(self, site: str, step: Exchange, body: bytes = b"", **place: int) -> bytes:
        envelope = Envelope(run_id=self.run_id, exchange=step, **place)
        if step == "join":
            body = pack(body, heads_to_bytes(()))
        with Site.open(self.found.sites[site]) as opened:
            return answer(opened, envelope, body)

    def announcement(self, plan: Plan | None = None) -> bytes:
        return sign_announcement(plan or self.plan, self.run_id, self.found.coordinator.identity)

    def join(self) -> None:
        for site in self.plan.cohort:
            self.send(site, "join", self.announcement())

    def protocol(self, round_: int = 0, attempt: int = 0) -> CoordinatorRound:
        roster = self.found.coordinator.federation.roster
        return coordinator_round(self.plan, roster, self.run_id, round_, attempt)

    def to_inbox(self, attempt: int = 0) -> CoordinatorRound:
        protocol = self.protocol(attempt=attempt)
        for site in protocol.expected:
            protocol.receive(site, self.send(site, "advertise", attempt=attempt))
        protocol.close_advertise(arrays_to_bytes({}))
        for site in protocol.expected:
            body = protocol.message_for(site)
            protocol.receive(site, self.send(site, "shares", body, attempt=attempt))
        protocol.close_shares()
        return protocol


@pytest.fixture
def coordinator(found: Make) -> Coordinator:
    return Coordinator(found())


def ledger(coordinator: Coordinator, site: str) -> list[tuple[str, Any]]:
    folder = coordinator.found.sites[site]
    lines = split_lines((folder / "ledger.jsonl").read_bytes())
    key = coordinator.found.coordinator.federation.roster.keys[site]
    return [(entry.kind, entry.body) for entry in verify_chain(lines, key, writer=site)]


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(RecommonsError) as caught:
        call()
    return caught.value.code


def test_a_plan_that_the_pinned_coordinator_did_not_sign_is_refused(
    coordinator: Coordinator,
) -> None:
    stranger = SigningIdentity(b"s" * 32)
    body = sign_announcement(coordinator.plan, coordinator.run_id, stranger)
    assert refused(lambda: coordinator.send("site-0", "join", body)) == "plan/signature"


def test_an_announcement_for_another_run_is_refused(coordinator: Coordinator) -> None:
    identity = coordinator.found.coordinator.identity
    body = sign_announcement(coordinator.plan, b"x" * 16, identity)
    assert refused(lambda: coordinator.send("site-0", "join", body)) == "plan/signature"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"roster_hash": "0" * 64}, "plan/roster"),
        ({"catalogue__hash": "0" * 64}, "plan/catalogue"),
        ({"privacy__min_survivors": 3}, "policy/survivors"),
        ({"privacy__colluding": 0}, "policy/colluding"),
        ({"privacy__epsilon": 9.0}, "policy/epsilon"),
        ({"privacy__delta": 1e-4}, "policy/delta"),
        ({"privacy__spare_attempts": 1}, "policy/spare-attempts"),
        ({"rounds__1__blocks__0__noise_stddev": 100.0}, "plan/mechanism"),
        ({"rounds__1__blocks__0__sensitivity": 10**6}, "plan/mechanism"),
        ({"rounds__1__blocks__0__clip": 2.0}, "plan/mechanism"),
        ({"rounds__0__blocks__0__size": 39}, "plan/mechanism"),
        ({"model__name": "ease"}, "plan/mechanism"),
    ],
)
def test_a_signed_plan_is_refused_by_name_when_it_breaks_a_rule_and_nothing_is_reserved(
    coordinator: Coordinator, changes: dict[str, Any], code: str
) -> None:
    plan = changed(coordinator.plan, **changes)
    body = coordinator.announcement(plan)
    found = refused(lambda: coordinator.send("site-0", "join", body))
    # Another model's settings may be refused before its blocks are compared.
    assert found in ({code, "model/settings"} if "model__name" in changes else {code})
    assert refused(lambda: coordinator.send("site-0", "advertise")) == "site/not-joined"


def test_a_refused_plan_is_in_the_ledger_with_its_code(coordinator: Coordinator) -> None:
    body = coordinator.announcement(changed(coordinator.plan, privacy__epsilon=9.0))
    refused(lambda: coordinator.send("site-0", "join", body))
    kind, entry = ledger(coordinator, "site-0")[-1]
    assert (kind, entry["code"]) == ("plan-refused", "policy/epsilon")


def test_a_policy_that_was_tightened_after_joining_stops_the_next_round(
    coordinator: Coordinator,
) -> None:
    coordinator.join()
    path = coordinator.found.sites["site-0"] / "policy.toml"
    path.write_text(path.read_text().replace("least_own_users = 1\n", "least_own_users = 1000\n"))
    assert refused(lambda: coordinator.send("site-0", "advertise")) == "policy/own-users"


@pytest.mark.parametrize("how", ["replaced", "damaged", "gone"])
@pytest.mark.parametrize("step", ["advertise", "shares", "masked"])
def test_a_catalogue_that_is_another_since_joining_stops_the_next_step_that_asks_for_it(
    coordinator: Coordinator, step: Exchange, how: str
) -> None:
    coordinator.join()
    protocol, body = coordinator.protocol(), b""
    if step != "advertise":
        for site in protocol.expected:
            protocol.receive(site, coordinator.send(site, "advertise"))
        protocol.close_advertise(arrays_to_bytes({}))
        body = protocol.message_for("site-0")
    if step == "masked":
        for site in protocol.expected:
            part = protocol.message_for(site)
            protocol.receive(site, coordinator.send(site, "shares", part))
        protocol.close_shares()
        body = protocol.message_for("site-0")
    replace_catalogue(coordinator, "site-0")
    if how == "damaged":
        (coordinator.found.sites["site-0"] / "catalogue.json").write_bytes(b"{")
    if how == "gone":
        (coordinator.found.sites["site-0"] / "catalogue.json").unlink()
    assert refused(lambda: coordinator.send("site-0", step, body)) == "plan/catalogue"
    written = [(kind, entry.get("code")) for kind, entry in ledger(coordinator, "site-0")]
    assert ("round-refused", "plan/catalogue") in written
    assert "committed" not in dict(written)


def replace_catalogue(coordinator: Coordinator, site: str) -> None:
    """Give a site a copy of its own, in which one title is another."""
    folder = coordinator.found.sites[site]
    with Site.open(folder) as opened:
        present = opened.catalogue
    other = dataclasses.replace(present, titles=("another", *present.titles[1:]))
    (folder / "catalogue.json").write_bytes(catalogue_to_bytes(other))
    config = SiteConfig.read(folder).model_copy(update={"catalogue": "catalogue.json"})
    (folder / "site.json").write_text(config.model_dump_json())


def test_rounds_of_a_run_that_was_not_joined_are_refused(coordinator: Coordinator) -> None:
    assert refused(lambda: coordinator.send("site-0", "advertise")) == "site/not-joined"


def test_a_repeated_request_gets_the_same_bytes(coordinator: Coordinator) -> None:
    coordinator.join()
    first = coordinator.send("site-0", "advertise")
    assert coordinator.send("site-0", "advertise") == first
    protocol = coordinator.to_inbox()
    body = protocol.message_for("site-0")
    masked = coordinator.send("site-0", "masked", body)
    assert coordinator.send("site-0", "masked", body) == masked


def test_another_inbox_for_an_answered_step_is_refused(coordinator: Coordinator) -> None:
    coordinator.join()
    protocol = coordinator.to_inbox()
    body = protocol.message_for("site-0")
    coordinator.send("site-0", "masked", body)
    altered = bytes([*body[:-1], body[-1] ^ 1])
    assert refused(lambda: coordinator.send("site-0", "masked", altered)) == "site/repeated-step"


def test_two_requests_at_once_give_one_masked_vector(coordinator: Coordinator) -> None:
    """Two computations under the same masks with different noise must not both leave."""
    coordinator.join()
    body = coordinator.to_inbox().message_for("site-0")
    gate, results = threading.Barrier(2), []

    def ask() -> None:
        gate.wait()
        try:
            results.append(coordinator.send("site-0", "masked", body))
        except Refusal as refusal:
            results.append(refusal.code.encode())

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    vectors = {result for result in results if result != b"site/step-order"}
    assert len(vectors) == 1


def test_a_failed_check_ends_the_attempt_and_erases_its_secrets(coordinator: Coordinator) -> None:
    coordinator.join()
    body = bytearray(coordinator.to_inbox().message_for("site-0"))
    body[-1] ^= 1
    with pytest.raises((ProtocolAbort, InvalidInput)):
        coordinator.send("site-0", "masked", bytes(body))
    good = coordinator.to_inbox
    assert refused(lambda: coordinator.send("site-0", "sign", b"")) == "site/step-order"
    assert [kind for kind, _ in ledger(coordinator, "site-0")][-1] == "aborted"
    assert good is not None


def test_a_plan_without_spare_attempts_pays_for_one_masked_vector_a_round(
    coordinator: Coordinator,
) -> None:
    coordinator.join()
    coordinator.send("site-0", "masked", coordinator.to_inbox().message_for("site-0"))
    again = refused(lambda: coordinator.send("site-0", "advertise", attempt=1))
    assert again == "site/budget"


def test_spare_attempts_are_for_the_whole_run(found: Make) -> None:
    coordinator = Coordinator(found(spare_attempts=1))
    coordinator.join()
    for attempt in range(2):
        protocol = coordinator.to_inbox(attempt)
        coordinator.send("site-0", "masked", protocol.message_for("site-0"), attempt=attempt)
    assert refused(lambda: coordinator.send("site-0", "advertise", attempt=2)) == "site/budget"
    charged = [body for kind, body in ledger(coordinator, "site-0") if kind == "committed"]
    assert [(body["round"], body["attempt"]) for body in charged] == [(0, 0), (0, 1)]


def test_what_is_spent_is_in_the_ledger_before_the_vector_leaves(coordinator: Coordinator) -> None:
    coordinator.join()
    protocol = coordinator.to_inbox()
    kinds = [kind for kind, _ in ledger(coordinator, "site-0")]
    assert kinds == ["roster-accepted", "policy-changed", "plan-accepted", "reserved"]
    coordinator.send("site-0", "masked", protocol.message_for("site-0"))
    kind, body = ledger(coordinator, "site-0")[-1]
    assert kind == "committed"
    assert [event["block"] for event in body["events"]] == ["counts"]


def test_another_first_state_than_the_plans_is_refused_before_anything_is_dealt(
    coordinator: Coordinator,
) -> None:
    coordinator.join()
    protocol = coordinator.protocol()
    for site in protocol.expected:
        protocol.receive(site, coordinator.send(site, "advertise"))
    protocol.close_advertise(b"not safetensors")
    body = protocol.message_for("site-0")
    assert refused(lambda: coordinator.send("site-0", "shares", body)) == "secagg/public-state"


def test_a_folder_without_a_site_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"site\.json cannot be read") as caught:
        Site.open(tmp_path)
    assert caught.value.code == "site/folder"


def test_two_plans_for_one_run_at_once_are_not_both_accepted(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both find the run unknown and both are checked before either is written down."""
    wider = 2 * coordinator.plan.specs()[0].blocks[0].noise_stddev
    other = changed(coordinator.plan, rounds__0__blocks__0__noise_stddev=wider)
    gate, results = threading.Barrier(2), []
    check = joining.check_mechanism

    def together(site: Site, plan: Plan) -> None:
        check(site, plan)
        gate.wait(timeout=10)

    monkeypatch.setattr(joining, "check_mechanism", together)

    def ask(plan: Plan) -> None:
        try:
            coordinator.send("site-0", "join", coordinator.announcement(plan))
            results.append("accepted")
        except Refusal as refusal:
            results.append(refusal.code)

    threads = [threading.Thread(target=ask, args=(p,)) for p in (coordinator.plan, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["accepted", "site/repeated-step"]
