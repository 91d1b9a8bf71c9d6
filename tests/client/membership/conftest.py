"""A federation whose enrolment desk and members' service answer on real TLS sockets."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import pytest
import uvicorn

from recommons.common import sealing
from recommons.common.commandline import main
from recommons.common.secagg.identity import SigningIdentity
from recommons.server.federation.desk import Bounds
from recommons.server.federation.founding import found
from recommons.server.federation.office import Office
from recommons.server.federation.sealed_key import KEY, open_federation_key
from recommons.server.federation.serve import desk_server, desk_tls
from recommons.server.gateway import Gateway, Limits, Members, SuperLink, gateway_server
from recommons.server.gateway.membership import Membership
from recommons.server.gateway.serve import server_tls
from recommons.server.gateway.shelf import Shelf
from recommons.server.records.home import CoordinatorSettings
from recommons.server.transport.depot import Depot
from recommons.simulations.loopback import free_port

PASSPHRASE = "correct horse"  # noqa: S105 - a test's
EVERY_CALL = Bounds(per_second=1000, burst=1000, all_per_second=1000)


@dataclass
class Federation:
    """A federation with an operator at hand, and its sites' folders."""

    folder: Path
    office: Office
    servers: list[tuple[uvicorn.Server, threading.Thread]] = field(default_factory=list)

    def site(self, name: str) -> Path:
        return self.folder.parent / name

    def invite(self, site: str, seconds: int = 3600) -> str:
        now = int(datetime.now(UTC).timestamp())
        return self.office.invite(site, seconds=seconds, now=now).to_text()

    @cached_property
    def key(self) -> SigningIdentity:
        return open_federation_key(self.folder, self.folder / KEY, lambda: PASSPHRASE)

    def approve(self, site: str) -> None:
        self.office.approve(site, lambda: self.key, expected=None, now=datetime.now(UTC))

    def join(self, token: str, site: str, *words: str) -> int:
        """`recommons site join` in this process."""
        folder = str(self.site(site))
        return main(["site", "join", token, folder, "--users", "1200", "--yes", *words])

    def let_in(self, site: str) -> str:
        token = self.invite(site)
        assert self.join(token, site, "--no-wait") == 1  # it waits for the operator
        self.approve(site)
        assert self.join(token, site) == 0
        return token

    def serve(self, server: uvicorn.Server) -> None:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
        thread.start()
        self.servers.append((server, thread))
        while not server.started:
            assert thread.is_alive()
            threading.Event().wait(0.01)

    def close(self) -> None:
        for server, thread in self.servers:
            server.should_exit = True
            thread.join()


@pytest.fixture
def federation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Federation]:
    monkeypatch.setattr(sealing, "_COST", 2**10)  # half a second a founding, otherwise
    settings = CoordinatorSettings(
        federation="fruit",
        names=("127.0.0.1",),
        port=free_port(),
        enrolment_port=free_port(),
        superlink_port=free_port(),
    )
    folder = tmp_path / "fruit"
    founded = found(
        folder, settings, key_file=folder / KEY, passphrase=PASSPHRASE, now=datetime.now(UTC)
    )
    home = founded.home
    with Office.open(folder) as office:
        federation = Federation(folder, office)
        authority = folder / "authority.pem"
        gateway = Gateway(
            members=Members(folder / "sites.json", "fruit"),
            upstream=SuperLink(
                "127.0.0.1", settings.superlink_port, authority, seconds=5, largest=1 << 20
            ),
            limits=Limits(),
            depot=Depot(tmp_path / "depot"),
            shelf=Shelf(folder),
            services=(Membership(home),),
        )
        tls = server_tls(folder / "gateway.pem", folder / "gateway.pem", authority)
        try:
            federation.serve(desk_server(home, office.book, desk_tls(home), EVERY_CALL))
            federation.serve(gateway_server(gateway, "127.0.0.1", settings.port, tls))
            yield federation
        finally:
            federation.close()
