"""A site's folder while it joins: what is drawn here stays here, and every step can be repeated.

| file | written | why then |
|---|---|---|
| `identity.key`, `node.key` | after consent | drawn once; never overwritten |
| `policy.toml`, `site.json` | after consent, where they are not there | the operator may have made them |
| `authority.pem`, `connection.toml` | after consent | |
| `application.json` | before it is sent | the same bytes are sent again after a crash |
| `node.pem` | when the operator of the federation has approved | |
| `federation.json` | last | with it the site is joined; without it, it is not |
"""  # noqa: E501 - a table row is one line

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from recommons.client.agent.connection import CONNECTION, Connection
from recommons.client.agent.credentials import (
    AUTHORITY,
    CERTIFICATE,
    KEY,
    create_node_key,
    read_node_key,
    signing_request,
)
from recommons.client.keys import create_key, read_key
from recommons.client.site import SiteConfig
from recommons.common.durably import write_durably
from recommons.common.enrolment import Application
from recommons.common.errors import InvalidInput, Refusal
from recommons.common.federation import Federation
from recommons.common.invitation import Invitation
from recommons.common.secagg.identity import SigningIdentity

__all__ = ["JoiningFolder"]

_APPLICATION = "application.json"
_NEXT_KEY = "node.next.key"
_IDENTITY = "identity.key"
_PINNED = "federation.json"
_CONFIG = "site.json"
_POLICY = "policy.toml"


@dataclass(frozen=True)
class JoiningFolder:
    """The folder of a site that joins, or joins again.

    Attributes:
        path: The folder.
        invitation: The invitation in use.
    """

    path: Path
    invitation: Invitation

    def check(self) -> None:
        """Refuse a folder that is another site's.

        Raises:
            InvalidInput: ``enrolment/folder`` or ``enrolment/joined``.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InvalidInput("enrolment/folder", f"{self.path} is a file")
        config = self.config()
        if config is not None and config.site != self.invitation.site:
            raise InvalidInput(
                "enrolment/folder",
                f"{self.path} is the folder of {config.site!r}; the invitation is for "
                f"{self.invitation.site!r}",
            )
        pinned = self.pinned()
        if pinned is not None and pinned.roster.federation != self.invitation.federation:
            raise InvalidInput(
                "enrolment/joined", f"{self.path} has joined {pinned.roster.federation!r}"
            )

    def config(self) -> SiteConfig | None:
        """The site's settings, where they are there."""
        return SiteConfig.read(self.path) if (self.path / _CONFIG).exists() else None

    def pinned(self) -> Federation | None:
        """What the site has pinned; None while it has not joined."""
        path = self.path / _PINNED
        return Federation.from_bytes(path.read_bytes()) if path.exists() else None

    def policy(self) -> bytes | None:
        """The operator's policy, where there is one."""
        path = self.path / _POLICY
        return path.read_bytes() if path.exists() else None

    def prepare(self, *, policy: bytes, config: SiteConfig, authority: bytes, address: str) -> None:
        """Write what does not depend on the federation's answer; what is there is kept."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self.path / _POLICY).exists():
            write_durably(self.path / _POLICY, policy)
        if not (self.path / _CONFIG).exists():
            text = config.model_dump_json(indent=2) + "\n"
            write_durably(self.path / _CONFIG, text.encode())
        write_durably(self.path / AUTHORITY, authority)
        if not (self.path / CONNECTION).exists():
            Connection(address=address).write(self.path)

    def identity(self) -> SigningIdentity:
        """The site's signing key, drawn on first use."""
        path = self.path / _IDENTITY
        return read_key(path) if path.exists() else create_key(path)

    def application(self, *, new_node_key: bool = False) -> Application:
        """The application of this folder: the one that was sent, if there is one.

        Args:
            new_node_key: For another node key, drawn now, which takes the present one's place
                when its certificate comes.
        """
        kept = self._kept()
        if kept is not None:
            return kept
        identity, site = self.identity(), self.invitation.site
        name = _NEXT_KEY if new_node_key else KEY
        if (self.path / name).exists():
            request = signing_request(read_node_key(self.path, name), site)
        else:
            request = create_node_key(self.path, site, name)
        made = Application.sign(self.invitation.federation, site, site, identity, request)
        write_durably(self.path / _APPLICATION, self.invitation.keys.name + made.to_bytes())
        return made

    def receive(self, certificate: str) -> None:
        """Keep the certificate, if it is for this folder's node key.

        Raises:
            Refusal: ``enrolment/certificate``.
        """
        try:
            parsed = x509.load_pem_x509_certificate(certificate.encode())
        except ValueError:
            raise Refusal("enrolment/certificate", "what came is no certificate") from None
        names = [name for name in (KEY, _NEXT_KEY) if (self.path / name).exists()]
        fitting = [
            name
            for name in names
            if parsed.public_key() == read_node_key(self.path, name).public_key()
        ]
        if not fitting:
            raise Refusal("enrolment/certificate", "the certificate is for another key")
        write_durably(self.path / CERTIFICATE, certificate.encode())
        if fitting == [_NEXT_KEY]:
            (self.path / _NEXT_KEY).replace(self.path / KEY)

    def pin(self, federation: Federation) -> None:
        """From now on the site takes part in plans of this roster and coordinator."""
        write_durably(self.path / _PINNED, federation.to_bytes())
        (self.path / _APPLICATION).unlink(missing_ok=True)

    def _kept(self) -> Application | None:
        """The application made by this very invitation, if its keys are still the folder's."""
        path = self.path / _APPLICATION
        name = self.invitation.keys.name
        if not path.exists():
            return None
        data = path.read_bytes()
        if not data.startswith(name):
            return None
        kept = Application.from_bytes(data[len(name) :])
        return kept if kept.entry.public_key == self.identity().public_key else None
