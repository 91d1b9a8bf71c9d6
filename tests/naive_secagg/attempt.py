"""What both roles know of an attempt, and what is signed and hashed in it."""

import hashlib
from typing import NamedTuple

from tests.naive_secagg.fields import SiteSet, digest, framed, write_set
from tests.naive_secagg.keys import context_hash, is_signed, usable_point
from tests.naive_secagg.messages import Keys

__all__ = ["Attempt", "full_hash", "leaf", "state_hash", "vector_hash"]


class Attempt(NamedTuple):
    """The public facts of one attempt."""

    federation: str
    run: bytes
    round_index: int
    attempt: int
    cohort: list[str]
    public_keys: list[bytes]
    roster_hash: bytes
    plan_hash: bytes
    colluding: int
    survivors: int
    bits: int
    size: int
    spec: bytes

    @property
    def quorum(self) -> int:
        return (len(self.cohort) + self.colluding) // 2 + 1

    @property
    def ctx(self) -> bytes:
        return context_hash(
            self.federation,
            self.run,
            self.round_index,
            self.attempt,
            self.cohort,
            self.roster_hash,
            self.plan_hash,
        )

    def statement(self, name: str, *fields: bytes) -> bytes:
        return framed("recommons/secagg/1/sign/" + name, self.ctx, *fields)

    def advertised(self, site: int, mask_key: bytes, encryption_key: bytes) -> bytes:
        return self.statement("keys", site.to_bytes(2, "big"), mask_key, encryption_key)

    def dealt(self, full: bytes, site: int, holders: SiteSet, seed: bytes, root: bytes) -> bytes:
        fields = (full, site.to_bytes(2, "big"), write_set(holders), seed, root)
        return self.statement("shares", *fields)

    def masked(self, full: bytes, site: int, dealers: SiteSet, vector: bytes) -> bytes:
        hashed = vector_hash(self.bits, self.size, vector)
        return self.statement("masked", full, site.to_bytes(2, "big"), write_set(dealers), hashed)

    def survived(self, full: bytes, dealers: SiteSet, survivors: SiteSet) -> bytes:
        return self.statement("survivors", full, write_set(dealers), write_set(survivors))

    def revealed(
        self, full: bytes, site: int, dealers: SiteSet, survivors: SiteSet, openings: list[bytes]
    ) -> bytes:
        hashed = digest("recommons/secagg/1/openings", b"".join(openings))
        place = site.to_bytes(2, "big")
        sets = (write_set(dealers), write_set(survivors))
        return self.statement("reveal", full, place, *sets, hashed)

    def key_fault(self, site: int, mask_key: bytes, encryption_key: bytes, signature: bytes) -> str:
        """The code of what is wrong with advertised keys, or nothing."""
        if not usable_point(mask_key) or not usable_point(encryption_key):
            return "secagg/key-point"
        statement = self.advertised(site, mask_key, encryption_key)
        signed = is_signed(self.public_keys[site], signature, statement)
        return "" if signed else "secagg/key-signature"


def vector_hash(bits: int, size: int, vector: bytes) -> bytes:
    """SHA-256 of the framed layout followed, unframed, by the vector's bytes."""
    layout = framed("recommons/secagg/1/vector", bytes([bits]), size.to_bytes(8, "big"))
    return hashlib.sha256(layout + vector).digest()


def state_hash(public_state: bytes) -> bytes:
    return digest("recommons/secagg/1/public-state", public_state)


def full_hash(keys: Keys) -> bytes:
    return digest(
        "recommons/secagg/1/full",
        keys.ctx,
        digest("recommons/round-spec/1", keys.spec),
        state_hash(keys.public_state),
        write_set(keys.members),
        b"".join(entry.mask_key + entry.encryption_key for entry in keys.entries),
    )


def leaf(holder: int, commitments: bytes, ciphertext: bytes) -> bytes:
    fields = (holder.to_bytes(2, "big"), commitments, ciphertext)
    return digest("recommons/secagg/1/tree-leaf", *fields)
