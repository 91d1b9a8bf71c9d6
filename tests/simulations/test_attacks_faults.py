"""Faults that were once found in the site's runtime and the coordinator's, and stay mended."""

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from recommons.client.enrolment import accept_federation
from recommons.client.rounds import joining
from recommons.client.site import Site
from recommons.common.errors import RecommonsError
from recommons.common.federation import Federation, sign_announcement
from recommons.common.models.state import arrays_to_bytes
from recommons.common.plan import Plan
from recommons.common.privacy.ledger import split_lines, verify_chain
from recommons.common.secagg.messages import Inbox
from recommons.common.wire import Exchange
from recommons.server.rounds import cohort
from recommons.server.transport.line import Answer
from recommons.simulations.attacks import SITES, Ground
from recommons.simulations.attacks.on_plans import changed
from recommons.simulations.attacks.on_shares import inbox_without
from recommons.simulations.attacks.puppet import Puppet
from recommons.simulations.attacks.stage import Stage

TARGET, COLLUDER = "site-0", "site-4"


OTHER_RUN = b"another run's id"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory where there is such a place: durability is not what is tested here."""
    memory = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def ground(folder: Path) -> Ground:
    return Ground.found(folder / "ground")


@pytest.fixture
def stage(ground: Ground, folder: Path) -> Iterator[Stage]:
    with ground.stage(folder / "stage") as stage:
        yield stage
    shutil.rmtree(folder / "stage")


def ledger(stage: Stage, site: str = TARGET) -> list[tuple[str, dict[str, object]]]:
    lines = split_lines((stage.found.sites[site] / "ledger.jsonl").read_bytes())
    entries = verify_chain(lines, stage.roster.keys[site], writer=site)
    return [(entry.kind, dict(entry.body)) for entry in entries]


def outcome(stage: Stage, *args: object, **more: object) -> str:
    """``"answered"``, a code, or the type of an error that has none."""
    try:
        stage.ask(*args, **more)  # type: ignore[arg-type]
    except RecommonsError as error:
        return error.code
    except Exception as error:  # noqa: BLE001 - the app turns it into site/internal
        return type(error).__name__
    return "answered"


def after_restoring(stage: Stage, backup: bytes, exchange: Exchange, body: bytes) -> str:
    """How the target answers from an older database, if it opens it at all."""
    try:
        stage.restore(TARGET, backup)
    except RecommonsError as error:
        return error.code
    return outcome(stage, TARGET, exchange, body)


def hostile_state(stage: Stage, arrays: dict[str, np.ndarray], attempt: int = 0) -> list[str]:
    """How each site answers round 1 with this public state, when it comes to its own users."""
    protocol = stage.protocol(round=1, attempt=attempt)
    for site in protocol.expected:
        protocol.receive(site, stage.ask(site, "advertise", round=1, attempt=attempt))
    protocol.close_advertise(arrays_to_bytes(arrays))
    for site in protocol.expected:
        body = protocol.message_for(site)
        try:
            protocol.receive(site, stage.ask(site, "shares", body, round=1, attempt=attempt))
        except RecommonsError as refused:
            return [refused.code] * 5
    protocol.close_shares()
    return [
        outcome(stage, site, "masked", protocol.message_for(site), round=1, attempt=attempt)
        for site in protocol.expected
    ]


def test_a_hostile_public_state_does_not_tell_which_items_users_touched(stage: Stage) -> None:
    """Three item vectors for a catalogue of six: only sites whose users touched later ones fail."""
    items, ridge = np.eye(3, 2), np.eye(2)
    answers = hostile_state(stage, {"items": items, "ridge": ridge})
    assert len(set(answers)) == 1


def test_a_public_state_of_another_shape_is_refused_before_shares_are_dealt(stage: Stage) -> None:
    answers = hostile_state(stage, {"items": np.zeros((6, 3)), "ridge": np.eye(3)})
    assert set(answers) == {"site/message"}


def test_an_unreadable_public_state_ends_the_attempt(stage: Stage) -> None:
    protocol = stage.protocol(round=1)
    for site in protocol.expected:
        protocol.receive(site, stage.ask(site, "advertise", round=1))
    protocol.close_advertise(b"not safetensors")
    message = protocol.message_for(TARGET)
    assert outcome(stage, TARGET, "shares", message, round=1) == "site/message"
    assert not stage.holds_state(TARGET, round=1)


def test_a_torn_last_line_of_the_ledger_file_is_mended(stage: Stage) -> None:
    path = stage.found.sites[TARGET] / "ledger.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 40])  # the power went while the line was written
    stage.restart(TARGET)
    stage.ask(TARGET, "advertise")
    assert [kind for kind, _ in ledger(stage)][-2:] == ["plan-accepted", "reserved"]


def test_publishing_at_once_writes_each_line_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two requests that end together: both count the file's lines before either writes."""
    site, gate = stage.sites[TARGET], threading.Barrier(2)
    with site.store.transaction() as transaction:
        site.record(transaction, "run-ended", {"run": "ab" * 16, "outcome": "finished"})
    begin = site.store.transaction

    def together() -> AbstractContextManager[Connection]:
        with suppress(threading.BrokenBarrierError):
            gate.wait(timeout=2)
        return begin()

    monkeypatch.setattr(site.store, "transaction", together)
    threads = [threading.Thread(target=site.publish_ledger) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [kind for kind, _ in ledger(stage)][-2:] == ["plan-accepted", "run-ended"]


def test_a_lost_database_beside_a_ledger_is_noticed(stage: Stage) -> None:
    stage.before("sign")
    stage.sites[TARGET].store.close()
    (stage.found.sites[TARGET] / "site.db").unlink()
    with pytest.raises(RecommonsError):
        Site.open(stage.found.sites[TARGET]).publish_ledger()


def test_an_older_database_beside_a_newer_ledger_is_noticed(stage: Stage) -> None:
    backup = stage.backup(TARGET)
    stage.before("sign")
    assert after_restoring(stage, backup, "advertise", b"") != "answered"


def test_a_vector_is_not_masked_again_from_an_older_database(stage: Stage) -> None:
    protocol = stage.before("masked")
    inbox = Inbox.from_bytes(protocol.message_for(TARGET))
    backup = stage.backup(TARGET)
    stage.ask(TARGET, "masked", inbox.to_bytes())
    other = inbox_without(inbox, 4).to_bytes()
    assert after_restoring(stage, backup, "masked", other) != "answered"


def test_every_run_that_ends_is_in_the_ledger(stage: Stage) -> None:
    coordinator = stage.found.coordinator.identity
    body = sign_announcement(stage.plan, OTHER_RUN, coordinator)
    stage.ask(TARGET, "join", body, run_id=OTHER_RUN)
    stage.ask(TARGET, "finish")
    stage.ask(TARGET, "finish", run_id=OTHER_RUN)
    ended = {entry["run"] for kind, entry in ledger(stage) if kind == "run-ended"}
    assert ended == {stage.run_id.hex(), OTHER_RUN.hex()}


def test_a_run_that_ended_takes_no_more_rounds(stage: Stage) -> None:
    stage.ask(TARGET, "finish")
    assert outcome(stage, TARGET, "advertise") not in {"answered"}


def test_an_attempt_that_is_open_when_the_run_ends_is_in_the_ledger(stage: Stage) -> None:
    stage.before("masked")
    stage.ask(TARGET, "finish")
    assert "aborted" in [kind for kind, _ in ledger(stage)]


def test_what_was_revealed_is_gone_from_the_disk_when_the_run_ends(stage: Stage) -> None:
    protocol = stage.before("reveal")
    stage.exchange(protocol, "reveal")
    stage.ask(TARGET, "finish")
    assert stage.traces[TARGET].left() == 0


def test_a_plan_that_the_protocol_cannot_carry_out_is_refused_when_joining(stage: Stage) -> None:
    path = stage.found.sites[TARGET] / "policy.toml"
    written = path.read_text()
    path.write_text(written.replace("least_survivors = 4", "least_survivors = 2"))
    assert path.read_text() != written
    stage.restart(TARGET)
    plan = changed(stage.plan, privacy__min_survivors=3)  # the quorum of five with c = 1 is four
    body = sign_announcement(plan, OTHER_RUN, stage.found.coordinator.identity)
    assert outcome(stage, TARGET, "join", body, run_id=OTHER_RUN) not in {"answered"}


def test_a_round_under_another_roster_than_the_plans_is_refused(stage: Stage) -> None:
    """The operator approved a new epoch after joining; the plan was made for the old one."""
    pinned = stage.found.coordinator.federation
    newer = replace(pinned.roster, epoch=2).sign(stage.federation_key)
    accept_federation(
        stage.found.sites[TARGET],
        Federation(
            signed_roster=newer,
            federation_key=pinned.federation_key,
            coordinator_key=pinned.coordinator_key,
        ),
    )
    stage.restart(TARGET)
    assert outcome(stage, TARGET, "advertise") == "plan/roster"


def test_a_plan_with_a_number_json_cannot_carry_is_refused_by_name(stage: Stage) -> None:
    for number in (b'"seed":9007199254740993', b'"seed":NaN', b'"seed":1e999'):
        plan = stage.plan.to_bytes().replace(b'"seed":0', number)
        assert plan != stage.plan.to_bytes()
        assert outcome(stage, TARGET, "join", bytes(64) + plan, run_id=OTHER_RUN) == "plan/invalid"


def test_two_joins_at_once_are_both_answered(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both find the run unknown and both check the plan before either writes it down."""
    body = sign_announcement(stage.plan, OTHER_RUN, stage.found.coordinator.identity)
    gate, results = threading.Barrier(2), []
    check = joining.check_mechanism

    def together(site: Site, plan: Plan) -> None:
        check(site, plan)
        gate.wait(timeout=10)

    monkeypatch.setattr(joining, "check_mechanism", together)

    def ask() -> None:
        results.append(outcome(stage, TARGET, "join", body, run_id=OTHER_RUN))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["answered", "answered"]


def test_no_secret_is_in_the_text_of_a_database_error(stage: Stage) -> None:
    body = stage.before("shares").message_for(TARGET)
    with stage.sites[TARGET].store.transaction() as transaction:
        transaction.execute(
            text(
                "CREATE TRIGGER full BEFORE UPDATE OF state ON contexts "
                "BEGIN SELECT RAISE(ABORT, 'no room'); END"
            )
        )
    with pytest.raises(SQLAlchemyError) as caught:
        stage.ask(TARGET, "shares", body)
    assert "no room" in str(caught.value)
    assert "[parameters:" not in str(caught.value)


def test_the_same_users_are_not_charged_for_run_after_run_without_limit(folder: Path) -> None:
    """The cap is over all plans ever joined: the one plan that uses it up is the last."""
    ground = Ground.found(folder / "capped", epsilon=4.0, spare_attempts=0)
    with ground.stage(folder / "capped-stage") as stage:
        body = sign_announcement(stage.plan, OTHER_RUN, stage.found.coordinator.identity)
        assert outcome(stage, TARGET, "join", body, run_id=OTHER_RUN) == "policy/spent"
        kind, entry = ledger(stage)[-1]
        assert (kind, entry["code"]) == ("plan-refused", "policy/spent")


def test_the_dealer_of_bad_shares_is_named_in_the_victims_ledger(stage: Stage) -> None:
    protocol = stage.honest
    puppet = Puppet(stage, COLLUDER, protocol)
    protocol.receive(COLLUDER, puppet.advertisement)
    stage.before("shares", without=(COLLUDER,))
    forged = puppet.forged_shares(protocol.message_for(COLLUDER), dealt_to={0: bytes(98)})
    protocol.receive(COLLUDER, forged)
    stage.before("masked")
    assert outcome(stage, TARGET, "masked", protocol.message_for(TARGET)) == (
        "secagg/inbox-commitment"
    )
    kind, body = ledger(stage)[-1]
    assert kind == "aborted"
    assert COLLUDER in str(body)


def test_attempts_that_come_to_nothing_are_limited(stage: Stage) -> None:
    answers = [outcome(stage, TARGET, "advertise", attempt=number) for number in range(6)]
    assert set(answers[4:]) == {"site/budget"}


def joined(stage: Stage, answers: dict[int, bytes]) -> object:
    """The cohort as the coordinator sees it when these nodes answer ``join``."""

    class Nodes:
        def nodes(self) -> list[int]:
            return list(answers)

        def exchange(self, *_args: object, **_options: object) -> dict[int, Answer]:
            return {node: Answer(body=body) for node, body in answers.items()}

    line: Any = Nodes()
    return cohort.join_cohort(line, stage.found.coordinator, 1.0).nodes


def test_a_node_does_not_take_another_sites_seat(stage: Stage) -> None:
    answers = {k: stage.ask(site, "join", stage.announcement()) for k, site in enumerate(SITES)}
    impostor = {99: b'{"head":"","seq":-1,"site":"site-0"}'}
    assert joined(stage, answers | impostor) == {s: k for k, s in enumerate(SITES)}


@pytest.mark.parametrize("garbage", [b"", b"[" * 100_000, b"\xff"])
def test_one_nodes_garbage_does_not_end_the_run_for_all(garbage: bytes, stage: Stage) -> None:
    answers = {k: stage.ask(site, "join", stage.announcement()) for k, site in enumerate(SITES)}
    try:
        nodes = joined(stage, answers | {99: garbage})
    except (RecommonsError, RecursionError) as error:
        raise AssertionError(type(error).__name__) from None
    assert nodes == {site: k for k, site in enumerate(SITES)}
