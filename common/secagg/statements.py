"""What each signature says.

Every statement names its purpose and carries everything it depends on, so that a signature made
for one message, attempt, set of keys or set of survivors is worth nothing for another. The tuple
is what `SigningIdentity.sign` and `is_signed` take: a domain, then the fields.
"""

import hashlib

from recommons.common.hashing import digest, framed
from recommons.common.secagg.sets import SiteSet
from recommons.common.secagg.wire import u8, u16, u64

__all__ = [
    "Statement",
    "advertised",
    "dealt",
    "masked",
    "openings_hash",
    "revealed",
    "survived",
    "vector_hash",
]

Statement = tuple[str, *tuple[bytes, ...]]


def advertised(ctx: bytes, site: int, mask_key: bytes, encryption_key: bytes) -> Statement:
    """Step 1: these are my two keys for this attempt."""
    return ("recommons/secagg/1/sign/keys", ctx, u16(site), mask_key, encryption_key)


def dealt(
    ctx: bytes, full: bytes, site: int, holders: SiteSet, seed_commitment: bytes, root: bytes
) -> Statement:
    """Step 3: these are my commitments and ciphertexts (the root of the tree over them)."""
    return (
        "recommons/secagg/1/sign/shares",
        ctx,
        full,
        u16(site),
        holders.to_bytes(),
        seed_commitment,
        root,
    )


def masked(ctx: bytes, full: bytes, site: int, dealers: SiteSet, vector_hash: bytes) -> Statement:
    """Step 5: this is my vector, masked against exactly these sites (U2)."""
    return (
        "recommons/secagg/1/sign/masked",
        ctx,
        full,
        u16(site),
        dealers.to_bytes(),
        vector_hash,
    )


def survived(ctx: bytes, full: bytes, dealers: SiteSet, survivors: SiteSet) -> Statement:
    """Step 7: the only set of survivors (U3) I accept for this attempt; the same for all sites."""
    return (
        "recommons/secagg/1/sign/survivors",
        ctx,
        full,
        dealers.to_bytes(),
        survivors.to_bytes(),
    )


def revealed(
    ctx: bytes, full: bytes, site: int, dealers: SiteSet, survivors: SiteSet, openings_hash: bytes
) -> Statement:
    """Step 9: these are the shares I hold, one for each site of U2."""
    return (
        "recommons/secagg/1/sign/reveal",
        ctx,
        full,
        u16(site),
        dealers.to_bytes(),
        survivors.to_bytes(),
        openings_hash,
    )


def vector_hash(bits: int, size: int, vector: bytes | memoryview) -> bytes:
    """H(y): what the signature of step 5, ledgers and the coordinator's result call a vector."""
    state = hashlib.sha256(framed("recommons/secagg/1/vector", u8(bits), u64(size)))
    state.update(vector)
    return state.digest()


def openings_hash(openings: bytes) -> bytes:
    """What the signature of step 9 says of the revealed shares."""
    return digest("recommons/secagg/1/openings", openings)
