import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recommons.server.transport.wakeups import WAKE_FOLDER, Wakeups


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Wakeups, Wakeups]]:
    monkeypatch.setenv(WAKE_FOLDER, str(tmp_path / "wake"))
    app, gateway = Wakeups.of_app(), Wakeups.of_gateway()
    yield app, gateway
    app.close()
    gateway.close()


def waited(wakeups: Wakeups, seconds: float) -> float:
    start = time.monotonic()
    wakeups.wait(seconds)
    return time.monotonic() - start


def test_a_nudge_ends_a_wait_and_counts_once(pair: tuple[Wakeups, Wakeups]) -> None:
    app, gateway = pair
    for one, other in ((app, gateway), (gateway, app)):
        threading.Timer(0.1, one.nudge).start()
        assert waited(other, 20) < 15
        one.nudge()
        one.nudge()
        assert waited(other, 20) < 15
        assert waited(other, 0.2) >= 0.19  # both were taken together


def test_nudges_that_nobody_takes_do_no_harm(pair: tuple[Wakeups, Wakeups]) -> None:
    app, gateway = pair
    for _ in range(5000):
        app.nudge()
    assert waited(gateway, 20) < 15


def test_a_process_that_is_gone_is_forgotten(pair: tuple[Wakeups, Wakeups], tmp_path: Path) -> None:
    app, gateway = pair
    assert app.socket is not None
    app.socket.close()
    gateway.nudge()
    assert [path.name for path in (tmp_path / "wake").iterdir()] == ["gateway"]


def test_without_a_folder_a_wait_is_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WAKE_FOLDER, raising=False)
    alone = Wakeups.of_app()
    alone.nudge()
    assert waited(alone, 0.1) >= 0.1
    alone.close()
