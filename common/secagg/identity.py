"""Who signs: Ed25519 keys, and signatures that always name their purpose."""

import re
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from recommons.common.errors import InvalidInput
from recommons.common.hashing import framed

__all__ = [
    "PUBLIC_KEY_BYTES",
    "SIGNATURE_BYTES",
    "SigningIdentity",
    "is_identifier",
    "is_signed",
]

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
_IDENTIFIER = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")


def is_identifier(text: str) -> bool:
    """Whether `text` may name a site or a federation.

    1 to 64 of ``a-z 0-9 . _ -``, the first and the last a letter or a digit: safe in file names,
    on a command line and in logs, and equal exactly when it looks equal.
    """
    return _IDENTIFIER.fullmatch(text) is not None


class SigningIdentity:
    """A private Ed25519 key (RFC 8032). It never shows itself: not in `repr`, not by pickling."""

    __slots__ = ("_key", "public_key")

    def __init__(self, secret: bytes) -> None:
        """Takes the 32 secret bytes of the key; draw new ones with ``secrets.token_bytes(32)``."""
        if len(secret) != 32:
            raise InvalidInput("input/argument", f"signing key of {len(secret)} bytes; required 32")
        self._key = Ed25519PrivateKey.from_private_bytes(secret)
        self.public_key: bytes = self._key.public_key().public_bytes_raw()

    def secret_bytes(self) -> bytes:
        """The 32 secret bytes, for the site's own key store and nothing else."""
        return self._key.private_bytes_raw()

    def sign(self, domain: str, *fields: bytes) -> bytes:
        """A signature (64 bytes) over `framed` of the domain and the fields."""
        return self._key.sign(framed(domain, *fields))

    def __repr__(self) -> str:
        return f"SigningIdentity(public_key={self.public_key.hex()})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing identity is not pickled or copied; use secret_bytes on purpose")


def is_signed(public_key: bytes, signature: bytes, domain: str, *fields: bytes) -> bool:
    """Whether `signature` is the key's over `framed` of the domain and the fields."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, framed(domain, *fields))
    except (InvalidSignature, ValueError):
        return False
    return True
