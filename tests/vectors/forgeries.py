"""What a cheating site or coordinator puts into messages 2 and 4."""

from dataclasses import replace

from recommons.common.secagg.agreement import Agreement, agree
from recommons.common.secagg.dealing import deal, key_pair, leaves
from recommons.common.secagg.derivation import (
    Kind,
    private_key,
    public_key,
    seal_shares,
    share_commitment,
)
from recommons.common.secagg.merkle import depth, path, root, tree
from recommons.common.secagg.messages import (
    Inbox,
    InboxEntry,
    KeyEntry,
    Keys,
    Shares,
)
from recommons.common.secagg.shamir import PRIME
from recommons.common.secagg.statements import advertised, dealt
from tests.vectors.play import Play

__all__ = [
    "FIELD_ORDER_8",
    "advertised_keys",
    "beyond_the_field",
    "dealt_elsewhere",
    "deeper_trees",
    "flipped",
    "resigned",
    "short_paths",
    "signed_keys",
    "signed_mask_key",
    "with_mask_key",
]

ME = "site-1"
FIELD_ORDER_8 = bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")


def flipped(data: bytes, at: int = -1) -> bytes:
    """The bytes with the lowest bit of one of them flipped."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def with_mask_key(entry: KeyEntry, key: bytes) -> KeyEntry:
    """The entry with another mask key under the old signature."""
    return replace(entry, mask_key=key)


def signed_mask_key(play: Play, key: bytes) -> KeyEntry:
    """Another mask key of site-0, signed by it."""
    return signed_keys(play, 0, key, Keys.from_bytes(play.broadcasts[2]).entries[0].encryption_key)


def signed_keys(
    play: Play,
    place: int,
    mask_key: bytes,
    encryption_key: bytes,
    *,
    ctx: bytes | None = None,
    signer: str | None = None,
) -> KeyEntry:
    """Keys a site itself signs."""
    identity = play.scenario.identity(signer or play.scenario.names[place])
    ctx = ctx or play.scenario.context().hash
    signature = identity.sign(*advertised(ctx, place, mask_key, encryption_key))
    return KeyEntry(mask_key=mask_key, encryption_key=encryption_key, signature=signature)


def advertised_keys(play: Play, place: int, *, entropy: bytes) -> KeyEntry:
    """Keys a site would have advertised from other entropy."""
    a, e = (public_key(private_key(k)) for k in key_pair(entropy, play.scenario.context().hash))
    return signed_keys(play, place, a, e)


def beyond_the_field() -> bytes:
    return PRIME.to_bytes(33, "big") + bytes(16) + bytes(49)


def short_paths(good: Inbox) -> Inbox:
    shorter = tuple(replace(e, path=e.path[32:]) for e in good.entries)
    return replace(good, levels=good.levels - 1, entries=shorter)


def deeper_trees(play: Play) -> Inbox:
    """Every dealer signs the root of a tree with one level more than U1 needs."""
    good = Inbox.from_bytes(play.inboxes[ME])
    entries = []
    for dealer, entry in good.by_place():
        message = Shares.from_bytes(play.uploads[play.scenario.names[dealer]][3])
        rank = message.holders.rank(1)
        longer = entry.path + bytes(32)
        top = root(leaves(message)[rank], rank, longer)
        full, seed = _agreement(play).full, entry.seed_commitment
        statement = dealt(good.ctx, full, dealer, message.holders, seed, top)
        identity = play.scenario.identity(play.scenario.names[dealer])
        entries.append(replace(entry, path=longer, signature=identity.sign(*statement)))
    return replace(good, levels=good.levels + 1, entries=tuple(entries))


def _agreement(play: Play) -> Agreement:
    return agree(Keys.from_bytes(play.broadcasts[2]))


def dealt_elsewhere(play: Play) -> InboxEntry:
    """What site-0 deals to site-1 when it is shown another public state."""
    agreement = agree(replace(Keys.from_bytes(play.broadcasts[2]), public_state=b"other"))
    message, _ = deal(
        entropy=play.scenario.entropy("site-0"),
        ctx=play.scenario.context().hash,
        agreement=agreement,
        own=0,
        threshold=play.scenario.parameters.threshold,
        identity=play.scenario.identity("site-0"),
    )
    return _entry_for_me(message)


def resigned(
    play: Play,
    *,
    ciphertext: bytes | None = None,
    openings: bytes | None = None,
    committed: bool = False,
) -> InboxEntry:
    """What site-0 delivers to site-1 with its own signature on something wrong."""
    honest = Shares.from_bytes(play.uploads["site-0"][3])
    agreement, ctx = _agreement(play), play.scenario.context().hash
    rank = honest.holders.rank(1)
    if openings is not None:
        _, e = key_pair(play.scenario.entropy("site-0"), ctx)
        peer = agreement.encryption_keys[1]
        ciphertext = seal_shares(private_key(e), peer, agreement.full, 0, 1, openings)
    commitments = honest.commitments
    if committed and openings is not None:
        pair = b"".join(
            share_commitment(agreement.full, kind, 0, 1, openings[49 * kind : 49 * kind + 49])
            for kind in Kind
        )
        commitments = commitments[: 64 * rank] + pair + commitments[64 * rank + 64 :]
    start = 114 * (rank - 1)
    sealed = honest.ciphertexts[:start] + (ciphertext or b"") + honest.ciphertexts[start + 114 :]
    message = replace(honest, commitments=commitments, ciphertexts=sealed)
    statement = dealt(
        ctx,
        agreement.full,
        0,
        honest.holders,
        honest.seed_commitment,
        tree(leaves(message))[-1],
    )
    identity = play.scenario.identity("site-0")
    return _entry_for_me(replace(message, signature=identity.sign(*statement)))


def _entry_for_me(message: Shares) -> InboxEntry:
    rank = message.holders.rank(1)
    levels = tree(leaves(message))
    if len(path(levels, rank)) != 32 * depth(len(message.holders)):
        raise AssertionError
    return InboxEntry(
        seed_commitment=message.seed_commitment,
        commitments=message.commitment_pair(rank),
        ciphertext=message.ciphertext(rank),
        path=path(levels, rank),
        signature=message.signature,
    )
