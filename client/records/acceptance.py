"""How the pinned roster took effect, kept until the ledger says so."""

import json

from sqlalchemy import Connection

from recommons.client.records.store import SiteStore
from recommons.common.epochs import Epoch, approving_sites
from recommons.common.federation import Federation
from recommons.common.hashing import canonical_json, digest

__all__ = ["acceptance_of", "note_acceptance", "pinned_hash"]

_FACT = "acceptance"


def pinned_hash(federation: Federation) -> bytes:
    """By which the store knows what is pinned."""
    return digest("recommons/federation/1", federation.to_bytes())


def note_acceptance(
    store: SiteStore, before: Federation | None, after: Federation, epoch: Epoch, *, by_hand: bool
) -> None:
    """Remember how an epoch takes effect; to be called before it is pinned.

    Args:
        store: The site's.
        before: What was pinned; None at a site that joins.
        after: What will be.
        epoch: The epoch, with the approvals it has.
        by_hand: Whether on the operator's word; otherwise on the approvals.
    """
    held = {} if before is None or by_hand else approving_sites(epoch, before.roster)
    approvals = [
        {"site": site, "signature": approval.hex()} for site, approval in sorted(held.items())
    ]
    fields: dict[str, object] = {"accepted": "by-hand" if by_hand else "by-majority"}
    if before is None:
        fields["accepted"] = "joined"
    elif not by_hand:
        fields["approvals"] = approvals
    if statements := _statements(epoch):
        fields["successions"] = statements
    noted = canonical_json({"pinned": pinned_hash(after).hex(), "fields": fields})
    with store.transaction() as connection:
        store.set_fact(connection, _FACT, noted)


def _statements(epoch: Epoch) -> list[dict[str, str]]:
    """Whose key replaced which: a ledger goes on under its first key, and auditors must follow."""
    federation = epoch.roster.federation
    found = {(s.site, s.old): s.fields() for s in epoch.successions if s.holds(federation)}
    return [found[place] for place in sorted(found)]


def acceptance_of(
    store: SiteStore, connection: Connection, pinned: bytes, *, first: bool
) -> dict[str, object]:
    """What `roster-accepted` says of it.

    Who replaces `federation.json` by hand, without a command, is the operator, too.

    Args:
        store: The site's.
        connection: A transaction of it.
        pinned: `pinned_hash` of what is pinned.
        first: Whether the site had pinned nothing before.
    """
    noted = store.fact(connection, _FACT)
    if noted is not None:
        kept = json.loads(noted)
        if kept["pinned"] == pinned.hex():
            return dict(kept["fields"])
    return {"accepted": "joined" if first else "by-hand"}
