"""A console on a free port of loopback, and a visitor to it."""

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn

from recommons.client.console.application import site_console
from recommons.client.console.reading import SiteReader
from recommons.common.console.application import Access
from recommons.common.console.guard import Guard
from recommons.common.console.listening import Listening
from recommons.common.console.passwords import PasswordRecord
from recommons.common.console.sessions import LoginLimit, Sessions
from recommons.server.console.application import coordinator_console
from recommons.server.console.connections import Connections
from recommons.server.console.reading import CoordinatorReader
from tests.serving import served

PASSWORD = "abcdef-abcdef-abcdef-abcdef"  # noqa: S105 - of these tests alone
COOKIE = "recommons-test"


def access(*, tries: int = 100) -> Access:
    return Access(
        record=PasswordRecord.make(PASSWORD, b"salt" * 4),
        sessions=Sessions(secrets.token_bytes, time.monotonic),
        limit=LoginLimit(time.monotonic, tries=tries),
        cookie=COOKIE,
    )


def coordinator_app(folder: Path, *, tries: int = 100) -> Guard:
    connections = Connections(lambda: frozenset({"berlin"}))
    return coordinator_console(CoordinatorReader(folder), connections, access(tries=tries))


def site_app(folder: Path) -> Guard:
    return site_console(SiteReader(folder, time.time), access())


@contextmanager
def at(app: Guard) -> Iterator[str]:
    """Serve it; gives its address."""
    settings = Listening(host="127.0.0.1", port=1).server_settings()
    with served(uvicorn.Server(uvicorn.Config(app, **settings))) as port:
        yield f"http://127.0.0.1:{port}"


def form_token(page: str) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', page)
    assert found is not None
    return found[1]


@contextmanager
def visitor(address: str, *, inside: bool = True) -> Iterator[httpx.Client]:
    """A browser without scripts, logged in."""
    with httpx.Client(base_url=address, trust_env=False) as client:
        if inside:
            token = form_token(client.get("/login").text)
            answer = client.post("/login", data={"form_token": token, "password": PASSWORD})
            assert (answer.status_code, answer.headers["location"]) == (303, "/")
        yield client
