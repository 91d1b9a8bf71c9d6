"""Whatever is wrong around a site is told apart, on real sockets, and each comes with a remedy."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from recommons.client.membership import checks
from recommons.client.membership.checks import (
    check_certificate,
    check_disk,
    check_line,
    check_name,
    check_proxy,
    check_site,
)
from recommons.client.membership.desk_line import DeskLine, authority_context
from recommons.client.membership.findings import Finding, lines_of
from recommons.client.membership.tls_faults import heedless_of_time
from recommons.common.commandline import main
from recommons.common.errors import Refusal
from recommons.common.invitation import Invitation
from recommons.server.certificates.authority import Authority
from recommons.simulations.loopback import free_port
from tests.client.membership.conftest import Federation

NOW = datetime.now(UTC)
OURS, STRANGER = (Authority.create(name, now=NOW) for name in ("fruit", "other"))
Serve = Callable[..., str]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start a TLS server that answers every call, with a certificate made as asked."""
    listeners: list[socket.socket] = []

    def start(
        authority: Authority = OURS, *, name: str = "127.0.0.1", since: int = 0, days: int = 365
    ) -> str:
        made = authority.issue_server((name,), now=NOW + timedelta(days=since), days=days)
        path = tmp_path / f"{len(listeners)}.pem"
        path.write_bytes(made.certificate + made.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=_answer, args=(listener, context), daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.close()


def _answer(listener: socket.socket, context: ssl.SSLContext) -> None:
    with suppress(OSError):  # the listener is closed at the end
        while True:
            plain, _ = listener.accept()
            with (
                suppress(OSError),
                closing(plain),
                closing(context.wrap_socket(plain, server_side=True)) as line,
            ):
                line.recv(4096)
                line.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
                line.unwrap()


def looked(address: str, *, needed: bool = True) -> Finding:
    pem = OURS.credentials().certificate
    return check_line("tls", address, authority_context(pem), needed=needed)


def test_a_server_under_the_federations_authority_is_right(serve: Serve) -> None:
    assert looked(serve()).ok


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "has ended": ({"since": -30, "days": 10}, "rotate certificate"),
    "not valid yet": ({"since": 10}, "NTP"),
    "another name": ({"name": "coordinator.example.org"}, "--address"),
    "not under the federation's authority": ({"authority": STRANGER}, "proxy opens TLS"),
}


@pytest.mark.parametrize("said", FAULTS)
def test_why_a_certificate_is_not_believed_is_told_with_what_to_do(serve: Serve, said: str) -> None:
    made, remedy = FAULTS[said]
    found = looked(serve(**made))
    assert found.ok is False
    assert said in found.said
    assert remedy in found.remedy
    others = [text for text in FAULTS if text != said]
    assert not any(text in found.said for text in others)


@pytest.fixture
def torn() -> Iterator[str]:
    """A server that closes every line while hands are shaken, as one does that restarts."""
    listener = socket.create_server(("127.0.0.1", 0))

    def close() -> None:
        with suppress(OSError):
            while True:
                plain, _ = listener.accept()
                with closing(plain):
                    plain.recv(1 << 16)

    threading.Thread(target=close, daemon=True).start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    listener.close()


def test_a_line_that_is_torn_while_hands_are_shaken_shows_no_certificate(
    torn: str, federation: Federation
) -> None:
    found = looked(torn)
    assert "does not answer" in found.said
    assert "firewall" in found.remedy
    token = replace(Invitation.from_text(federation.invite("plum")), address=torn)
    with pytest.raises(Refusal) as refused, DeskLine.open(token):
        pass
    assert refused.value.code == "enrolment/unreachable", "which a join that waits asks again"


def test_clocks_are_compared_where_certificates_are_not_valid_and_believed_nowhere_else(
    serve: Serve,
) -> None:
    def ask(address: str) -> int:
        context = heedless_of_time(authority_context(OURS.credentials().certificate))
        with httpx.Client(verify=context) as client:
            return client.get(f"https://{address}/").status_code

    assert ask(serve(since=-30, days=10)) == 204
    for made in ({"name": "coordinator.example.org"}, {"authority": STRANGER}):
        with pytest.raises(httpx.ConnectError):
            ask(serve(**made))


