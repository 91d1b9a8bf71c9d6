"""The federation's offline key: it signs rosters, and lies sealed wherever it is not used."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from recommons.common.durably import write_durably
from recommons.common.errors import InvalidInput
from recommons.common.sealing import SEAL_BYTES, seal, unseal
from recommons.common.secagg.identity import PUBLIC_KEY_BYTES, SigningIdentity

__all__ = [
    "KEY",
    "PASSPHRASE_VARIABLE",
    "PURPOSE",
    "Passphrase",
    "create_federation_key",
    "given_passphrase",
    "open_federation_key",
    "read_public_key",
]

KEY = "federation.key"
_PUBLIC = "federation.pub"
PURPOSE = "recommons federation key"
PASSPHRASE_VARIABLE = "RECOMMONS_FEDERATION_PASSPHRASE"  # noqa: S105 - a variable's name

Passphrase = Callable[[], str]
"""Asked only when the key is about to be used."""


def given_passphrase(file: Path | None, ask: Passphrase) -> Passphrase:
    """Where a passphrase comes from: a file, else the environment, else the operator.

    Args:
        file: Its first line is the passphrase.
        ask: Asks the operator.
    """

    def give() -> str:
        if file is not None:
            try:
                return file.read_text("utf-8").split("\n", 1)[0].rstrip("\r")
            except (OSError, ValueError):
                raise InvalidInput(
                    "federation/passphrase", f"{file} cannot be read as text"
                ) from None
        return os.environ.get(PASSPHRASE_VARIABLE) or ask()

    return give


def create_federation_key(home: Path, key_file: Path, passphrase: str) -> SigningIdentity:
    """Draw the federation's key, seal it, and leave its public half in the home."""
    identity = SigningIdentity(secrets.token_bytes(32))
    random = secrets.token_bytes(SEAL_BYTES)
    sealed = seal(identity.secret_bytes(), passphrase, purpose=PURPOSE, random=random)
    write_durably(key_file, sealed)
    write_durably(home / _PUBLIC, identity.public_key.hex().encode() + b"\n")
    return identity


def open_federation_key(home: Path, key_file: Path, passphrase: Passphrase) -> SigningIdentity:
    """The federation's key, for as long as the caller holds it.

    Raises:
        InvalidInput: ``federation/key``: no such file, or the key of another federation;
            ``federation/passphrase``.
    """
    try:
        sealed = key_file.read_bytes()
    except OSError as error:
        raise InvalidInput("federation/key", f"{key_file} cannot be read") from error
    identity = SigningIdentity(unseal(sealed, passphrase(), purpose=PURPOSE))
    if identity.public_key != read_public_key(home):
        raise InvalidInput("federation/key", f"{key_file} holds another federation's key")
    return identity


def read_public_key(home: Path) -> bytes:
    """Its public half.

    Raises:
        InvalidInput: ``coordinator/home``.
    """
    try:
        key = bytes.fromhex((home / _PUBLIC).read_text("ascii").strip())
    except (OSError, ValueError):
        key = b""
    if len(key) != PUBLIC_KEY_BYTES:
        raise InvalidInput("coordinator/home", f"{_PUBLIC} in {home} cannot be read")
    return key
