"""The server of health pages: what it answers when things go wrong, to whom, and where."""

import json
import logging
import re
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from recommons import common
from recommons.common.errors import InvalidInput
from recommons.common.health import Health, parse_address
from recommons.common.health_server import serve_health
from tests.scraping import get

LOOPBACK = ("127.0.0.1", 0)
REQUEST = b"GET /readyz HTTP/1.0\r\n\r\n"


def health(reasons: Callable[[], Sequence[str]]) -> Health:
    return Health(reasons=reasons, registry=CollectorRegistry())


def test_the_package_names_the_modules_that_listen() -> None:
    room = Path(common.__file__).parent
    listens = re.compile(r"^(?:import|from) (?:asyncio|http.server|socketserver|uvicorn)\b", re.M)
    found = {
        ".".join(path.relative_to(room).with_suffix("").parts)
        for path in room.rglob("*.py")
        if listens.search(path.read_text("utf-8"))
    }
    told = str(common.__doc__).partition("modules listen: ")[2]
    assert found == set(re.findall(r"`([\w.]+)`", told))


def ipv6_is_here() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_a_fault_is_answered_by_its_code_and_logged_by_its_type_alone(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    faults: list[Exception] = [ZeroDivisionError("user 17"), InvalidInput("audit/path", "")]

    def failing() -> Sequence[str]:
        raise faults.pop(0)

    with caplog.at_level(logging.DEBUG), serve_health(health(failing), LOOPBACK) as (_, port):
        assert get(port, "/readyz") == (503, '{"ready": false, "reasons": ["command/fault"]}\n')
        assert json.loads(get(port, "/readyz")[1])["reasons"] == ["audit/path"]
        assert get(port, "/livez")[0] == 200
    assert [record.getMessage() for record in caplog.records] == [
        "health page failed: ZeroDivisionError"
    ]
    assert capfd.readouterr().err == ""


def test_a_metric_that_fails_is_no_dropped_connection(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def collect(self) -> Sequence[object]:
            raise OSError("path")

        def describe(self) -> Sequence[object]:
            return ()

    registry = CollectorRegistry()
    registry.register(Broken())  # type: ignore[arg-type]  # it collects nothing
    with serve_health(Health(reasons=tuple, registry=registry), LOOPBACK) as (_, port):
        assert get(port, "/metrics")[0] == 503
    assert "path" not in caplog.text


def test_a_peer_that_went_away_is_no_event(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    asked, gone = threading.Event(), threading.Event()

    def slow() -> Sequence[str]:
        asked.set()
        assert gone.wait(10)
        return ["x" * (8 << 20)]  # more than a socket's buffers hold

    with serve_health(health(slow), LOOPBACK) as address:
        peer = socket.create_connection(address)
        peer.sendall(REQUEST)
        assert asked.wait(10)
        # Closed with a reset.
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        gone.set()
        assert get(address[1], "/livez")[0] == 200  # which waited for that answer
        others = [t for t in threading.enumerate() if "process_request_thread" in t.name]
        for thread in others:
            thread.join(10)
    assert caplog.text == ""
    assert capfd.readouterr().err == ""


def test_no_more_than_eight_callers_are_held_at_once() -> None:
    with serve_health(health(tuple), LOOPBACK) as address:
        silent = [socket.create_connection(address, timeout=5) for _ in range(8)]
        for _ in range(3):
            with socket.create_connection(address, timeout=5) as refused:
                assert received(refused) == b""
        assert b"200 OK" in received(silent[0], REQUEST)
        for _ in range(100):  # its place is free in an instant
            with socket.create_connection(address, timeout=5) as again:
                if answered := b"200 OK" in received(again, REQUEST):
                    break
        assert answered
        for peer in silent:
            peer.close()


def received(peer: socket.socket, request: bytes = b"") -> bytes:
    found = b""
    with suppress(ConnectionError):  # hung up on
        peer.sendall(request)
        while part := peer.recv(4096):
            found += part
    return found


def test_pages_are_made_one_at_a_time() -> None:
    inside, most, guard = [0], [0], threading.Lock()

    def counted() -> Sequence[str]:
        with guard:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        threading.Event().wait(0.05)
        with guard:
            inside[0] -= 1
        return ()

    with serve_health(health(counted), LOOPBACK) as (_, port):
        callers = [threading.Thread(target=get, args=(port, "/readyz")) for _ in range(5)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert most == [1]


@pytest.mark.skipif(not ipv6_is_here(), reason="this machine has no ::1")
def test_an_address_of_ipv6_is_listened_on() -> None:
    host, _ = parse_address("[::1]:80")
    with serve_health(health(tuple), (host, 0)) as (listening, port):
        assert listening == "::1"
        assert get(port, "/readyz", "[::1]")[0] == 200


@pytest.mark.parametrize("text", ["::1:80", "::1", "[::1:80", "::1]:80", "[[::1]]:80", "[host]:80"])
def test_an_address_of_ipv6_stands_in_brackets(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_address(text)


def test_no_name_service_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_arguments: object) -> str:
        raise AssertionError

    for name in ("getfqdn", "gethostbyaddr", "getnameinfo"):
        monkeypatch.setattr(socket, name, ask)
    with serve_health(health(tuple), LOOPBACK) as (_, port):
        assert get(port, "/livez")[0] == 200
