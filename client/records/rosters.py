"""Rosters this site had pinned before, as its own ledger holds them.

Keys are replaced and rosters with them; what was signed under an earlier one is still to be told
from what nobody ever signed.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from sqlalchemy import Connection

from recommons.client.keys import next_public_key
from recommons.client.records.books import LEDGER
from recommons.client.site import Site
from recommons.common.hashing import canonical_json
from recommons.common.secagg.roster import Roster, SignedRoster

__all__ = ["Pinned", "own_keys", "pinned_as"]

_ACCEPTED = b'"kind":"roster-accepted"'


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """A roster and who signed plans and receipts under it.

    Attributes:
        roster: The roster.
        coordinator_key: The coordinator's key of then, 32 bytes.
    """

    roster: Roster
    coordinator_key: bytes

    @classmethod
    def now(cls, site: Site) -> Self:
        """What is pinned at present."""
        federation = site.federation
        return cls(roster=federation.roster, coordinator_key=federation.coordinator_key)


def pinned_as(site: Site, transaction: Connection, roster_hash: str) -> Pinned:
    """The roster with this hash, if the site ever pinned it; otherwise the present one."""
    present = Pinned.now(site)
    if present.roster.hash.hex() != roster_hash:
        for earlier in _pinned(transaction):
            if earlier.roster.hash.hex() == roster_hash:
                return earlier
    return present


def own_keys(site: Site, transaction: Connection) -> set[bytes]:
    """Every signing key that this folder had or drew, as far as it knows.

    The next key is among them: a copy of this folder may have signed by it since.
    """
    on_rosters = {found.roster.keys.get(site.id) for found in _pinned(transaction)}
    here = {site.identity.public_key, site.ledger_identity.public_key}
    return {key for key in (*on_rosters, *here, next_public_key(site.folder)) if key is not None}


def _pinned(transaction: Connection) -> Iterator[Pinned]:
    for line in LEDGER.holding(transaction, _ACCEPTED):
        entry = json.loads(line)
        if entry["kind"] == "roster-accepted":
            signed = SignedRoster.from_bytes(canonical_json(entry["body"]["document"]))
            key = bytes.fromhex(entry["body"]["coordinator_key"])
            yield Pinned(roster=signed.roster, coordinator_key=key)
