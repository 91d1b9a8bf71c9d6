"""Secrets kept under a passphrase: scrypt to a key, ChaCha20-Poly1305 over the secret.

The file is one JSON object, so that a person can see what it is. Its parameters are bound into the
seal and bounded when it is read: a file cannot ask for all of the machine's memory.
"""

import json
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from recommons.common.errors import InvalidInput
from recommons.common.hashing import canonical_json, framed

__all__ = ["LEAST_PASSPHRASE", "SEAL_BYTES", "seal", "unseal"]

LEAST_PASSPHRASE = 8
"""Characters. What a passphrase can hold off depends on how it was chosen; eight is a floor."""

SEAL_BYTES = 28
"""Random bytes that `seal` takes: 16 of salt and 12 of nonce."""

_VERSION = 1
_COST, _BLOCK, _LANES = 2**17, 8, 1
"""Scrypt's N, r, p: 128 MiB and about half a second, twice what RFC 7914 suggested for files."""
_KEY_BYTES, _SALT_BYTES = 32, 16


def seal(secret: bytes, passphrase: str, *, purpose: str, random: bytes) -> bytes:
    """A file that gives the secret back to who knows the passphrase.

    Args:
        secret: What to keep.
        passphrase: At least `LEAST_PASSPHRASE` characters.
        purpose: What the secret is; `unseal` must name the same.
        random: `SEAL_BYTES` fresh random bytes.

    Raises:
        InvalidInput: ``federation/passphrase``: too short.
    """
    if len(passphrase) < LEAST_PASSPHRASE:
        raise InvalidInput(
            "federation/passphrase",
            f"the passphrase has {len(passphrase)} characters; required: {LEAST_PASSPHRASE}",
        )
    salt, nonce = random[:_SALT_BYTES], random[_SALT_BYTES:SEAL_BYTES]
    head = {"version": _VERSION, "sealed": purpose, "cost": _COST, "salt": salt.hex()}
    sealed = ChaCha20Poly1305(_key(passphrase, salt)).encrypt(nonce, secret, _bound(head))
    return canonical_json({**head, "nonce": nonce.hex(), "secret": sealed.hex()}) + b"\n"


def unseal(data: bytes, passphrase: str, *, purpose: str) -> bytes:
    """The secret of a sealed file.

    Raises:
        InvalidInput: ``federation/passphrase``: not such a file, altered, or another passphrase;
            which of them cannot be told.
    """
    wrong = InvalidInput(
        "federation/passphrase", "the passphrase does not open the file, or the file was altered"
    )
    try:
        fields: dict[str, Any] = json.loads(data)
        nonce, sealed = bytes.fromhex(fields.pop("nonce")), bytes.fromhex(fields.pop("secret"))
        salt = bytes.fromhex(fields["salt"])
        expected = {"version": _VERSION, "sealed": purpose, "cost": _COST, "salt": salt.hex()}
        if fields != expected or len(salt) != _SALT_BYTES:
            raise wrong
        return ChaCha20Poly1305(_key(passphrase, salt)).decrypt(nonce, sealed, _bound(fields))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InvalidTag):
        # Not chained: the cause's message may quote the file.
        raise wrong from None


def _key(passphrase: str, salt: bytes) -> bytes:
    derived = Scrypt(salt=salt, length=_KEY_BYTES, n=_COST, r=_BLOCK, p=_LANES)
    return derived.derive(passphrase.encode())


def _bound(head: dict[str, Any]) -> bytes:
    return framed("recommons/sealed/1", canonical_json(head))
