"""Health endpoints and metrics, and logs: a real agent's, and nothing in them about users."""

import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recommons.client.agent.connection import Connection
from recommons.client.agent.credentials import create_node_key
from recommons.client.agent.logs import event
from recommons.client.operating.pausing import pause
from recommons.client.operating.watching import watched
from recommons.client.records.halting import note_earlier_ledger
from recommons.common.errors import InvalidInput
from recommons.common.health import parse_address
from recommons.common.privacy.ledger import Head
from recommons.server.records.home import CoordinatorHome, CoordinatorSettings
from recommons.simulations.loopback import free_port
from tests.client.seat import OWN, Seat
from tests.scraping import get, values


@pytest.mark.parametrize(
    ("text", "expected"),
    [("9464", ("127.0.0.1", 9464)), ("0.0.0.0:1", ("0.0.0.0", 1)), ("[::1]:80", ("::1", 80))],  # noqa: S104
)
def test_an_address_is_a_port_of_loopback_or_has_a_host(
    text: str, expected: tuple[str, int]
) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "host:", "host", "1:-2", "99999", "host:٣"])
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_address(text)


def test_events_of_the_agent_are_counted_and_the_folder_is_read(seat: Seat) -> None:
    log = logging.getLogger("recommons.client.agent.answering")
    log.setLevel(logging.INFO)
    seat.join()
    answered: dict[str, Any] = {
        "kind": "train.masked",
        "failed": False,
        "bytes_in": 10,
        "bytes_out": 2000,
        "seconds_fetching": 0.02,
        "seconds_computing": None,
        "seconds_sending": 0.1,
    }
    with watched(seat.found.sites[OWN], ("127.0.0.1", 0)) as (_, port):
        assert get(port, "/readyz") == (
            503,
            '{"ready": false, "reasons": ["agent/unreachable"]}\n',
        )
        event(log, "connected", node="1")
        assert get(port, "/readyz")[0] == 200
        event(log, "answered", **answered)
        other = {"code": "agent/bundle", "kind": "other", "seconds_computing": 2.0}
        event(log, "refused", **answered | other)
        event(log, "line lost", code="agent/tls", reason="x", pause=1.0)
        found = values(get(port, "/metrics")[1])
        with seat.open() as site:
            pause(site)
        assert "site/paused" in get(port, "/readyz")[1]
        paused = values(get(port, "/metrics")[1])
    name = "recommons_site_messages_total"
    assert found[f'{name}{{kind="train.masked",outcome="answered"}}'] == 1
    assert found[f'{name}{{kind="other",outcome="refused"}}'] == 1
    seconds = "recommons_site_message_seconds_sum"
    assert found[f'{seconds}{{kind="other",part="computing"}}'] == 2
    assert found[f'{seconds}{{kind="train.masked",part="sending"}}'] == 0.1
    assert f'{seconds}{{kind="train.masked",part="computing"}}' not in found
    assert found['recommons_site_bytes_total{direction="out"}'] == 4000
    assert found['recommons_site_link_failures_total{code="agent/tls"}'] == 1
    assert found["recommons_site_connected"] == 0
    assert found["recommons_site_open_runs"] == 1
    assert found["recommons_site_data_ok"] == 1
    assert (found["recommons_site_paused"], paused["recommons_site_paused"]) == (0, 1)
    assert found["process_resident_memory_bytes"] > 1e6


def test_what_keeps_the_site_away_is_named_also_where_its_folder_cannot_be_read(seat: Seat) -> None:
    folder = seat.found.sites[OWN]
    with seat.open() as site, site.store.transaction() as transaction:
        note_earlier_ledger(site, transaction, Head(writer=OWN, seq=99, hash=bytes(32)))
    with watched(folder, ("127.0.0.1", 0)) as (_, port):
        assert "site/earlier-ledger" in get(port, "/readyz")[1]
        assert values(get(port, "/metrics")[1])["recommons_site_earlier_ledger"] == 1
        (folder / "site.db").write_bytes(b"not a database" * 1000)
        status, text = get(port, "/readyz")
        assert (status, json.loads(text)["reasons"]) == (503, ["site/folder"])
        found = values(get(port, "/metrics")[1])
        assert found['recommons_site_fault{code="site/folder"}'] == 1
        assert "recommons_site_earlier_ledger" not in found


def test_no_figure_of_users_and_no_id_is_in_any_answer(seat: Seat) -> None:
    seat.set_users([f"zebra-{k}" for k in range(1234)])
    seat.join()
    with watched(seat.found.sites[OWN], ("127.0.0.1", 0)) as (_, port):
        answers = [get(port, path) for path in ("/livez", "/readyz", "/metrics", "/other")]
    assert [status for status, _ in answers] == [200, 503, 200, 404]
    for _, text in answers:
        assert "zebra" not in text
        assert "1234" not in text
        assert "users" not in text.replace("recommons_site", "")


def test_an_address_in_use_is_refused(seat: Seat) -> None:
    folder = seat.found.sites[OWN]
    with (
        watched(folder, ("127.0.0.1", 0)) as address,
        pytest.raises(InvalidInput) as refused,
        watched(folder, address),
    ):
        pass
    assert refused.value.code == "input/argument"


@contextmanager
def agent(folder: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "recommons.common.commandline", "site", "start", str(folder)]
    with log.open("wb") as file:
        process = subprocess.Popen([*command, "--health", str(port)], stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def test_a_real_agent_without_a_coordinator_is_alive_and_not_ready(
    seat: Seat, tmp_path: Path
) -> None:
    folder, log, port = seat.found.sites[OWN], tmp_path / "log", free_port()
    now = datetime.now(UTC)
    settings = CoordinatorSettings(federation="fruit", names=("127.0.0.1",), port=free_port())
    home = CoordinatorHome.create(tmp_path / "home", settings, now=now)
    (folder / "node.pem").write_bytes(home.admit(OWN, create_node_key(folder, OWN), now=now))
    (folder / "authority.pem").write_bytes((home.folder / "authority.pem").read_bytes())
    Connection(address=f"127.0.0.1:{settings.port}").write(folder)
    with agent(folder, port, log) as process:
        for _ in range(600):
            try:
                found = values(get(port, "/metrics")[1])
            except OSError:
                found = {}
            if found.get('recommons_site_link_failures_total{code="agent/unreachable"}', 0) >= 1:
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        assert found['recommons_site_link_failures_total{code="agent/unreachable"}'] >= 1
        assert get(port, "/livez")[0] == 200
        assert get(port, "/readyz")[0] == 503
    assert process.returncode == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"line lost", "stopped", "health endpoints"} <= {line["event"] for line in lines}
    for line in lines:
        assert {"time", "level", "from", "event"} <= line.keys()
