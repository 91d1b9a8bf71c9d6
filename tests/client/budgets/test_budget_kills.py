"""`kill -9` at every write of joining and of a round: what left the site is never under-counted."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recommons.common.heads import Place
from recommons.common.wire import Exchange, Outcome
from recommons.simulations.attacks.notary import Notary
from tests.client.seat import OWN, RUN, SITES, STATE, Seat

Kills = list[dict[str, Any]]
ROOT = Path(__file__).parents[3]
USERS = 6


@pytest.fixture
def seat(tmp_path: Path, tiny_data: Path) -> Seat:
    seat = Seat.take(tmp_path / "run", tiny_data)
    seat.plans[RUN] = seat.plan(tiny_data, spare_attempts=1)
    for site in SITES:
        seat.edit(site, plans={"most_spare_attempts": 1})
        seat.open(site).store.close()
    return seat


@pytest.fixture
def kills(seat: Seat, tmp_path: Path) -> Callable[[Exchange, bytes], Kills]:
    """Let the site answer once for every write at which it can be killed."""

    def run(exchange: Exchange, body: bytes) -> Kills:
        request = tmp_path / "request.json"
        fields = {"run": RUN.hex(), "exchange": exchange, "attempt": 0, "now": seat.now}
        request.write_text(json.dumps(fields | {"body": body.hex()}))
        folder = seat.found.sites[OWN]
        done = subprocess.run(
            [sys.executable, "-m", "tests.client.killing", str(folder), str(request)],
            cwd=ROOT,
            capture_output=True,
            check=True,
            timeout=500,
        )
        found = [json.loads(line) for line in done.stdout.splitlines()]
        assert [kill["k"] for kill in found] == list(range(len(found)))
        assert [kill["lived"] is None for kill in found] == [True] * (len(found) - 1) + [False]
        return found

    return run


def test_joining_is_charged_in_full_or_not_at_all(
    seat: Seat, kills: Callable[[Exchange, bytes], Kills]
) -> None:
    found = kills("join", seat.announcement())
    assert len(found) > 15
    states = set()
    for kill in found:
        before, after = kill["before"], kill["after"]
        assert before["joined"] == before["charged"] == (before["users"] == USERS)
        assert before["kinds"].get("plan-accepted", 0) == before["joined"]
        states.add(before["joined"])
        assert (after["users"], after["kinds"]["plan-accepted"]) == (USERS, 1)
    assert states == {False, True}
    assert len({kill["reply"] for kill in found}) == 1  # the acceptance; a signature is the same


def test_a_vector_that_may_leave_is_charged(
    seat: Seat, kills: Callable[[Exchange, bytes], Kills]
) -> None:
    seat.join()
    body = seat.to_masked().message_for(OWN)
    found = kills("masked", body)
    assert len(found) > 10
    for kill in found:
        before, after = kill["before"], kill["after"]
        assert before["users"] == after["users"] == USERS  # reserved before anything else
        assert before["attempts"] == before["committed"] * USERS
        assert before["kinds"].get("committed", 0) == before["committed"]
        assert len(kill["reply"]) == 64, kill["reply"]  # the vector left now: noted, and once
        assert (after["committed"], after["attempts"]) == (1, USERS)
    assert {kill["before"]["committed"] for kill in found} == {0, 1}
    assert found[-1]["lived"]["reply"] == found[-1]["reply"]  # the very same bytes again


@pytest.mark.parametrize("exchange", ["advertise", "shares", "finish"])
def test_no_other_step_loses_a_reservation(
    seat: Seat, kills: Callable[[Exchange, bytes], Kills], exchange: Exchange
) -> None:
    seat.join()
    if exchange == "shares":
        body = keys_for_the_site(seat)
    else:
        body = Outcome().to_bytes() if exchange == "finish" else b""
    for kill in kills(exchange, body):
        assert kill["before"]["users"] == kill["after"]["users"] == USERS
        assert len(kill["reply"]) == 64, kill["reply"]


@pytest.mark.parametrize("exchange", ["sign", "reveal"])
def test_once_the_vector_left_it_stays_charged_whatever_happens(
    seat: Seat, kills: Callable[[Exchange, bytes], Kills], exchange: Exchange
) -> None:
    seat.join()
    body = message_after_masked(seat, exchange)
    found = kills(exchange, body)
    for kill in found:
        for state in (kill["before"], kill["after"]):
            assert (state["users"], state["attempts"], state["committed"]) == (USERS, USERS, 1)
        assert len(kill["reply"]) == 64, kill["reply"]
        assert kill["after"]["kinds"].get("released", 0) == (exchange == "reveal")
    assert len({kill["reply"] for kill in found}) == 1  # and the site says the same again


def message_after_masked(seat: Seat, exchange: Exchange) -> bytes:
    """What comes to the site in a later step of an attempt that all others played honestly."""
    protocol, notary = seat.to_masked(), Notary(found=seat.found)
    place = Place(run=RUN.hex(), round=0, attempt=0)
    for site in protocol.expected:
        reply = seat.ask(site, "masked", protocol.message_for(site))
        protocol.receive(site, notary.take(place, site, reply))
    protocol.close_masked()
    if exchange == "sign":
        return protocol.message_for(OWN)
    for site in protocol.expected:
        protocol.receive(site, seat.ask(site, "sign", protocol.message_for(site)))
    protocol.close_signatures()
    return notary.with_receipt(place, protocol.message_for(OWN))


def keys_for_the_site(seat: Seat) -> bytes:
    protocol = seat.protocol()
    for site in protocol.expected:
        protocol.receive(site, seat.ask(site, "advertise"))
    protocol.close_advertise(STATE)
    return protocol.message_for(OWN)
