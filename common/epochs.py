"""How a new epoch of the roster takes effect at a site: by its operator's word, or by a majority.

Whoever holds the federation's key can sign any roster, also one full of invented sites, and appoint
any coordinator. So that key alone moves nobody: a site's operator approves each epoch, or, where
the site's policy says so, the signatures of most sites of the epoch it has pinned do.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from recommons.common.errors import InvalidInput, Refusal
from recommons.common.federation import Federation
from recommons.common.hashing import canonical_json, digest
from recommons.common.peers import check_fingerprints
from recommons.common.policy import Policy
from recommons.common.secagg.identity import (
    PUBLIC_KEY_BYTES,
    SIGNATURE_BYTES,
    SigningIdentity,
    is_identifier,
    is_signed,
)
from recommons.common.secagg.roster import Roster, SignedRoster
from recommons.common.succession import Succession, heir

__all__ = [
    "Epoch",
    "accept_epoch",
    "approve",
    "approving_sites",
    "epoch_hash",
    "first_pin",
    "is_approval",
    "is_approved_by",
    "majority_of",
]

_APPOINTMENT = "recommons/roster/1/coordinator"
_APPROVAL = "recommons/roster/1/approval"
_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """A roster with its coordinator and the approvals it has gathered; one file.

    Attributes:
        signed_roster: The roster, under the federation's signature.
        coordinator_key: Who signs plans in this epoch, 32 bytes.
        appointment: The federation key's signature over the roster's hash and that key.
        successions: Every statement by which a site on the roster replaced its key, ever; not yet
            checked.
        approvals: A site's signature over `hash`, by site; not yet checked.
    """

    signed_roster: SignedRoster
    coordinator_key: bytes
    appointment: bytes
    successions: Sequence[Succession] = ()
    approvals: Mapping[str, bytes] = field(default_factory=dict)

    @classmethod
    def sign(
        cls,
        roster: Roster,
        federation_key: SigningIdentity,
        coordinator_key: bytes,
        successions: Sequence[Succession] = (),
    ) -> Self:
        """A new epoch, without approvals."""
        return cls(
            signed_roster=roster.sign(federation_key),
            coordinator_key=coordinator_key,
            appointment=federation_key.sign(_APPOINTMENT, roster.hash, coordinator_key),
            successions=tuple(successions),
        )

    @property
    def roster(self) -> Roster:
        """The roster."""
        return self.signed_roster.roster

    @property
    def hash(self) -> bytes:
        """What approvals are about: the roster and the coordinator; 32 bytes."""
        return epoch_hash(self.roster.hash, self.coordinator_key)

    def is_signed_by(self, federation_key: bytes) -> bool:
        """Whether roster and coordinator are the federation key's choice."""
        return self.signed_roster.is_signed_by(federation_key) and is_signed(
            federation_key,
            self.appointment,
            _APPOINTMENT,
            self.roster.hash,
            self.coordinator_key,
        )

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(
            {
                "version": _VERSION,
                "signed_roster": json.loads(self.signed_roster.to_bytes()),
                "coordinator_key": self.coordinator_key.hex(),
                "appointment": self.appointment.hex(),
                "successions": [statement.fields() for statement in self.successions],
                "approvals": {site: given.hex() for site, given in self.approvals.items()},
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read `to_bytes`.

        Raises:
            InvalidInput: ``roster/file``: anything else.
        """
        try:
            fields: Any = json.loads(data)
            epoch = cls(
                signed_roster=SignedRoster.from_bytes(canonical_json(fields["signed_roster"])),
                coordinator_key=bytes.fromhex(fields["coordinator_key"]),
                appointment=bytes.fromhex(fields["appointment"]),
                successions=tuple(map(Succession.from_fields, fields["successions"])),
                approvals={site: bytes.fromhex(h) for site, h in fields["approvals"].items()},
            )
            known = all(
                is_identifier(site) and len(given) == SIGNATURE_BYTES
                for site, given in epoch.approvals.items()
            )
            lengths = (len(epoch.coordinator_key), len(epoch.appointment))
            sound = (
                known
                and lengths == (PUBLIC_KEY_BYTES, SIGNATURE_BYTES)
                and epoch.to_bytes() == data.strip()
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InvalidInput("roster/file", "not a roster with its approvals") from error
        if not sound:
            raise InvalidInput("roster/file", "a roster's file is not in its canonical form")
        return epoch


def approve(epoch: Epoch, site: str, identity: SigningIdentity) -> Epoch:
    """The epoch with one site's approval more."""
    given = identity.sign(_APPROVAL, epoch.hash)
    return replace(epoch, approvals={**epoch.approvals, site: given})


def epoch_hash(roster_hash: bytes, coordinator_key: bytes) -> bytes:
    """What approvals are about, from the two things it is made of."""
    return digest("recommons/epoch/1", roster_hash, coordinator_key)


def is_approval(key: bytes, approval: bytes, epoch: bytes) -> bool:
    """Whether `approval` is this key's, of the epoch with this `epoch_hash`."""
    return is_signed(key, approval, _APPROVAL, epoch)


def is_approved_by(epoch: Epoch, key: bytes, approval: bytes) -> bool:
    """Whether `approval` is this key's, of this very epoch."""
    return is_approval(key, approval, epoch.hash)


def majority_of(roster: Roster) -> int:
    """How many of a roster's sites are most of them."""
    return len(roster.sites) // 2 + 1


def first_pin(epoch: Epoch, federation_key: bytes, own: str, own_key: bytes) -> Federation:
    """What a site pins when it joins, on its operator's word.

    Args:
        epoch: As the enrolment desk gave it.
        federation_key: Already compared with the fingerprint in the invitation.
        own: The site.
        own_key: The key that was drawn there.

    Raises:
        Refusal: ``roster/signature`` or ``roster/own-entry``.
    """
    if not epoch.is_signed_by(federation_key):
        raise Refusal("roster/signature", "the roster is not signed by the federation's key")
    if epoch.roster.keys.get(own) != own_key:
        raise Refusal("roster/own-entry", "this site is not on the roster with its own key")
    return Federation(
        signed_roster=epoch.signed_roster,
        federation_key=federation_key,
        coordinator_key=epoch.coordinator_key,
    )


def accept_epoch(
    pinned: Federation,
    epoch: Epoch,
    policy: Policy,
    own: str,
    *,
    by_hand: bool,
    next_key: bytes | None = None,
) -> Federation:
    """Decide whether a new epoch takes effect at a site.

    Args:
        pinned: What the site has pinned.
        epoch: The new roster and its approvals.
        policy: The site's policy.
        own: The site.
        by_hand: The site's operator has looked at this very roster and approves it.
        next_key: The key that this site itself has drawn to take the place of its present one.

    Returns:
        What the site pins from now on.

    Raises:
        Refusal: ``roster/signature``: not signed by the federation's key; ``roster/epoch``: of
            another federation, or not later than the pinned one; ``roster/own-entry``: this site
            is not on it with its present key, or its own next one and its statement;
            ``policy/peer-fingerprint``: a verified peer has another key, and not by its own word;
            ``roster/not-approved``.
    """
    new, old = epoch.roster, pinned.roster
    if not epoch.is_signed_by(pinned.federation_key):
        raise Refusal("roster/signature", "the roster is not signed by the federation's key")
    if new.federation != old.federation or new.epoch <= old.epoch:
        raise Refusal(
            "roster/epoch",
            f"epoch {new.epoch} of {new.federation}; required: one later than epoch {old.epoch} "
            f"of {old.federation}",
        )
    own_key, present = new.keys.get(own), old.keys.get(own)
    if own_key is None or own_key not in (present, next_key):
        raise Refusal("roster/own-entry", "this site is not on the roster with its own key")
    if present not in (None, own_key) and not _is_heir(epoch, own, present, own_key):
        # Its ledger goes on under the key it began with: nobody could tell whose it is.
        raise Refusal(
            "roster/own-entry", "the roster has this site's next key without its own statement"
        )
    check_fingerprints(policy.peers, new, epoch.successions)
    approving = approving_sites(epoch, old)
    majority = majority_of(old)
    by_others = policy.roster.new_epoch == "by-majority" and len(approving) >= majority
    if not by_hand and not by_others:
        raise Refusal(
            "roster/not-approved",
            f"{len(approving)} of the {len(old.sites)} sites of epoch {old.epoch} approve; required"
            + (f": {majority}, or" if policy.roster.new_epoch == "by-majority" else ":")
            + " the word of this site's operator",
        )
    return replace(pinned, signed_roster=epoch.signed_roster, coordinator_key=epoch.coordinator_key)


def _is_heir(epoch: Epoch, site: str, present: bytes | None, following: bytes) -> bool:
    federation = epoch.roster.federation
    return present is not None and heir(site, present, epoch.successions, federation) == following


def approving_sites(epoch: Epoch, old: Roster) -> dict[str, bytes]:
    """The approvals that hold: of sites of the old roster, under the keys they had there."""
    return {
        site: given
        for site, given in epoch.approvals.items()
        if site in old.keys and is_approved_by(epoch, old.keys[site], given)
    }