def test_nobody_there_is_no_fault_of_a_door_that_may_be_shut() -> None:
    address = f"127.0.0.1:{free_port()}"
    assert looked(address).ok is False
    assert "firewall" in looked(address).remedy
    assert looked(address, needed=False).ok is None


def test_a_name_that_leads_nowhere_is_told_and_left_to_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = check_name("coordinator.invalid:9443")
    assert found.ok is False
    assert "DNS" in found.remedy
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    assert check_name("coordinator.invalid:9443").ok
    monkeypatch.setenv("NO_PROXY", ".invalid")
    assert check_name("coordinator.invalid:9443").ok is False


def test_a_proxy_that_does_not_answer_is_told(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_proxy("coordinator.example.org:9443").ok
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    found = check_proxy("coordinator.example.org:9443")
    assert found.ok is False
    assert "NO_PROXY" in found.remedy
    monkeypatch.setenv("NO_PROXY", "example.org")
    assert "none" in check_proxy("coordinator.example.org:9443").said
    monkeypatch.setenv("HTTPS_PROXY", f"http://{serve()}")
    assert "answers" in check_proxy("plum.example.com:9443").said


def test_a_disk_without_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_disk(tmp_path / "not" / "there" / "yet").ok
    monkeypatch.setattr(checks, "_LEAST_FREE", 1 << 62)
    found = check_disk(tmp_path)
    assert found.ok is False
    assert "Free" in found.remedy


@pytest.mark.parametrize(("days", "ok"), [(400, False), (350, None), (0, True)])
def test_a_certificate_is_told_before_it_ends(
    federation: Federation, days: int, ok: bool | None
) -> None:
    federation.let_in("plum")
    found = check_certificate(federation.site("plum"), NOW + timedelta(days=days))
    assert found.ok is ok
    assert bool(found.remedy) == (ok is not True)


def test_joining_says_which_name_or_proxy_is_wrong_before_anything_is_written(
    federation: Federation,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = Invitation.from_text(federation.invite("plum"))
    elsewhere = replace(token, address="coordinator.invalid:9444").to_text()
    assert federation.join(elsewhere, "plum") == 1
    told = capsys.readouterr()
    assert "FAIL  dns" in told.out
    assert "enrolment/check" in told.err
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
    assert federation.join(token.to_text(), "plum") == 1
    assert "FAIL  proxy" in capsys.readouterr().out
    assert not federation.site("plum").exists()


def test_data_that_do_not_fit_are_told_at_check_and_at_joining(
    federation: Federation, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = federation.site("plum")
    folder.mkdir()
    (folder / "events.csv").write_text("customer,sku\n1,a\n")
    (folder / "data.toml").write_text('[events]\nfiles = ["events.csv"]\n')
    assert federation.join(federation.invite("plum"), "plum") == 1
    told = capsys.readouterr().out
    assert "FAIL  data" in told
    assert "→" in told[told.index("FAIL  data") :]
    assert federation.office.requests() == []
    (folder / "events.csv").write_text("user_id,item_id\n1,a\n")
    federation.let_in("plum")
    assert main(["site", "check", str(folder)]) == 0
    (folder / "events.csv").write_text("customer,sku\n1,a\n")
    assert main(["site", "check", str(folder)]) == 1


def test_a_clock_an_hour_off_is_told_with_the_rest(federation: Federation) -> None:
    federation.let_in("plum")
    for seconds, direction in ((3600, "ahead"), (-3600, "behind")):
        found = check_site(federation.site("plum"), lambda: time.time() + seconds)  # noqa: B023
        wrong = [finding for finding in found if finding.ok is False]
        assert [finding.what for finding in wrong] == ["clock"]
        assert direction in wrong[0].said
        assert any("NTP" in line for line in lines_of(wrong))
