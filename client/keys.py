"""A site's signing key on its disk."""

import os
import secrets
from pathlib import Path

from recommons.common.errors import InvalidInput
from recommons.common.secagg.identity import SigningIdentity

__all__ = ["create_key", "read_key"]


def create_key(path: Path) -> SigningIdentity:
    """Draw a new key and write it, readable by its owner alone.

    Raises:
        FileExistsError: There is a key already; it is never overwritten.
    """
    identity = SigningIdentity(secrets.token_bytes(32))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(identity.secret_bytes().hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return identity


def read_key(path: Path) -> SigningIdentity:
    """Read a key.

    Raises:
        InvalidInput: Not 32 bytes in hex; the content is never shown.
    """
    try:
        return SigningIdentity(bytes.fromhex(path.read_text().strip()))
    except ValueError:
        # Not chained: the cause's message may quote the file.
        raise InvalidInput("site/folder", f"{path.name} does not hold a signing key") from None
