"""The nine messages, written and read from the grammar of docs/secure-aggregation.md."""

from collections.abc import Callable
from typing import NamedTuple

from tests.naive_secagg.fields import Cursor, Refused, SiteSet, sized, write_set

__all__ = [
    "Advertise",
    "Certificate",
    "Inbox",
    "InboxEntry",
    "KeyEntry",
    "Keys",
    "Masked",
    "Reveal",
    "Shares",
    "Signature",
    "Survivors",
    "read",
    "read_header",
    "write",
]


class Advertise(NamedTuple):
    ctx: bytes
    site: int
    mask_key: bytes
    encryption_key: bytes
    signature: bytes


class KeyEntry(NamedTuple):
    mask_key: bytes
    encryption_key: bytes
    signature: bytes


class Keys(NamedTuple):
    ctx: bytes
    members: SiteSet
    entries: list[KeyEntry]
    spec: bytes
    public_state: bytes


class Shares(NamedTuple):
    ctx: bytes
    site: int
    holders: SiteSet
    seed_commitment: bytes
    commitments: list[bytes]
    ciphertexts: list[bytes]
    signature: bytes


class InboxEntry(NamedTuple):
    seed_commitment: bytes
    commitments: bytes
    ciphertext: bytes
    path: list[bytes]
    signature: bytes


class Inbox(NamedTuple):
    ctx: bytes
    site: int
    dealers: SiteSet
    levels: int
    entries: list[InboxEntry]


class Masked(NamedTuple):
    ctx: bytes
    site: int
    dealers: SiteSet
    bits: int
    size: int
    signature: bytes
    vector: bytes


class Survivors(NamedTuple):
    ctx: bytes
    dealers: SiteSet
    survivors: SiteSet


class Signature(NamedTuple):
    ctx: bytes
    site: int
    signature: bytes


class Certificate(NamedTuple):
    ctx: bytes
    full: bytes
    dealers: SiteSet
    survivors: SiteSet
    signers: SiteSet
    signatures: list[bytes]


class Reveal(NamedTuple):
    ctx: bytes
    site: int
    dealers: SiteSet
    survivors: SiteSet
    openings: list[bytes]
    signature: bytes


Message = Advertise | Keys | Shares | Inbox | Masked | Survivors | Signature | Certificate | Reveal
ORDER = (Advertise, Keys, Shares, Inbox, Masked, Survivors, Signature, Certificate, Reveal)


def _u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def write(message: Message) -> bytes:
    return bytes([1, ORDER.index(type(message)) + 1]) + message.ctx + _body(message)


def _body(message: Message) -> bytes:
    match message:
        case Advertise(_, site, mask_key, encryption_key, signature):
            return _u16(site) + mask_key + encryption_key + signature
        case Keys(_, members, entries, spec, state):
            joined = b"".join(b"".join(entry) for entry in entries)
            return write_set(members) + joined + sized(spec) + sized(state)
        case Shares(_, site, holders, seed, commitments, ciphertexts, signature):
            lists = b"".join(commitments) + b"".join(ciphertexts)
            return _u16(site) + write_set(holders) + seed + lists + signature
        case Inbox(_, site, dealers, levels, entries):
            joined = b"".join(
                e.seed_commitment + e.commitments + e.ciphertext + b"".join(e.path) + e.signature
                for e in entries
            )
            return _u16(site) + write_set(dealers) + bytes([levels]) + joined
        case Masked(_, site, dealers, bits, size, signature, vector):
            head = _u16(site) + write_set(dealers) + bytes([bits]) + size.to_bytes(8, "big")
            return head + signature + vector
        case Survivors(_, dealers, survivors):
            return write_set(dealers) + write_set(survivors)
        case Signature(_, site, signature):
            return _u16(site) + signature
        case Certificate(_, full, dealers, survivors, signers, signatures):
            sets = write_set(dealers) + write_set(survivors) + write_set(signers)
            return full + sets + b"".join(signatures)
        case Reveal(_, site, dealers, survivors, openings, signature):
            sets = write_set(dealers) + write_set(survivors)
            return _u16(site) + sets + b"".join(openings) + signature


def read(data: bytes, kind: int) -> Message:
    """The message in `data`, which must be of this kind."""
    cursor = Cursor(data)
    found, ctx = read_header(cursor)
    if found != kind:
        raise Refused("secagg/out-of-order")
    message = _READERS[kind](cursor, ctx)
    cursor.end()
    return message


def read_header(cursor: Cursor) -> tuple[int, bytes]:
    """Kind and ctx."""
    if cursor.number(1) != 1:
        raise Refused("secagg/version")
    kind = cursor.number(1)
    if not 1 <= kind <= 9:
        raise Refused("secagg/malformed")
    return kind, cursor.take(32)


def _advertise(c: Cursor, ctx: bytes) -> Advertise:
    return Advertise(ctx, c.number(2), c.take(32), c.take(32), c.take(64))


def _keys(c: Cursor, ctx: bytes) -> Keys:
    members = c.site_set()
    entries = [KeyEntry(c.take(32), c.take(32), c.take(64)) for _ in members.members]
    return Keys(ctx, members, entries, c.sized(2**20), c.sized(2**31))


def _shares(c: Cursor, ctx: bytes) -> Shares:
    site = c.number(2)
    holders = c.site_set()
    if site not in holders.members:
        raise Refused("secagg/malformed")
    count = len(holders.members)
    seed, commitments = c.take(32), c.many(32, 2 * count)
    return Shares(ctx, site, holders, seed, commitments, c.many(114, count - 1), c.take(64))


def _inbox(c: Cursor, ctx: bytes) -> Inbox:
    site = c.number(2)
    dealers = c.site_set()
    levels = c.number(1)
    if levels > 12:
        raise Refused("secagg/malformed")
    entries = [
        InboxEntry(c.take(32), c.take(64), c.take(114), c.many(32, levels), c.take(64))
        for place in dealers.members
        if place != site
    ]
    return Inbox(ctx, site, dealers, levels, entries)


def _masked(c: Cursor, ctx: bytes) -> Masked:
    site, dealers, bits, size = c.number(2), c.site_set(), c.number(1), c.number(8)
    if bits not in (8, 16, 24, 32, 40, 48, 56, 64):
        raise Refused("secagg/malformed")
    return Masked(ctx, site, dealers, bits, size, c.take(64), c.take(size * (bits // 8)))


def _survivors(c: Cursor, ctx: bytes) -> Survivors:
    return Survivors(ctx, c.site_set(), c.site_set())


def _signature(c: Cursor, ctx: bytes) -> Signature:
    return Signature(ctx, c.number(2), c.take(64))


def _certificate(c: Cursor, ctx: bytes) -> Certificate:
    full, dealers, survivors, signers = c.take(32), c.site_set(), c.site_set(), c.site_set()
    signatures = c.many(64, len(signers.members))
    return Certificate(ctx, full, dealers, survivors, signers, signatures)


def _reveal(c: Cursor, ctx: bytes) -> Reveal:
    site, dealers, survivors = c.number(2), c.site_set(), c.site_set()
    same_cohort = dealers.size == survivors.size
    if not same_cohort or not set(survivors.members) <= set(dealers.members):
        raise Refused("secagg/malformed")
    openings = c.many(49, len(dealers.members))
    return Reveal(ctx, site, dealers, survivors, openings, c.take(64))


_READERS: dict[int, Callable[[Cursor, bytes], Message]] = {
    1: _advertise,
    2: _keys,
    3: _shares,
    4: _inbox,
    5: _masked,
    6: _survivors,
    7: _signature,
    8: _certificate,
    9: _reveal,
}
