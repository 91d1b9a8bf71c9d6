"""A paused site begins nothing, and finishes what its vector went into."""

import json
from pathlib import Path

import pytest

from recommons.client.operating.pausing import pause, paused, resume
from recommons.common import commandline
from tests.client.seat import OWN, Seat


def set_paused(seat: Seat, *, to: bool) -> None:
    with seat.open() as site:
        if to:
            pause(site, "zebra-7741")
        else:
            resume(site)


def test_a_paused_site_joins_nothing_until_it_is_resumed(seat: Seat) -> None:
    set_paused(seat, to=True)
    before = seat.ledger()
    assert seat.refused(OWN, "join", seat.announcement()) == "site/paused"
    assert seat.ledger() == before, "a pause is no decision about a plan"
    set_paused(seat, to=False)
    seat.join()


def test_a_reason_that_nobody_can_read_is_refused_by_name_and_pauses_nothing(
    seat: Seat, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(seat.found.sites[OWN])
    assert commandline.main(["site", "pause", folder, "--reason", "x" * 501]) == 2
    told = capsys.readouterr().err
    assert "reason is '501 characters'; required: at most 500" in told
    with seat.open() as site, site.store.transaction() as transaction:
        assert paused(site.store, transaction) is None


def test_a_pause_in_a_run_holds_from_the_next_attempt_and_the_next_vector(seat: Seat) -> None:
    seat.join()
    protocol = seat.to_masked()
    set_paused(seat, to=True)
    assert seat.refused(OWN, "masked", protocol.message_for(OWN)) == "site/paused"
    assert seat.refused(OWN, "advertise", attempt=1) == "site/paused"
    set_paused(seat, to=False)
    assert seat.mask(protocol)


def test_a_paused_site_lets_the_others_finish_the_round_its_vector_is_in(seat: Seat) -> None:
    seat.join()
    protocol = seat.to_masked()
    for site in protocol.expected:
        protocol.receive(site, seat.mask(protocol, site))
    set_paused(seat, to=True)
    protocol.close_masked()
    for site in protocol.expected:
        protocol.receive(site, seat.ask(site, "sign", protocol.message_for(site)))
    seat.finish()
    assert [kind for kind, _ in seat.ledger()][-1] == "run-ended"


def test_the_reason_stays_at_the_site(seat: Seat) -> None:
    set_paused(seat, to=True)
    with seat.open() as site, site.store.transaction() as transaction:
        held = paused(site.store, transaction)
    assert held is not None
    assert held.reason == "zebra-7741"
    seat.refused(OWN, "join", seat.announcement())
    for book in ("ledger.jsonl", "receipts.jsonl"):
        path = seat.found.sites[OWN] / book
        assert not path.exists() or b"zebra" not in path.read_bytes()


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, object]]:
    capsys.readouterr()
    status = commandline.main(["site", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_the_commands_say_what_holds(
    seat: Seat, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = str(seat.found.sites[OWN])
    status, found = command(capsys, "pause", folder, "--reason", "new disk")
    assert (status, found["paused"]) == (0, True)
    since = found["since"]
    assert command(capsys, "pause", folder)[1]["since"] == since, "the first pause goes on"
    status, found = command(capsys, "status", folder)
    assert found["paused"] == {"since": since, "reason": "new disk"}
    assert command(capsys, "resume", folder)[1]["was_paused"] is True
    assert command(capsys, "resume", folder)[1]["was_paused"] is False
    status, found = command(capsys, "pause", str(tmp_path))
    assert (status, found["error"]["code"]) == (2, "site/folder")  # type: ignore[index]
