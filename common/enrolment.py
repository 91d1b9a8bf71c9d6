"""What a site and the enrolment desk say to each other.

The site proves by the invitation's MAC that it was invited, and by two signatures that it holds the
two keys it asks to be known by: its signing key signs the whole application, its node key the
signing request inside. The desk proves itself by TLS under the authority that the invitation names.

| call | body | answer |
|---|---|---|
| `GET /v1/recommons/authority` | | the authority's certificate, PEM; believed if its hash fits |
| `POST /v1/recommons/offer` | name · proof · nothing | an `Offer` |
| `POST /v1/recommons/apply` | name · proof · an `Application` | a `Standing` |

A refused call is answered with a status and ``{"code": …}``. All calls may be repeated.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal, Self

from recommons.common.documents import Document
from recommons.common.epochs import Epoch
from recommons.common.errors import InvalidInput
from recommons.common.hashing import canonical_json
from recommons.common.invitation import ADDRESS, InvitationKeys
from recommons.common.secagg.identity import (
    PUBLIC_KEY_BYTES,
    SIGNATURE_BYTES,
    SigningIdentity,
    is_signed,
)
from recommons.common.secagg.roster import RosterSite
from recommons.common.wire import pack, unpack

__all__ = [
    "APPLY",
    "AUTHORITY",
    "LARGEST_CALL",
    "OFFER",
    "Application",
    "Offer",
    "Standing",
    "open_call",
    "seal_call",
]

AUTHORITY = "/v1/recommons/authority"
OFFER = "/v1/recommons/offer"
APPLY = "/v1/recommons/apply"

LARGEST_CALL = 16 << 10
"""Bytes of the largest call; an application takes about two thousand."""

_APPLICATION = "recommons/application/1"
_NAME_BYTES = _PROOF_BYTES = 32
_LARGEST_REQUEST = 4000


def seal_call(keys: InvitationKeys, purpose: str, body: bytes = b"") -> bytes:
    """A call's bytes: which invitation, the proof, the body."""
    return pack(keys.name, keys.sign(purpose, body), body)


def open_call(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Name, proof and body of a call; nothing is checked but their sizes.

    Raises:
        InvalidInput: ``enrolment/message``.
    """
    try:
        name, proof, body = unpack(data, 3)
    except InvalidInput as error:
        raise InvalidInput("enrolment/message", "not a call to the enrolment desk") from error
    if len(name) != _NAME_BYTES or len(proof) != _PROOF_BYTES:
        raise InvalidInput("enrolment/message", "not a call to the enrolment desk")
    return name, proof, body


@dataclass(frozen=True, kw_only=True)
class Application(Document):
    """A site asks to be put on the roster.

    Reading one checks the signing key's signature.

    Attributes:
        federation: The federation's id.
        entry: What it asks to stand on the roster as.
        node_request: Signing request for its node certificate, PEM; not yet checked.
        signature: The signing key's, over all of it.
    """

    version = 1
    refusal = ("enrolment/message", "not a signed application to join")

    federation: str
    entry: RosterSite
    node_request: str
    signature: bytes

    @classmethod
    def sign(
        cls, federation: str, site: str, name: str, identity: SigningIdentity, node_request: bytes
    ) -> Self:
        """The application of whoever holds this signing key."""
        unsigned = cls(
            federation=federation,
            entry=RosterSite(site=site, name=name, public_key=identity.public_key),
            node_request=node_request.decode("ascii"),
            signature=b"",
        )
        return cls(
            federation=federation,
            entry=unsigned.entry,
            node_request=unsigned.node_request,
            signature=identity.sign(_APPLICATION, unsigned._signed()),
        )

    def _signed(self) -> bytes:
        fields = {"version": self.version, **self._fields()}
        del fields["signature"]
        return canonical_json(fields)

    def _fields(self) -> dict[str, Any]:
        return {
            "federation": self.federation,
            "site": self.entry.site,
            "name": self.entry.name,
            "public_key": self.entry.public_key.hex(),
            "node_request": self.node_request,
            "signature": self.signature.hex(),
        }

    @classmethod
    def _from_fields(cls, fields: Any) -> Self:  # noqa: ANN401 - parsed JSON
        return cls(
            federation=fields["federation"],
            entry=RosterSite(
                site=fields["site"],
                name=fields["name"],
                public_key=bytes.fromhex(fields["public_key"]),
            ),
            node_request=fields["node_request"],
            signature=bytes.fromhex(fields["signature"]),
        )

    def _is_sound(self) -> bool:
        return (
            len(self.signature) == SIGNATURE_BYTES
            and isinstance(self.node_request, str)
            and self.node_request.isascii()
            and len(self.node_request) <= _LARGEST_REQUEST
            and is_signed(self.entry.public_key, self.signature, _APPLICATION, self._signed())
        )


@dataclass(frozen=True, kw_only=True)
class Offer(Document):
    """What an invited site is told before anybody consents to anything.

    Reading one does not check the roster.

    Attributes:
        federation_key: The key that signs rosters; the site compares its fingerprint.
        address: ``host:port`` of the gateway, which the site's agent will connect to.
        policy: The policy that the federation proposes to its sites, TOML; a proposal.
        time: The desk's clock, seconds since 1970.
        epoch: The present roster; None where this site would be the first.
    """

    version = 1
    refusal = ("enrolment/message", "the desk's offer is not readable")

    federation_key: bytes
    address: str
    policy: str
    time: int
    epoch: Epoch | None

    def _fields(self) -> dict[str, Any]:
        return {
            "federation_key": self.federation_key.hex(),
            "address": self.address,
            "policy": self.policy,
            "time": self.time,
            "epoch": None if self.epoch is None else json.loads(self.epoch.to_bytes()),
        }

    @classmethod
    def _from_fields(cls, fields: Any) -> Self:  # noqa: ANN401 - parsed JSON
        epoch = fields["epoch"]
        return cls(
            federation_key=bytes.fromhex(fields["federation_key"]),
            address=fields["address"],
            policy=fields["policy"],
            time=fields["time"],
            epoch=None if epoch is None else Epoch.from_bytes(canonical_json(epoch)),
        )

    def _is_sound(self) -> bool:
        return (
            len(self.federation_key) == PUBLIC_KEY_BYTES
            and ADDRESS.fullmatch(self.address) is not None
            and type(self.time) is int
            and isinstance(self.policy, str)
        )


@dataclass(frozen=True, kw_only=True)
class Standing(Document):
    """Where an application stands.

    Reading one checks neither roster nor certificate.

    Attributes:
        state: What the operator has said.
        epoch: The roster with the site on it, once it is approved.
        certificate: The site's node certificate, PEM, once it is approved.
    """

    version = 1
    refusal = ("enrolment/message", "the desk's answer is not readable")

    state: Literal["waiting", "approved", "rejected"]
    epoch: Epoch | None = None
    certificate: str | None = None

    def _fields(self) -> dict[str, Any]:
        return {
            "state": self.state,
            "epoch": None if self.epoch is None else json.loads(self.epoch.to_bytes()),
            "certificate": self.certificate,
        }

    @classmethod
    def _from_fields(cls, fields: Any) -> Self:  # noqa: ANN401 - parsed JSON
        epoch = fields["epoch"]
        return cls(
            state=fields["state"],
            epoch=None if epoch is None else Epoch.from_bytes(canonical_json(epoch)),
            certificate=fields["certificate"],
        )

    def _is_sound(self) -> bool:
        approved = self.state == "approved"
        return (
            self.state in ("waiting", "approved", "rejected")
            and (self.epoch is not None) == approved
            and isinstance(self.certificate, str) == approved
        )
