"""A gateway on real TLS sockets, in front of a stand-in for Flower's SuperLink."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from recommons.client.agent.credentials import create_node_key, read_node_key, tls_context
from recommons.server.certificates.authority import Authority, key_fingerprint
from recommons.server.gateway import Gateway, Limits, Members, SuperLink, gateway_server
from recommons.server.gateway.members import write_members
from recommons.server.gateway.serve import server_tls
from recommons.server.gateway.shelf import Shelf
from recommons.server.transport.depot import Depot
from recommons.server.transport.wakeups import Wakeups
from tests.serving import served

FEDERATION = "fruit"
LIMITS = Limits(
    small_bytes=4096,
    object_bytes=200_000,
    response_bytes=300_000,
    body_seconds=1.0,
    calls_per_second=5.0,
    burst=60,
)


@dataclass
class StandIn:
    """Answers what it is told to and remembers what it was asked."""

    answers: dict[str, bytes] = field(default_factory=dict)
    status: int = 200
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            body += event["body"]
            more = event.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append((scope["path"], headers, body))
        kind = b"application/protobuf" if self.status == 200 else b"application/json"
        start = {"status": self.status, "headers": [(b"content-type", kind)]}
        await send({"type": "http.response.start"} | start)
        await send({"type": "http.response.body", "body": self.answers.get(scope["path"], b"")})


@dataclass
class Door:
    """Everything a test needs.

    Attributes:
        folder: Holds the authority's files and a folder for each site.
        authority: The federation's.
        upstream: The stand-in.
        wakeups: The gateway's.
        app: Of the coordinator's app, played by the test.
        depot: Where the app and the gateway lay parcels.
        port: The gateway's.
        admit: Issues a site's certificate, and puts it on the members' list unless told not to.
    """

    folder: Path
    authority: Authority
    upstream: StandIn
    wakeups: Wakeups
    app: Wakeups
    depot: Depot
    port: int = 0
    members: dict[str, str] = field(default_factory=dict)

    def admit(
        self,
        site: str,
        *,
        by: Authority | None = None,
        now: datetime | None = None,
        days: int = 30,
        listed: bool = True,
    ) -> Path:
        home = self.folder / site
        home.mkdir()
        request = create_node_key(home, site)
        signer, moment = by or self.authority, now or datetime.now(UTC)
        certificate = signer.issue_site(FEDERATION, site, request, now=moment, days=days)
        (home / "node.pem").write_bytes(certificate)
        (home / "authority.pem").write_bytes(self.authority.credentials().certificate)
        if listed:
            self.list(site, key_fingerprint(read_node_key(home).public_key()))
        return home

    def list(self, site: str, fingerprint: str) -> None:
        self.members[site] = fingerprint
        write_members(self.folder / "sites.json", self.members)

    def client(self, home: Path) -> httpx.Client:
        url = f"https://127.0.0.1:{self.port}"
        return httpx.Client(base_url=url, verify=tls_context(home), timeout=10)

    def context(self, home: Path | None) -> ssl.SSLContext:
        """TLS without a client certificate, or with one."""
        if home is not None:
            return tls_context(home)
        return ssl.create_default_context(cafile=self.folder / "authority.pem")


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A gateway for this test alone."""
    authority = Authority.create(FEDERATION, now=datetime.now(UTC))
    (tmp_path / "authority.pem").write_bytes(authority.credentials().certificate)
    for name in ("gateway", "link"):
        issued = authority.issue_server(["127.0.0.1", "localhost"], now=datetime.now(UTC))
        (tmp_path / f"{name}.pem").write_bytes(issued.certificate)
        (tmp_path / f"{name}.key").write_bytes(issued.key)
    write_members(tmp_path / "sites.json", {})
    wakeups = Wakeups(tmp_path / "wake", "gateway", "app-*")
    app = Wakeups(tmp_path / "wake", "app-1", "gateway")
    depot = Depot(tmp_path / "depot")
    found = Door(tmp_path, authority, StandIn(), wakeups, app, depot)
    with ExitStack() as stack:
        inner = uvicorn.Config(
            found.upstream,
            lifespan="off",
            ws="none",
            log_config=None,
            ssl_certfile=tmp_path / "link.pem",
            ssl_keyfile=tmp_path / "link.key",
        )
        port = stack.enter_context(served(uvicorn.Server(inner)))
        gateway = Gateway(
            members=Members(tmp_path / "sites.json", FEDERATION),
            upstream=SuperLink(
                "127.0.0.1",
                port,
                tmp_path / "authority.pem",
                seconds=2,
                largest=LIMITS.response_bytes,
            ),
            depot=depot,
            limits=LIMITS,
            wakeups=found.wakeups,
            shelf=Shelf(tmp_path),
        )
        tls = server_tls(
            tmp_path / "gateway.pem", tmp_path / "gateway.key", tmp_path / "authority.pem"
        )
        server = gateway_server(gateway, "127.0.0.1", 0, tls)
        found.port = stack.enter_context(served(server))
        yield found
    wakeups.close()
    app.close()
