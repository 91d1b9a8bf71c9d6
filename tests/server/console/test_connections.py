import time

import pytest

from recommons.server.console import connections as module
from recommons.server.console.connections import Connections

BERLIN = frozenset({"berlin"})


def wait(connections: Connections) -> None:
    end = time.monotonic() + 10
    time.sleep(0.05)
    while connections._busy.locked():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_was_known_half_a_minute_ago_is_not_known_now() -> None:
    now = [0.0]
    found = Connections(lambda: BERLIN, clock=lambda: now[0])
    assert found.known() is None
    wait(found)
    assert found.known() == BERLIN
    now[0] = 29.0
    assert found.known() == BERLIN  # and is asked again meanwhile
    wait(found)
    now[0] = 60.0
    assert found.known() is None
    wait(found)
    assert found.known() == BERLIN


def test_a_question_that_fails_leaves_nobody_connected_for_ever() -> None:
    now = [0.0]
    fails: list[None] = []

    def ask() -> frozenset[str]:
        if fails:
            raise PermissionError
        return BERLIN

    found = Connections(ask, clock=lambda: now[0])
    found.known()
    wait(found)
    assert found.known() == BERLIN
    fails.append(None)
    now[0] = 10.0
    found.known()
    wait(found)
    assert found.known() is None


def test_those_who_look_rarely_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[None] = []

    def ask() -> frozenset[str]:
        asked.append(None)
        return BERLIN

    monkeypatch.setattr(module, "_FOLLOWED_EVERY_SECONDS", 0.01)
    found = Connections(ask)
    with found.followed():
        end = time.monotonic() + 10
        while len(asked) < 3:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert found.known() == BERLIN
    time.sleep(0.1)
    count = len(asked)
    time.sleep(0.1)
    assert len(asked) == count
