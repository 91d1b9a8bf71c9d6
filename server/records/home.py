"""The coordinator's home: everything its processes need, for all runs of one federation.

| file | holds |
|---|---|
| `federation.toml` | the federation's id, the names it is reached by, the ports |
| `federation.key`, `federation.pub` | the offline key that signs rosters, sealed; its public half |
| `coordinator.key` | the coordinator's signing key (hex, readable by its owner alone) |
| `policy.toml` | the policy proposed to sites that join |
| `catalogue.json` | the public catalogue that sites fetch, where the operator has put it there |
| `enrolment.db` | invitations, requests, epochs of the roster, certificates |
| `federation.json` | the roster in force and its keys, once a first site is approved |
| `authority.pem`, `authority.key` | the certificate authority (`authority.py`) |
| `gateway.pem` | certificate and key that sites see, of gateway and enrolment desk |
| `link.pem`, `link.key` | the SuperLink's own, seen on loopback alone |
| `sites.json` | who may pass the gateway: fingerprint of the node key by site |
| `sites/SITE.pem` | the certificate issued to a site, for renewal and for registering its node |
| `superlink/` | Flower's state (`state.db`), its secret, its home, the processes' logs |
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel, ConfigDict, Field

from recommons.common.data.catalogue_document import CATALOGUE_FILE, offered_from_bytes
from recommons.common.durably import write_durably
from recommons.common.errors import DataError, InvalidInput
from recommons.common.toml_file import read_settings
from recommons.server.certificates.authority import Authority, Credentials, key_fingerprint
from recommons.server.gateway.members import read_members, write_members

__all__ = ["CoordinatorHome", "CoordinatorSettings"]

_SETTINGS = "federation.toml"
_LOOPBACK = ("127.0.0.1", "localhost")
_LINK_DAYS = 3650
"""The SuperLink takes up no new certificate while it runs, and loopback alone sees this one."""

_RENEW_BEFORE = timedelta(days=60)
_Port = Annotated[int, Field(ge=1, le=65535)]
_Address = Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,200}$")]


class CoordinatorSettings(BaseModel):
    """`federation.toml`.

    Attributes:
        version: Of the file.
        federation: The federation's id.
        names: Host names and addresses that sites reach the gateway by.
        listen: Address that gateway and enrolment desk listen on.
        port: Port the gateway listens on.
        enrolment_port: Port the enrolment desk listens on.
        superlink_port: Port of the SuperLink, on loopback.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[int, Field(ge=1, le=1)] = 1
    federation: Annotated[str, Field(min_length=1)]
    names: Annotated[tuple[_Address, ...], Field(min_length=1)]
    listen: _Address = "127.0.0.1"
    port: _Port = 9443
    enrolment_port: _Port = 9444
    superlink_port: _Port = 9093

    @property
    def gateway(self) -> str:
        """``host:port`` by which sites reach the gateway."""
        return f"{_host(self.names[0])}:{self.port}"

    @property
    def desk(self) -> str:
        """``host:port`` by which sites reach the enrolment desk."""
        return f"{_host(self.names[0])}:{self.enrolment_port}"

    def to_toml(self) -> str:
        """The file's text."""
        names = ", ".join(f'"{name}"' for name in self.names)
        return (
            "# What the coordinator's processes are told when they start.\n"
            f"version = {self.version}\n"
            f'federation = "{self.federation}"\n'
            f"names = [{names}]\n"
            f'listen = "{self.listen}"\n'
            f"port = {self.port}\n"
            f"enrolment_port = {self.enrolment_port}\n"
            f"superlink_port = {self.superlink_port}\n"
        )


