"""An invitation: one line that a federation's operator sends to the person at a site.

It says where to go, whom to believe there, and proves that its bearer was invited:

| field | why |
|---|---|
| federation, site | what is joined, and under which name |
| address | of the enrolment desk |
| authority | SHA-256 of the authority's certificate: the desk's TLS is believed under it alone |
| federation key | fingerprint of the key that signs rosters: it is this federation and no other |
| secret | 16 random bytes; the coordinator keeps two hashes of it |
| expires | seconds since 1970; the desk's clock decides |

The secret never travels: each call carries its public name and a MAC over the body, under a key
made from it (`Invitation.sign`). The last characters are a checksum, so that a line that was cut
off on the way is told from a wrong one.
"""

import base64
import binascii
import hmac
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from recommons.common.errors import InvalidInput
from recommons.common.hashing import digest, framed
from recommons.common.policy import FINGERPRINT_DIGITS
from recommons.common.secagg.identity import is_identifier

__all__ = ["ADDRESS", "SECRET_BYTES", "Invitation", "InvitationKeys"]

ADDRESS = re.compile(r"[A-Za-z0-9.-]{1,200}:[0-9]{1,5}|\[[0-9a-fA-F:]{2,39}\]:[0-9]{1,5}")
"""``host:port`` or ``[IPv6]:port``."""

SECRET_BYTES = 16
_HASH_BYTES = 32
_CHECK_BYTES = 4
_MARK = "rcm1-"
_LONGEST = 1000
_PRINT_BYTES = FINGERPRINT_DIGITS // 2


@dataclass(frozen=True, kw_only=True)
class InvitationKeys:
    """What follows from an invitation's secret, and does not give it away.

    Attributes:
        name: Names the invitation in calls; 32 bytes, public.
        mac: Key of the calls' authentication; 32 bytes, secret.
    """

    name: bytes
    mac: bytes

    @classmethod
    def of(cls, secret: bytes) -> Self:
        """Those of a secret."""
        return cls(
            name=digest("recommons/invitation/1/name", secret),
            mac=digest("recommons/invitation/1/mac", secret),
        )

    def sign(self, purpose: str, body: bytes) -> bytes:
        """HMAC-SHA-256 over a call's purpose and body."""
        return hmac.digest(self.mac, framed(f"recommons/invitation/1/{purpose}", body), sha256)

    def holds(self, proof: bytes, purpose: str, body: bytes) -> bool:
        """Whether `proof` is what `sign` gives."""
        return hmac.compare_digest(proof, self.sign(purpose, body))


@dataclass(frozen=True, kw_only=True, repr=False)
class Invitation:
    """A token, read.

    Attributes:
        federation: The federation's id.
        site: The name under which the bearer may join.
        address: ``host:port`` of the enrolment desk.
        authority: SHA-256 of the authority's certificate in DER, 32 bytes.
        federation_key: Fingerprint (`peers.fingerprint`) of the federation's key, 40 hex digits.
        secret: 16 random bytes.
        expires: Seconds since 1970 from which on it is not taken.
    """

    federation: str
    site: str
    address: str
    authority: bytes
    federation_key: str
    secret: bytes
    expires: int

    def __post_init__(self) -> None:
        sound = (
            is_identifier(self.federation)
            and is_identifier(self.site)
            and ADDRESS.fullmatch(self.address) is not None
            and len(self.authority) == _HASH_BYTES
            and re.fullmatch(rf"[0-9a-f]{{{FINGERPRINT_DIGITS}}}", self.federation_key) is not None
            and len(self.secret) == SECRET_BYTES
            and 0 <= self.expires < 1 << 40
        )
        if not sound:
            raise InvalidInput("enrolment/token", "the invitation's fields are out of bounds")

    @property
    def keys(self) -> InvitationKeys:
        """Name and MAC key."""
        return InvitationKeys.of(self.secret)

    def to_text(self) -> str:
        """The line: ``rcm1-`` and base64url, without padding; about 230 characters."""
        texts = (self.federation, self.site, self.address)
        body = b"".join(
            [
                *(len(text).to_bytes(1, "big") + text.encode() for text in texts),
                self.authority,
                bytes.fromhex(self.federation_key),
                self.secret,
                self.expires.to_bytes(5, "big"),
            ]
        )
        return _MARK + base64.urlsafe_b64encode(body + _check(body)).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read a line; spaces and line breaks that a mail program put in are passed over.

        Raises:
            InvalidInput: ``enrolment/token``: not a token of this version, or not all of it. The
                token is never shown.
        """
        line = "".join(text.split())
        if not line.startswith(_MARK) or len(line) > _LONGEST:
            raise InvalidInput(
                "enrolment/token", f"not an invitation; required: a line that begins with {_MARK}"
            )
        code = line.removeprefix(_MARK)
        try:
            data = base64.b64decode(code + "=" * (-len(code) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            data = b""
        body, check = data[:-_CHECK_BYTES], data[-_CHECK_BYTES:]
        if len(data) <= _CHECK_BYTES or not hmac.compare_digest(check, _check(body)):
            # Not chained: the cause's message may quote the token.
            raise InvalidInput(
                "enrolment/token", "the invitation is not whole, or a character is wrong"
            ) from None
        found = cls._parse(body)
        if found.to_text() != line:
            raise InvalidInput("enrolment/token", "the invitation is not of this version")
        return found

    @classmethod
    def _parse(cls, body: bytes) -> Self:
        texts, place = [], 0
        for _ in range(3):
            end = place + 1 + int.from_bytes(body[place : place + 1], "big")
            texts.append(body[place + 1 : end].decode("ascii", errors="replace"))
            place = end
        lengths = (_HASH_BYTES, _PRINT_BYTES, SECRET_BYTES, 5)
        parts = []
        for length in lengths:
            parts.append(body[place : place + length])
            place += length
        return cls(
            federation=texts[0],
            site=texts[1],
            address=texts[2],
            authority=parts[0],
            federation_key=parts[1].hex(),
            secret=parts[2],
            expires=int.from_bytes(parts[3], "big"),
        )

    def __repr__(self) -> str:
        return f"Invitation(federation={self.federation!r}, site={self.site!r})"


def _check(body: bytes) -> bytes:
    return digest("recommons/invitation/1/checksum", body)[:_CHECK_BYTES]
