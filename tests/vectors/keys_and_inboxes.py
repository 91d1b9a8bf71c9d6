"""Messages 2 and 4, altered by a coordinator or by a site that colludes with it."""

from dataclasses import replace

from recommons.common.secagg.agreement import Agreement, agree, state_hash
from recommons.common.secagg.dealing import deal, key_pair, leaves
from recommons.common.secagg.derivation import (
    Kind,
    private_key,
    public_key,
    seal_shares,
    share_commitment,
)
from recommons.common.secagg.merkle import depth, path, tree
from recommons.common.secagg.messages import (
    Inbox,
    InboxEntry,
    KeyEntry,
    Keys,
    Shares,
)
from recommons.common.secagg.sets import SiteSet
from recommons.common.secagg.shamir import PRIME
from recommons.common.secagg.statements import advertised, dealt
from tests.vectors.play import STATE, Play
from tests.vectors.rejections import Case
from tests.vectors.scenario import drawn

__all__ = ["flipped", "inboxes", "keys"]

ME = "site-1"
FIELD = 2**255 - 19


def flipped(data: bytes, at: int = -1) -> bytes:
    """The bytes with the lowest bit of one of them flipped."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def keys(plays: dict[str, Play]) -> list[Case]:
    """Step 2, at site-1 of five (M = 4, all have advertised)."""
    play = plays["five"]
    good = Keys.from_bytes(play.broadcasts[2])

    def case(name: str, message: Keys | bytes, code: str, **more: object) -> Case:
        data = message if isinstance(message, bytes) else message.to_bytes()
        found = Case(name=f"keys: {name}", play=play, kind=2, message=data, code=code, site=ME)
        return replace(found, **more)  # type: ignore[arg-type]

    def entries(**changed: KeyEntry) -> Keys:
        found = [changed.get(f"s{i}", entry) for i, entry in enumerate(good.entries)]
        return replace(good, entries=tuple(found))

    def some(size: int, members: tuple[int, ...]) -> Keys:
        chosen = tuple(good.entries[i] for i in members)
        return replace(good, members=SiteSet.of(size, members), entries=chosen)

    first, mine = good.entries[0], good.entries[1]
    mask, encryption = first.mask_key, first.encryption_key
    old = replace(play.scenario.context(), attempt=99)
    pinned = state_hash(STATE)
    other = _advertised(play, 1, entropy=drawn("other entropy"))
    wrong_points = {
        "the point 0": bytes(32),
        "a point of order 8": FIELD_ORDER_8,
        "the honest key with its top bit set": mask[:31] + bytes([mask[31] | 0x80]),
        "an encoding beyond the field": (FIELD + 9).to_bytes(32, "little"),
    }
    return [
        case("another attempt's", replace(good, ctx=old.hash), "other-context"),
        case("an inbox instead", play.inboxes[ME], "out-of-order"),
        case("a byte too many", play.broadcasts[2] + b"\0", "malformed"),
        case("of a cohort of six", some(6, (0, 1, 2, 3, 4)), "other-set"),
        case("without me", some(5, (0, 2, 3, 4)), "not-in-set"),
        case("of three sites", some(5, (0, 1, 2)), "too-few-sites"),
        case("another spec", replace(good, spec=good.spec + b" "), "spec"),
        case(
            "another public state than the pinned one",
            replace(good, public_state=flipped(STATE)),
            "public-state",
            pinned=pinned,
        ),
        case(
            "too few verified peers",
            good,
            "verified-peers",
            verified=(("site-1", "site-4"), 2),
        ),
        case(
            "a signature altered",
            entries(s0=replace(first, signature=flipped(first.signature, 0))),
            "key-signature",
        ),
        case("a mask key altered", entries(s0=_mask(first, flipped(mask, 0))), "key-signature"),
        case(
            "an encryption key altered",
            entries(s0=replace(first, encryption_key=flipped(encryption, 0))),
            "key-signature",
        ),
        case("two sites' entries exchanged", entries(s0=mine, s1=first), "key-signature"),
        case(
            "a site's two keys exchanged",
            entries(s0=replace(first, mask_key=encryption, encryption_key=mask)),
            "key-signature",
        ),
        case(
            "keys signed for another attempt",
            entries(s0=_signed(play, 0, mask, encryption, ctx=old.hash)),
            "key-signature",
        ),
        case(
            "keys signed by a site outside the cohort",
            entries(s0=_signed(play, 0, mask, encryption, signer="site-not-taking-part")),
            "key-signature",
        ),
        *(
            case(f"a mask key, signed: {what}", entries(s0=_mask_signed(play, p)), "key-point")
            for what, p in wrong_points.items()
        ),
        case("my own entry replaced, signed", entries(s1=other), "own-key"),
        case(
            "another site's mask key, signed as one's own",
            entries(s2=_signed(play, 2, mask, good.entries[2].encryption_key)),
            "key-duplicate",
        ),
        case(
            "one key for both uses, signed",
            entries(s0=_signed(play, 0, mask, mask)),
            "key-duplicate",
        ),
        case(
            "a second set of keys",
            entries(s0=_advertised(play, 0, entropy=drawn("other entropy"))),
            "second-keys",
            after=3,
        ),
        case("the same once more", good, "repeated", after=3, ends=False),
    ]


FIELD_ORDER_8 = bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")


def _mask(entry: KeyEntry, key: bytes) -> KeyEntry:
    return replace(entry, mask_key=key)


def _mask_signed(play: Play, key: bytes) -> KeyEntry:
    return _signed(play, 0, key, Keys.from_bytes(play.broadcasts[2]).entries[0].encryption_key)


def _signed(
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


def _advertised(play: Play, place: int, *, entropy: bytes) -> KeyEntry:
    """Keys a site would have advertised from other entropy."""
    a, e = (public_key(private_key(k)) for k in key_pair(entropy, play.scenario.context().hash))
    return _signed(play, place, a, e)


def inboxes(plays: dict[str, Play]) -> list[Case]:
    """Step 4, at site-1 of five; site-0 is the dealer who cheats or is cheated."""
    play = plays["five"]
    good = Inbox.from_bytes(play.inboxes[ME])
    first, second, *rest = good.entries

    def case(name: str, message: Inbox | bytes, code: str, **more: object) -> Case:
        data = message if isinstance(message, bytes) else message.to_bytes()
        found = Case(name=f"inbox: {name}", play=play, kind=4, message=data, code=code, site=ME)
        return replace(found, **more)  # type: ignore[arg-type]

    def entry(new: InboxEntry) -> Inbox:
        return replace(good, entries=(new, second, *rest))

    def some(members: tuple[int, ...], size: int = 5) -> Inbox:
        chosen = [e for place, e in good.by_place() if place in members]
        return replace(good, dealers=SiteSet.of(size, members), entries=tuple(chosen))

    altered = {
        name: entry(replace(first, **{name: flipped(getattr(first, name))}))
        for name in ("seed_commitment", "commitments", "ciphertext", "path", "signature")
    }
    theirs = dict(Inbox.from_bytes(play.inboxes["site-2"]).by_place())[0]
    late = plays["five without one"]
    there = Inbox.from_bytes(late.inboxes[ME])
    stranger = replace(
        there, dealers=SiteSet.of(5, (0, 1, 2, 4)), entries=(*there.entries[:2], there.entries[2])
    )
    return [
        case("another attempt's", replace(good, ctx=flipped(good.ctx)), "other-context"),
        case("another site's", play.inboxes["site-2"], "malformed"),
        case("before the keys", good, "out-of-order", after=1),
        case("of a cohort of six", some((0, 1, 2, 3, 4), 6), "other-set"),
        case("without me", replace(some((0, 2, 3, 4)), entries=good.entries), "not-in-set"),
        case("from three dealers", some((0, 1, 2)), "too-few-sites"),
        case("an entry missing", replace(good, entries=good.entries[:-1]), "malformed"),
        case("a dealer that advertised no keys", stranger, "inbox-sites", play=late),
        case(
            "two dealers' entries exchanged",
            replace(good, entries=(second, first, *rest)),
            "inbox-signature",
        ),
        case("one dealer's entry twice", entry(second), "inbox-signature"),
        case("what the dealer sent to another holder", entry(theirs), "inbox-signature"),
        *(
            case(f"{name.replace('_', ' ')} altered", message, "inbox-signature")
            for name, message in altered.items()
        ),
        case("paths one digest short", _short_paths(good), "inbox-signature"),
        case("shares dealt for other keys", entry(_dealt_elsewhere(play)), "inbox-signature"),
        case(
            "a dealer's ciphertext that does not open, signed",
            entry(_resigned(play, ciphertext=flipped(first.ciphertext))),
            "inbox-ciphertext",
        ),
        case(
            "a dealer's other shares than committed, signed",
            entry(_resigned(play, openings=bytes(98))),
            "inbox-commitment",
        ),
        case(
            "a dealer's share that is no field element, committed and signed",
            entry(_resigned(play, openings=_beyond(), committed=True)),
            "inbox-commitment",
        ),
        case("a second inbox, of fewer dealers", some((0, 1, 2, 3)), "second-inbox", after=5),
        case("the same once more", good, "repeated", after=5, ends=False),
    ]


def _beyond() -> bytes:
    return PRIME.to_bytes(33, "big") + bytes(16) + bytes(49)


def _short_paths(good: Inbox) -> Inbox:
    shorter = tuple(replace(e, path=e.path[32:]) for e in good.entries)
    return replace(good, levels=good.levels - 1, entries=shorter)


def _agreement(play: Play) -> Agreement:
    return agree(Keys.from_bytes(play.broadcasts[2]))


def _dealt_elsewhere(play: Play) -> InboxEntry:
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


def _resigned(
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