@dataclass(frozen=True, kw_only=True)
class CoordinatorHome:
    """An opened home.

    Attributes:
        folder: The folder.
        settings: Its settings.
    """

    folder: Path
    settings: CoordinatorSettings

    @classmethod
    def create(cls, folder: Path, settings: CoordinatorSettings, *, now: datetime) -> Self:
        """Make a home with a new authority and no sites.

        Args:
            folder: Must not hold a home yet.
            settings: Its settings.
            now: Start of the certificates' validity.

        Raises:
            InvalidInput: ``coordinator/home``: there is a home already.
        """
        if cls.is_in(folder):
            raise InvalidInput("coordinator/home", f"{folder} holds a coordinator already")
        for part in (folder, folder / "sites", folder / "superlink"):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = Authority.create(settings.federation, now=now)
        _write_credentials(folder, "authority", authority.credentials())
        gateway = authority.issue_server(settings.names, now=now)
        write_durably(folder / "gateway.pem", _bundle(gateway))
        link = authority.issue_server(_LOOPBACK, now=now, days=_LINK_DAYS)
        _write_credentials(folder, "link", link)
        write_durably(folder / "superlink" / "secret", secrets.token_hex(32).encode())
        write_members(folder / "sites.json", {})
        # Last: without this file there is no home, and making one can be begun anew.
        write_durably(folder / _SETTINGS, settings.to_toml().encode())
        return cls(folder=folder, settings=settings)

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether a folder holds a home."""
        return (folder / _SETTINGS).exists()

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open a home.

        Raises:
            InvalidInput: ``coordinator/home``.
        """
        if not cls.is_in(folder):
            raise InvalidInput("coordinator/home", f"{folder.absolute()} has no {_SETTINGS}")
        settings = read_settings(folder / _SETTINGS, CoordinatorSettings, "coordinator/home")
        return cls(folder=folder, settings=settings)

    @property
    def superlink_address(self) -> str:
        """``host:port`` of the SuperLink."""
        return f"127.0.0.1:{self.settings.superlink_port}"

    @property
    def authority(self) -> Authority:
        """The certificate authority, with its key."""
        return Authority.load(
            Credentials(
                certificate=(self.folder / "authority.pem").read_bytes(),
                key=(self.folder / "authority.key").read_bytes(),
            )
        )

    def admit(self, site: str, request: bytes, *, now: datetime) -> bytes:
        """Let a site in, or give it a new certificate; returns the certificate, PEM.

        The processes that run take it up without a restart; `nodes.register` tells Flower.

        Raises:
            InvalidInput: ``authority/request``.
        """
        certificate = self.authority.issue_site(self.settings.federation, site, request, now=now)
        self.install(site, certificate)
        return certificate

    def install(self, site: str, certificate: bytes) -> None:
        """Let in the site with this certificate of the authority's, PEM."""
        path = self.folder / "sites" / f"{site}.pem"
        if not path.exists() or path.read_bytes() != certificate:
            write_durably(path, certificate)
        self._list()

    def renew_gateway(self, *, now: datetime, days: int = 365, force: bool = False) -> bool:
        """A new certificate and key for gateway and desk, where the present one ends soon.

        Args:
            now: The time.
            days: Length of validity.
            force: Also where it is valid for longer.

        Returns:
            Whether there is a new one; the processes that run take it up by themselves.
        """
        present = x509.load_pem_x509_certificate((self.folder / "gateway.pem").read_bytes())
        if not force and present.not_valid_after_utc - now > _RENEW_BEFORE:
            return False
        fresh = self.authority.issue_server(self.settings.names, now=now, days=days)
        write_durably(self.folder / "gateway.pem", _bundle(fresh))
        return True

    def dismiss(self, site: str) -> None:
        """Turn a site away from now on."""
        (self.folder / "sites" / f"{site}.pem").unlink(missing_ok=True)
        self._list()

    def node_keys(self) -> dict[str, ec.EllipticCurvePublicKey]:
        """The node key of every site that is let in.

        Raises:
            InvalidInput: ``coordinator/home``: a site's certificate is damaged.
        """
        found: dict[str, ec.EllipticCurvePublicKey] = {}
        for path in sorted((self.folder / "sites").glob("*.pem")):
            try:
                key = x509.load_pem_x509_certificate(path.read_bytes()).public_key()
            except (OSError, ValueError):
                raise InvalidInput(
                    "coordinator/home", f"{path} cannot be read; required: a site's certificate"
                ) from None
            if isinstance(key, ec.EllipticCurvePublicKey):
                found[path.stem] = key
        return found

    def members(self) -> Sequence[str]:
        """The sites that are let in."""
        return sorted(self.listed())

    def listed(self) -> dict[str, str]:
        """Fingerprint of the node key by site that is let in; nobody where the list is damaged."""
        try:
            return read_members((self.folder / "sites.json").read_bytes())
        except (OSError, InvalidInput, RecursionError):
            return {}

    def offered_catalogue(self) -> str | None:
        """Hash of the catalogue that sites fetch, hex; None where none is there that they take."""
        try:
            return offered_from_bytes((self.folder / CATALOGUE_FILE).read_bytes()).hash.hex()
        except (OSError, DataError):
            return None

    def _list(self) -> None:
        keys = {site: key_fingerprint(key) for site, key in self.node_keys().items()}
        if self.listed() != keys:
            write_members(self.folder / "sites.json", keys)


def _write_credentials(folder: Path, name: str, credentials: Credentials) -> None:
    write_durably(folder / f"{name}.key", credentials.key)
    write_durably(folder / f"{name}.pem", credentials.certificate)


def _bundle(credentials: Credentials) -> bytes:
    """One file, so that no process ever finds a key beside another key's certificate."""
    return credentials.certificate + credentials.key


def _host(name: str) -> str:
    return f"[{name}]" if ":" in name else name
