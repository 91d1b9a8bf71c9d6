"""A founded federation, and sites that ask to join it."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recommons.client.agent.credentials import create_node_key
from recommons.common import sealing
from recommons.common.enrolment import Application, Standing, seal_call
from recommons.common.invitation import Invitation
from recommons.common.secagg.identity import SigningIdentity
from recommons.server.federation.founding import found
from recommons.server.federation.office import Office
from recommons.server.federation.reception import Reception
from recommons.server.federation.sealed_key import KEY, open_federation_key
from recommons.server.records.home import CoordinatorSettings

PASSPHRASE = "correct horse"  # noqa: S105 - a test's
NOW = int(time.time())  # real sockets check certificates by the real clock
DAY = datetime.fromtimestamp(NOW, UTC)


@dataclass
class Applicant:
    """A site with keys of its own."""

    folder: Path
    site: str
    identity: SigningIdentity
    node_request: bytes

    @classmethod
    def make(cls, folder: Path, site: str) -> "Applicant":
        folder.mkdir(parents=True)
        return cls(
            folder, site, SigningIdentity(secrets.token_bytes(32)), create_node_key(folder, site)
        )

    def application(self, *, federation: str = "fruit", site: str | None = None) -> Application:
        name = site or self.site
        return Application.sign(federation, name, name, self.identity, self.node_request)


@dataclass
class Founded:
    """A federation with an operator at hand."""

    folder: Path
    office: Office
    reception: Reception

    def key(self) -> SigningIdentity:
        return open_federation_key(self.folder, self.folder / KEY, lambda: PASSPHRASE)

    def invite(self, site: str, seconds: int = 3600) -> Invitation:
        return self.office.invite(site, seconds=seconds, now=NOW)

    def apply(self, token: Invitation, asking: Application, now: int = NOW) -> Standing:
        call = seal_call(token.keys, "apply", asking.to_bytes())
        return Standing.from_bytes(self.reception.apply(call, now=now))

    def approve(self, site: str) -> None:
        self.office.approve(site, self.key, expected=None, now=DAY)

    def let_in(self, applicant: Applicant) -> Invitation:
        token = self.invite(applicant.site)
        self.apply(token, applicant.application())
        self.approve(applicant.site)
        return token


@pytest.fixture
def founded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Founded]:
    monkeypatch.setattr(sealing, "_COST", 2**10)  # half a second a founding, otherwise
    settings = CoordinatorSettings(federation="fruit", names=("127.0.0.1",))
    folder = tmp_path / "fruit"
    found(folder, settings, key_file=folder / KEY, passphrase=PASSPHRASE, now=DAY)
    with Office.open(folder) as office:
        yield Founded(folder, office, Reception(office.home, office.book))


@pytest.fixture
def plum(tmp_path: Path) -> Applicant:
    return Applicant.make(tmp_path / "plum", "plum")


@pytest.fixture
def cherry(tmp_path: Path) -> Applicant:
    return Applicant.make(tmp_path / "cherry", "cherry")
