"""A site's signing key on its disk."""

import secrets
from contextlib import suppress
from pathlib import Path

from recommons.common.durably import create_durably
from recommons.common.errors import InvalidInput
from recommons.common.secagg.identity import SigningIdentity

__all__ = [
    "KEY",
    "LEDGER_KEY",
    "NEXT_KEY",
    "create_key",
    "ledger_identity",
    "next_public_key",
    "present_identity",
    "read_key",
]

KEY = "identity.key"
NEXT_KEY = "identity.next.key"
"""The key that takes the present one's place when an epoch with it is pinned."""

LEDGER_KEY = "ledger.key"
"""The key under which the site's ledger began, once another is in force."""


def create_key(path: Path) -> SigningIdentity:
    """Draw a new key and write it, readable by its owner alone.

    Raises:
        FileExistsError: There is a key already; it is never overwritten.
    """
    identity = SigningIdentity(secrets.token_bytes(32))
    create_durably(path, identity.secret_bytes().hex().encode() + b"\n")
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


def next_public_key(folder: Path) -> bytes | None:
    """The public half of the site's next key; None where it has drawn none.

    Raises:
        InvalidInput: ``site/folder``.
    """
    path = folder / NEXT_KEY
    return read_key(path).public_key if path.exists() else None


def present_identity(folder: Path, on_roster: bytes | None) -> SigningIdentity:
    """The site's signing key: the next one, where the pinned roster names it.

    Then the next key takes the present one's place, and the present one stays as the ledger's: a
    chain of lines has one key. Wherever this is broken off, it is done again.

    Args:
        folder: The site's folder.
        on_roster: The site's key on the pinned roster.

    Raises:
        InvalidInput: ``site/folder``.
    """
    present, following = read_key(folder / KEY), folder / NEXT_KEY
    if on_roster in (None, present.public_key) or not following.exists():
        return present
    with suppress(FileNotFoundError, FileExistsError):  # another process does the same right now
        if read_key(following).public_key == on_roster:
            if not (folder / LEDGER_KEY).exists():
                create_durably(folder / LEDGER_KEY, present.secret_bytes().hex().encode() + b"\n")
            following.replace(folder / KEY)
    return read_key(folder / KEY)


def ledger_identity(folder: Path, present: SigningIdentity) -> SigningIdentity:
    """The key that signs the ledger's lines.

    Raises:
        InvalidInput: ``site/folder``.
    """
    path = folder / LEDGER_KEY
    return read_key(path) if path.exists() else present
