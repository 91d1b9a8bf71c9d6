"""The messages the coordinator makes of what it collected."""

from collections.abc import Mapping

from recommons.common.secagg import merkle
from recommons.common.secagg.collection import Collection
from recommons.common.secagg.messages import (
    Advertise,
    Certificate,
    Inbox,
    InboxEntry,
    KeyEntry,
    Keys,
)
from recommons.common.secagg.sets import SiteSet

__all__ = ["certificate", "inbox", "keys"]


def keys(
    ctx: bytes,
    members: SiteSet,
    adverts: Mapping[int, Advertise],
    *,
    spec: bytes,
    public_state: bytes,
) -> Keys:
    """Step 2, the same for all sites."""
    entries = tuple(
        KeyEntry(
            mask_key=adverts[place].mask_key,
            encryption_key=adverts[place].encryption_key,
            signature=adverts[place].signature,
        )
        for place in members
    )
    return Keys(ctx=ctx, members=members, spec=spec, public_state=public_state, entries=entries)


def inbox(ctx: bytes, collected: Collection, members: SiteSet, holder: int) -> Inbox:
    """Step 4, for one holder."""
    rank = members.rank(holder)
    entries = tuple(
        InboxEntry(
            seed_commitment=collected.shares[dealer].seed_commitment,
            commitments=collected.shares[dealer].commitment_pair(rank),
            ciphertext=collected.shares[dealer].ciphertext(rank),
            path=merkle.path(collected.trees[dealer], rank),
            signature=collected.shares[dealer].signature,
        )
        for dealer in collected.dealers.without(holder)
    )
    return Inbox(
        ctx=ctx,
        site=holder,
        dealers=collected.dealers,
        levels=merkle.depth(len(members)),
        entries=entries,
    )


def certificate(ctx: bytes, full: bytes, collected: Collection, signers: SiteSet) -> Certificate:
    """Step 8, the same for all sites."""
    return Certificate(
        ctx=ctx,
        full=full,
        dealers=collected.dealers,
        survivors=collected.survivors,
        signers=signers,
        signatures=tuple(collected.signatures[place] for place in signers),
    )
