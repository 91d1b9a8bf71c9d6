"""What everyone in a federation has pinned: its roster and the keys that speak for it."""

import json
from dataclasses import dataclass
from typing import Self

from recommons.common.errors import InvalidInput
from recommons.common.hashing import canonical_json
from recommons.common.heads import COORDINATOR
from recommons.common.plan import Plan
from recommons.common.secagg.identity import (
    SIGNATURE_BYTES,
    SigningIdentity,
    is_signed,
    is_usable_key,
)
from recommons.common.secagg.roster import Roster, SignedRoster

__all__ = [
    "RESERVED_NAMES",
    "Federation",
    "open_acceptance",
    "open_announcement",
    "sign_acceptance",
    "sign_announcement",
]

_ANNOUNCEMENT = "recommons/announcement/1"
_ACCEPTANCE = "recommons/acceptance/1"
_VERSION = 1

RESERVED_NAMES = frozenset({COORDINATOR})
"""Names that no site may have: its ledger could pass for the coordinator's."""


@dataclass(frozen=True, kw_only=True)
class Federation:
    """A federation as one of its members knows it.

    Attributes:
        signed_roster: The roster of the accepted epoch.
        federation_key: Public key of the offline key that signs rosters.
        coordinator_key: Public key of the coordinator, which signs plans.
    """

    signed_roster: SignedRoster
    federation_key: bytes
    coordinator_key: bytes

    def __post_init__(self) -> None:
        if not (is_usable_key(self.federation_key) and is_usable_key(self.coordinator_key)):
            raise InvalidInput(
                "secagg/signing-key", "the federation's or the coordinator's key is of low order"
            )
        if not self.signed_roster.is_signed_by(self.federation_key):
            raise InvalidInput("plan/roster", "the roster is not signed by the federation's key")
        if reserved := RESERVED_NAMES & self.roster.keys.keys():
            raise InvalidInput("plan/roster", f"a site of the roster is named {min(reserved)!r}")

    @property
    def roster(self) -> Roster:
        """The roster."""
        return self.signed_roster.roster

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(
            {
                "version": _VERSION,
                "signed_roster": json.loads(self.signed_roster.to_bytes()),
                "federation_key": self.federation_key.hex(),
                "coordinator_key": self.coordinator_key.hex(),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            InvalidInput: Not such a document, or the roster's signature does not hold.
        """
        try:
            fields = json.loads(data)
            if fields["version"] != _VERSION:
                raise InvalidInput(
                    "plan/roster", f"version is {fields['version']!r}; required: {_VERSION}"
                )
            return cls(
                signed_roster=SignedRoster.from_bytes(canonical_json(fields["signed_roster"])),
                federation_key=bytes.fromhex(fields["federation_key"]),
                coordinator_key=bytes.fromhex(fields["coordinator_key"]),
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            if isinstance(error, InvalidInput):
                raise
            raise InvalidInput("plan/roster", "not a federation document") from error


def sign_announcement(plan: Plan, run_id: bytes, coordinator: SigningIdentity) -> bytes:
    """The body of ``join``: the coordinator's signature over plan and run, then the plan."""
    return coordinator.sign(_ANNOUNCEMENT, run_id, plan.hash()) + plan.to_bytes()


def open_announcement(body: bytes, run_id: bytes, federation: Federation) -> Plan:
    """The plan of an announcement that the pinned coordinator signed for this run.

    Raises:
        InvalidInput: Not a plan, another roster, or not the coordinator's signature.
    """
    signature, plan = body[:SIGNATURE_BYTES], Plan.from_bytes(body[SIGNATURE_BYTES:])
    if not is_signed(federation.coordinator_key, signature, _ANNOUNCEMENT, run_id, plan.hash()):
        raise InvalidInput("plan/signature", "the plan is not signed by the pinned coordinator")
    roster = federation.roster
    if plan.federation != roster.federation or plan.roster_hash != roster.hash.hex():
        raise InvalidInput(
            "plan/roster", "the plan was made for another roster than the pinned one"
        )
    unknown = sorted(set(plan.cohort) - set(roster.keys))
    if unknown:
        raise InvalidInput("plan/cohort", f"cohort names {unknown}, which are not in the roster")
    return plan


def sign_acceptance(site: str, plan: Plan, run_id: bytes, identity: SigningIdentity) -> bytes:
    """The answer to ``join``: the site's signature over run and plan, then its id."""
    return identity.sign(_ACCEPTANCE, run_id, plan.hash(), site.encode()) + site.encode()


def open_acceptance(body: bytes, plan: Plan, run_id: bytes, roster: Roster) -> str | None:
    """The site that accepted, or None where the answer is not a signed acceptance of this plan."""
    signature, name = body[:SIGNATURE_BYTES], body[SIGNATURE_BYTES:]
    site = name.decode("ascii", errors="replace")
    key = roster.keys.get(site)
    fields = (run_id, plan.hash(), name)
    if (
        key is None
        or site not in plan.cohort
        or not is_signed(key, signature, _ACCEPTANCE, *fields)
    ):
        return None
    return site
