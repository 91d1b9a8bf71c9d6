"""Which certificates may pass: those of sites that are members now, each with its own node key."""

import json
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from recommons.common.durably import write_durably
from recommons.common.errors import InvalidInput
from recommons.server.certificates.authority import key_fingerprint, site_of
from recommons.server.gateway.denial import Denial

__all__ = ["Member", "Members", "write_members"]

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Member:
    """A site at the door.

    Attributes:
        site: Its id.
        key_pem: Its node key as Flower writes it: SubjectPublicKeyInfo, PEM.
    """

    site: str
    key_pem: bytes

    @property
    def header(self) -> str:
        """The node key as it stands in Flower's header."""
        return b64encode(self.key_pem).decode()


@dataclass(frozen=True, kw_only=True)
class _Holder:
    member: Member
    fingerprint: str
    until: datetime


@dataclass(eq=False)
class Members:
    """The members' list on the disk, read again whenever it changes.

    A site that is taken off the list is turned away from its next call on, whatever its certificate
    says. A list that cannot be read lets nobody in.

    Args:
        path: A file written by `write_members`.
        federation: The federation's id.
    """

    path: Path
    federation: str
    _stamp: tuple[int, int, int] | None = None
    _keys: dict[str, str] = field(default_factory=dict)

    def admit(self, certificate: bytes | None) -> Member:
        """The site behind a connection.

        Args:
            certificate: The client certificate, DER, which TLS has verified.

        Raises:
            Denial: ``gateway/not-a-member``.
        """
        self._refresh()
        if certificate is not None:
            holder = _holder(certificate, self.federation)
            # TLS looks at the dates when a line is opened; lines are kept for long.
            if (
                holder is not None
                and self._keys.get(holder.member.site) == holder.fingerprint
                and datetime.now(UTC) <= holder.until
            ):
                return holder.member
        raise Denial(403, "gateway/not-a-member", "the certificate is not a present member's")

    def _refresh(self) -> None:
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
            if stamp == self._stamp:
                return
            self._keys = read_members(self.path.read_bytes())
            self._stamp = stamp
        except (OSError, InvalidInput) as error:
            self._keys, self._stamp = {}, None
            raise Denial(403, "gateway/not-a-member", "the members' list cannot be read") from error


@lru_cache(maxsize=1024)
def _holder(certificate: bytes, federation: str) -> _Holder | None:
    """What a certificate of the federation's authority says, whoever is on the list."""
    parsed = x509.load_der_x509_certificate(certificate)
    site, key = site_of(parsed, federation), parsed.public_key()
    if site is None or not isinstance(key, ec.EllipticCurvePublicKey):
        return None
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return _Holder(
        member=Member(site=site, key_pem=pem),
        fingerprint=key_fingerprint(key),
        until=parsed.not_valid_after_utc,
    )


def read_members(data: bytes) -> dict[str, str]:
    """Fingerprint of the node key by site.

    Raises:
        InvalidInput: ``gateway/members``: not a members' list.
    """
    try:
        fields = json.loads(data)
        if fields["version"] != _VERSION:
            raise InvalidInput("gateway/members", f"version is {fields['version']!r}")
        keys = {str(entry["site"]): str(entry["node_key"]) for entry in fields["sites"]}
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput("gateway/members", "not a list of members") from error
    return keys


def write_members(path: Path, keys: dict[str, str]) -> None:
    """Replace the list in one step.

    Args:
        path: The file.
        keys: Fingerprint of the node key (`authority.key_fingerprint`) by site.
    """
    sites = [{"site": site, "node_key": key} for site, key in sorted(keys.items())]
    text = json.dumps({"version": _VERSION, "sites": sites}, indent=2) + "\n"
    write_durably(path, text.encode())
