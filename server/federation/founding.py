"""A new federation: its home with every key, and nobody in it yet."""

import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives import hashes

from recommons.common.durably import create_durably, write_durably
from recommons.common.errors import InvalidInput
from recommons.common.peers import fingerprint
from recommons.common.policy import Policy
from recommons.common.policy_file import policy_to_toml
from recommons.common.sealing import LEAST_PASSPHRASE
from recommons.common.secagg.identity import SigningIdentity, is_identifier
from recommons.server.federation.book import Book
from recommons.server.federation.sealed_key import create_federation_key
from recommons.server.records.home import CoordinatorHome, CoordinatorSettings

__all__ = ["BOOK", "COORDINATOR_KEY", "POLICY", "Founded", "authority_hash", "found", "open_book"]

BOOK = "enrolment.db"
COORDINATOR_KEY = "coordinator.key"
POLICY = "policy.toml"


@dataclass(frozen=True, kw_only=True)
class Founded:
    """What was made.

    Attributes:
        home: The home.
        federation_key: Fingerprint of the key that signs rosters.
        authority: SHA-256 of the authority's certificate.
    """

    home: CoordinatorHome
    federation_key: str
    authority: bytes


def found(
    folder: Path,
    settings: CoordinatorSettings,
    *,
    key_file: Path,
    passphrase: str,
    now: datetime,
) -> Founded:
    """Make a federation's home. Broken off at any point, it can be begun anew.

    Args:
        folder: Must not hold a home yet.
        settings: Its settings.
        key_file: Where the sealed federation key goes.
        passphrase: Under which it is sealed.
        now: Start of the certificates' validity.

    Raises:
        InvalidInput: ``coordinator/home``: there is a home; ``federation/name``;
            ``federation/passphrase``: too short.
    """
    if CoordinatorHome.is_in(folder):
        raise InvalidInput("coordinator/home", f"{folder} holds a federation already")
    if not is_identifier(settings.federation):
        raise InvalidInput("federation/name", f"the federation's id is {settings.federation!r}")
    if len(passphrase) < LEAST_PASSPHRASE:
        raise InvalidInput(
            "federation/passphrase",
            f"the passphrase has {len(passphrase)} characters; required: {LEAST_PASSPHRASE}",
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    identity = create_federation_key(folder, key_file, passphrase)
    create_coordinator_key(folder / COORDINATOR_KEY)
    write_durably(folder / POLICY, policy_to_toml(Policy()).encode())
    Book(folder / BOOK).close()
    home = CoordinatorHome.create(folder, settings, now=now)  # last: it makes the folder a home
    return Founded(
        home=home,
        federation_key=fingerprint(identity.public_key),
        authority=authority_hash(home),
    )


def create_coordinator_key(path: Path) -> SigningIdentity:
    """Draw a key that signs plans and the coordinator's ledger."""
    identity = SigningIdentity(secrets.token_bytes(32))
    write_durably(path, identity.secret_bytes().hex().encode() + b"\n")
    return identity


def next_coordinator_key(path: Path) -> SigningIdentity:
    """The key that was drawn to be the coordinator's next one; drawn now if none was."""
    identity = SigningIdentity(secrets.token_bytes(32))
    with suppress(FileExistsError):
        create_durably(path, identity.secret_bytes().hex().encode() + b"\n")
    return SigningIdentity(bytes.fromhex(path.read_text("ascii").strip()))


def authority_hash(home: CoordinatorHome) -> bytes:
    """SHA-256 of the authority's certificate: what an invitation pins."""
    return home.authority.certificate.fingerprint(hashes.SHA256())


def open_book(home: CoordinatorHome) -> Book:
    """The federation's record."""
    return Book(home.folder / BOOK)
