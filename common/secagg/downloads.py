"""The four messages the coordinator sends. The grammar is in `messages`.

They carry no signature of the coordinator: everything in them that matters was signed by sites,
or is compared with what the site pinned.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from recommons.common.secagg.derivation import CIPHERTEXT_BYTES
from recommons.common.secagg.envelope import HASH_BYTES, MessageKind, begin, header
from recommons.common.secagg.identity import SIGNATURE_BYTES
from recommons.common.secagg.sets import SiteSet
from recommons.common.secagg.uploads import KEY_BYTES
from recommons.common.secagg.wire import Reader, sized, u8, u16

__all__ = ["Certificate", "Inbox", "InboxEntry", "KeyEntry", "Keys", "Survivors"]

_MAX_SPEC = 1 << 20
_MAX_STATE = 1 << 31
_MAX_DEPTH = 12


@dataclass(frozen=True, kw_only=True)
class KeyEntry:
    """What one site advertised.

    Attributes:
        mask_key: A.
        encryption_key: E.
        signature: Over `statements.advertised`.
    """

    mask_key: bytes
    encryption_key: bytes
    signature: bytes


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Step 2: everything advertised, the vector's spec and the public state.

    Attributes:
        ctx: The context's hash.
        members: U1.
        spec: The vector's spec, canonical JSON; opaque here.
        public_state: What sites compute from; opaque here.
        entries: One for each member, ascending.
    """

    ctx: bytes
    members: SiteSet
    spec: bytes
    public_state: bytes
    entries: tuple[KeyEntry, ...]

    def to_bytes(self) -> bytes:
        """Wire bytes."""
        return b"".join(
            (
                header(MessageKind.KEYS, self.ctx),
                self.members.to_bytes(),
                *(e.mask_key + e.encryption_key + e.signature for e in self.entries),
                sized(self.spec),
                sized(self.public_state),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parses strictly."""
        reader, ctx = begin(data, MessageKind.KEYS)
        members = reader.sites()
        entries = tuple(
            KeyEntry(
                mask_key=reader.take(KEY_BYTES),
                encryption_key=reader.take(KEY_BYTES),
                signature=reader.take(SIGNATURE_BYTES),
            )
            for _ in members
        )
        message = cls(
            ctx=ctx,
            members=members,
            entries=entries,
            spec=reader.sized(_MAX_SPEC),
            public_state=reader.sized(_MAX_STATE),
        )
        reader.end()
        return message

    def by_place(self) -> Iterator[tuple[int, KeyEntry]]:
        """Each member's place with its entry."""
        return zip(self.members, self.entries, strict=True)


@dataclass(frozen=True, kw_only=True)
class InboxEntry:
    """One dealer's message, as far as it concerns one holder.

    Attributes:
        seed_commitment: To the dealer's b.
        commitments: To the holder's share of b and its share of a, two digests.
        ciphertext: Both openings, encrypted for the holder.
        path: From the holder's leaf to the root the dealer signed.
        signature: The dealer's, over `statements.dealt`.
    """

    seed_commitment: bytes
    commitments: bytes
    ciphertext: bytes
    path: bytes
    signature: bytes

    def to_bytes(self) -> bytes:
        """Wire bytes."""
        return b"".join(
            (self.seed_commitment, self.commitments, self.ciphertext, self.path, self.signature)
        )

    @classmethod
    def read(cls, reader: Reader, levels: int) -> Self:
        """Reads one entry with a path of this many digests."""
        return cls(
            seed_commitment=reader.take(HASH_BYTES),
            commitments=reader.take(2 * HASH_BYTES),
            ciphertext=reader.take(CIPHERTEXT_BYTES),
            path=reader.take(HASH_BYTES * levels),
            signature=reader.take(SIGNATURE_BYTES),
        )


@dataclass(frozen=True, kw_only=True)
class Inbox:
    """Step 4: the dealers whose messages arrived, and their messages to one holder.

    Attributes:
        ctx: The context's hash.
        site: The holder it is for.
        dealers: U2.
        levels: Length of every path: the depth of a tree over U1.
        entries: One for each dealer but the holder, ascending.
    """

    ctx: bytes
    site: int
    dealers: SiteSet
    levels: int
    entries: tuple[InboxEntry, ...]

    def to_bytes(self) -> bytes:
        """Wire bytes."""
        return b"".join(
            (
                header(MessageKind.INBOX, self.ctx),
                u16(self.site),
                self.dealers.to_bytes(),
                u8(self.levels),
                *(entry.to_bytes() for entry in self.entries),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parses strictly."""
        reader, ctx = begin(data, MessageKind.INBOX)
        site = reader.u16()
        dealers = reader.sites()
        levels = reader.u8()
        if levels > _MAX_DEPTH:
            raise reader.wrong(f"a path of {levels} digests; allowed: {_MAX_DEPTH}")
        entries = tuple(InboxEntry.read(reader, levels) for _ in dealers.without(site))
        reader.end()
        return cls(ctx=ctx, site=site, dealers=dealers, levels=levels, entries=entries)

    def by_place(self) -> Iterator[tuple[int, InboxEntry]]:
        """Each dealer's place with its entry."""
        return zip(self.dealers.without(self.site), self.entries, strict=True)


@dataclass(frozen=True, kw_only=True)
class Survivors:
    """Step 6: the sites whose masked vectors arrived.

    Attributes:
        ctx: The context's hash.
        dealers: U2.
        survivors: U3.
    """

    ctx: bytes
    dealers: SiteSet
    survivors: SiteSet

    def to_bytes(self) -> bytes:
        """Wire bytes."""
        return b"".join(
            (
                header(MessageKind.SURVIVORS, self.ctx),
                self.dealers.to_bytes(),
                self.survivors.to_bytes(),
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parses strictly."""
        reader, ctx = begin(data, MessageKind.SURVIVORS)
        message = cls(ctx=ctx, dealers=reader.sites(), survivors=reader.sites())
        reader.end()
        return message


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """Step 8: the signatures of a quorum on the set of survivors; keeps as evidence.

    Attributes:
        ctx: The context's hash.
        full: What was fixed at step 2, see `agreement`.
        dealers: U2.
        survivors: U3.
        signers: Who signed.
        signatures: Over `statements.survived`, one for each signer, ascending.
    """

    ctx: bytes
    full: bytes
    dealers: SiteSet
    survivors: SiteSet
    signers: SiteSet
    signatures: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """Wire bytes."""
        return b"".join(
            (
                header(MessageKind.CERTIFICATE, self.ctx),
                self.full,
                self.dealers.to_bytes(),
                self.survivors.to_bytes(),
                self.signers.to_bytes(),
                *self.signatures,
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parses strictly."""
        reader, ctx = begin(data, MessageKind.CERTIFICATE)
        full = reader.take(HASH_BYTES)
        dealers, survivors, signers = reader.sites(), reader.sites(), reader.sites()
        message = cls(
            ctx=ctx,
            full=full,
            dealers=dealers,
            survivors=survivors,
            signers=signers,
            signatures=tuple(reader.take(SIGNATURE_BYTES) for _ in signers),
        )
        reader.end()
        return message

    def by_place(self) -> Iterator[tuple[int, bytes]]:
        """Each signer's place with its signature."""
        return zip(self.signers, self.signatures, strict=True)
