"""`recommons coordinator start` while the SuperLink does not answer."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recommons.server.operating import superlink
from recommons.server.operating.processes import process_states
from recommons.server.operating.superlink import start_coordinator
from recommons.server.records.home import CoordinatorHome, CoordinatorSettings
from recommons.simulations.loopback import free_port


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    settings = CoordinatorSettings(
        federation="fruit", names=("127.0.0.1",), superlink_port=free_port()
    )
    return CoordinatorHome.create(tmp_path / "home", settings, now=datetime.now(UTC))


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Those of pytest come back."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_it_ends_when_asked_to_although_the_superlink_never_answered(
    home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(superlink, "coordinator_children", lambda _home: ())
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
    began = time.monotonic()
    start_coordinator(home)
    assert time.monotonic() - began < 10


def test_processes_of_an_earlier_start_are_never_taken_for_this_ones(
    home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container every supervisor has the same number."""
    inner = home.folder / "superlink"
    state = {"name": "gateway", "pid": 1, "up": True, "since": "", "starts": 1}
    told = {"supervisor": os.getpid(), "processes": [state]}
    (inner / "processes.json").write_text(json.dumps(told))
    seen: list[Any] = [process_states(inner)]

    @contextmanager
    def watched(_home: CoordinatorHome, address: tuple[str, int]) -> Iterator[tuple[str, int]]:
        seen.append(process_states(inner))
        os.kill(os.getpid(), signal.SIGTERM)
        yield address

    monkeypatch.setattr(superlink, "coordinator_children", lambda _home: ())
    monkeypatch.setattr(superlink, "watched", watched)
    start_coordinator(home, health="127.0.0.1:1")
    assert seen == [[state], []]
