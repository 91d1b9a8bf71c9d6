"""The desk over real TLS: what strangers can do to it."""

import asyncio
import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace as _replace

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from recommons.common.enrolment import APPLY, AUTHORITY, LARGEST_CALL, OFFER, seal_call
from recommons.server.certificates.renewal import serve_renewed
from recommons.server.federation import serve
from recommons.server.federation.book import Book
from recommons.server.federation.desk import Bounds, Turnstile
from recommons.server.federation.serve import Housekeeping, desk_server, desk_tls
from recommons.server.records.home import CoordinatorHome
from tests.server.federation.conftest import DAY, Applicant, Founded
from tests.serving import served

BOUNDS = Bounds(per_second=1.0, burst=20, all_per_second=15.0, body_seconds=1.0)


@pytest.fixture
def port(founded: Founded) -> Iterator[int]:
    home = founded.office.home
    with served(desk_server(home, founded.office.book, desk_tls(home), BOUNDS)) as port:
        yield port


@pytest.fixture
def client(founded: Founded, port: int) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=str(founded.folder / "authority.pem"))
    url = f"https://127.0.0.1:{port}"
    with httpx.Client(base_url=url, verify=context, timeout=10) as client:
        yield client


def test_it_answers_three_calls_and_nothing_else(client: httpx.Client) -> None:
    assert client.get(AUTHORITY).status_code == 200
    for path in (
        "/",
        "/docs",
        "/openapi.json",
        "/v1/recommons/news",
        "/v1/fleet/pull-messages",
        "/v1/control/start-run",
        APPLY + "/",
        "/" + APPLY,
        APPLY.replace("/v1/", "/v1/%2e%2e/v1/"),
    ):
        assert client.post(path, content=b"x").status_code == 404, path
    assert client.get(APPLY).status_code == 405


def test_a_flood_is_turned_away_and_the_book_never_hears_of_it(
    client: httpx.Client, founded: Founded, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = 0
    real = founded.office.book.invited

    def counting(*arguments: object) -> object:
        nonlocal heard
        heard += 1
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(founded.office.book, "invited", counting)
    call = seal_call(founded.invite("plum").keys, "nothing")
    statuses = [client.post(OFFER, content=call).status_code for _ in range(60)]
    assert statuses[0] == 403
    assert statuses.count(429) >= 35
    assert heard <= 25


def test_a_large_call_is_refused_before_it_is_read(client: httpx.Client) -> None:
    assert client.post(APPLY, content=b"x" * (LARGEST_CALL + 1)).status_code == 413


def test_a_call_that_dribbles_in_is_given_up(client: httpx.Client) -> None:
    def slowly() -> Iterator[bytes]:
        for _ in range(30):
            yield b"x"
            time.sleep(0.1)

    start = time.monotonic()
    with suppress(httpx.TransportError):  # the connection may be closed under it
        assert client.post(APPLY, content=slowly()).status_code == 400
    assert time.monotonic() - start < 3


def test_a_refusal_says_a_code_and_nothing_more(
    client: httpx.Client, founded: Founded, plum: Applicant
) -> None:
    token = founded.invite("plum")
    body = seal_call(_replace(token, secret=b"x" * 16).keys, "apply", b"secret words")
    answer = client.post(APPLY, content=body)
    assert (answer.status_code, answer.json()) == (403, {"code": "enrolment/unknown"})
    assert "server" not in answer.headers
    assert plum.site == "plum"


def test_older_tls_is_not_spoken(founded: Founded, port: int) -> None:
    context = ssl.create_default_context(cafile=str(founded.folder / "authority.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        pytest.raises(ssl.SSLError),
        context.wrap_socket(plain, server_hostname="127.0.0.1"),
    ):
        pass


def test_one_address_over_its_bound_takes_nothing_from_the_others() -> None:
    turnstile = Turnstile(Bounds(per_second=1, burst=5, all_per_second=10))
    passed = [turnstile.passes("loud", 0.0) for _ in range(100)]
    assert passed.count(True) == 5
    assert turnstile.passes("quiet", 0.0)
    assert turnstile.passes("loud", 1.0)
    many = Turnstile(Bounds(addresses=10))
    for number in range(1000):
        many.passes(str(number), 0.0)
    assert len(many._buckets) == 10


def test_everybody_together_is_bounded() -> None:
    turnstile = Turnstile(Bounds(per_second=1, burst=5, all_per_second=10))
    assert sum(turnstile.passes(str(number), 0.0) for number in range(1000)) == 20


def test_housekeeping_mends_what_a_killed_act_left(founded: Founded, plum: Applicant) -> None:
    founded.let_in(plum)
    (founded.folder / "federation.json").unlink()
    (founded.folder / "sites" / "plum.pem").unlink()
    (founded.folder / "sites.json").write_text("torn")
    assert founded.office.home.members() == []
    keeping = Housekeeping(founded.office.home, founded.office.book)
    keeping.start()
    try:
        end = time.monotonic() + 10
        while not (founded.folder / "federation.json").exists() and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        keeping.stop()
    assert founded.office.home.members() == ["plum"]


def test_housekeeping_goes_on_when_the_book_could_not_be_read(
    founded: Founded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def publish(_home: CoordinatorHome, _book: Book) -> None:
        asked.append(None)
        raise OperationalError("BEGIN", {}, sqlite3.OperationalError("database is locked"))

    asked: list[None] = []
    monkeypatch.setattr(serve, "publish", publish)
    monkeypatch.setattr(serve, "_EVERY_SECONDS", 0.01)
    keeping = Housekeeping(founded.office.home, founded.office.book)
    keeping.start()
    try:
        end = time.monotonic() + 10
        while len(asked) < 3:
            assert time.monotonic() < end
            time.sleep(0.01)
    finally:
        keeping.stop()


def test_a_renewed_certificate_is_served_without_a_restart(
    founded: Founded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommons.server.certificates.renewal._LOOK_SECONDS", 0.05)
    home = founded.office.home
    tls = desk_tls(home)
    server = desk_server(home, founded.office.book, tls)
    server.config.port = 0
    path = founded.folder / "gateway.pem"
    thread = threading.Thread(target=lambda: asyncio.run(serve_renewed(server, tls, path)))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        first = ssl.get_server_certificate(("127.0.0.1", port))
        home.renew_gateway(now=DAY, force=True)
        end = time.monotonic() + 10
        while ssl.get_server_certificate(("127.0.0.1", port)) == first:
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        server.should_exit = True
        thread.join()
