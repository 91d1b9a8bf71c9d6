"""The steps of a site, each a pure function from a phase and a message to the next phase and reply.

That every step is taken once, and that a failed check ends the attempt, is `site.SiteRound`'s part.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from recommons.common.errors import InvalidInput
from recommons.common.secagg import checks, phases
from recommons.common.secagg.dealing import Secrets, deal, key_pair
from recommons.common.secagg.derivation import private_key, public_key
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.masking import add_site_masks, chosen_openings
from recommons.common.secagg.messages import (
    Advertise,
    Certificate,
    Inbox,
    Keys,
    Masked,
    Reveal,
    Signature,
    Survivors,
)
from recommons.common.secagg.site_state import Setting
from recommons.common.secagg.statements import (
    advertised,
    masked,
    openings_hash,
    revealed,
    survived,
    vector_hash,
)

__all__ = [
    "Actor",
    "accept_inbox",
    "accept_keys",
    "advertise",
    "mask",
    "reveal",
    "share",
    "sign",
]


@dataclass(frozen=True, kw_only=True, repr=False)
class Actor:
    """Who takes a step, and in which attempt.

    Attributes:
        setting: What does not change in the attempt.
        identity: The site's signing key.
        public_keys: The cohort's signing keys, by place.
    """

    setting: Setting
    identity: SigningIdentity
    public_keys: tuple[bytes, ...]

    @property
    def ctx(self) -> bytes:
        """The context's hash."""
        return self.setting.context.hash


def advertise(actor: Actor, entropy: bytes) -> tuple[phases.Advertised, bytes]:
    """Step 1."""
    ctx, own = actor.ctx, actor.setting.own
    mask_key, encryption_key = (
        public_key(private_key(private)) for private in key_pair(entropy, ctx)
    )
    message = Advertise(
        ctx=ctx,
        site=own,
        mask_key=mask_key,
        encryption_key=encryption_key,
        signature=actor.identity.sign(*advertised(ctx, own, mask_key, encryption_key)),
    ).to_bytes()
    return phases.Advertised(entropy=entropy, advertisement=message), message


def accept_keys(
    actor: Actor,
    phase: phases.Advertised,
    message: bytes,
    expected_spec: bytes,
    expected_state_hash: bytes | None,
) -> tuple[phases.Keyed, bytes]:
    """Step 2; returns the public state."""
    keys = Keys.from_bytes(message)
    agreement = checks.keys(
        keys,
        setting=actor.setting,
        own=Advertise.from_bytes(phase.advertisement),
        public_keys=actor.public_keys,
        expected_spec=expected_spec,
        expected_state_hash=expected_state_hash,
    )
    return phases.Keyed(entropy=phase.entropy, agreement=agreement), keys.public_state


def share(actor: Actor, phase: phases.Keyed) -> tuple[phases.Dealt, bytes]:
    """Step 3."""
    message, held = deal(
        entropy=phase.entropy,
        ctx=actor.ctx,
        agreement=phase.agreement,
        own=actor.setting.own,
        threshold=actor.setting.parameters.threshold,
        identity=actor.identity,
    )
    secrets = Secrets.of(phase.entropy, actor.ctx, phase.agreement.full)
    dealt = phases.Dealt(agreement=phase.agreement, secrets=secrets, held=held)
    return dealt, message.to_bytes()


def accept_inbox(actor: Actor, phase: phases.Dealt, message: bytes) -> phases.Collected:
    """Step 4."""
    inbox = Inbox.from_bytes(message)
    held = checks.inbox(inbox, setting=actor.setting, phase=phase, public_keys=actor.public_keys)
    return phases.Collected(
        agreement=phase.agreement,
        mask_private=phase.secrets.mask_private,
        seed=phase.secrets.seed,
        dealers=inbox.dealers,
        held=held,
    )


def mask(
    actor: Actor, phase: phases.Collected, vector: npt.NDArray[Any], workers: int
) -> tuple[phases.Masked, bytes]:
    """Step 5."""
    shape, own, full = actor.setting.shape, actor.setting.own, phase.agreement.full
    words = shape.ring.wrap(vector)
    if words.size != shape.size:
        raise InvalidInput("secagg/vector", f"{words.size} coordinates; the plan has {shape.size}")
    add_site_masks(words, phase=phase, own=own, workers=workers)
    payload = shape.ring.encode(words)
    hashed = vector_hash(shape.bits, shape.size, payload)
    message = Masked(
        ctx=actor.ctx,
        site=own,
        dealers=phase.dealers,
        bits=shape.bits,
        size=shape.size,
        signature=actor.identity.sign(*masked(actor.ctx, full, own, phase.dealers, hashed)),
        vector=payload,
    )
    after = phases.Masked(full=full, dealers=phase.dealers, held=phase.held, vector_hash=hashed)
    return after, message.to_bytes()


def sign(actor: Actor, phase: phases.Masked, message: bytes) -> tuple[phases.Signed, bytes]:
    """Steps 6 and 7."""
    proposed = Survivors.from_bytes(message)
    checks.survivors(proposed, setting=actor.setting, phase=phase)
    statement = survived(actor.ctx, phase.full, phase.dealers, proposed.survivors)
    reply = Signature(
        ctx=actor.ctx, site=actor.setting.own, signature=actor.identity.sign(*statement)
    )
    return phases.Signed(masked=phase, survivors=proposed.survivors), reply.to_bytes()


def reveal(actor: Actor, phase: phases.Signed, message: bytes) -> tuple[phases.Revealed, bytes]:
    """Steps 8 and 9."""
    certificate = Certificate.from_bytes(message)
    checks.certificate(
        certificate, setting=actor.setting, phase=phase, public_keys=actor.public_keys
    )
    past, own = phase.masked, actor.setting.own
    openings = chosen_openings(phase)
    statement = revealed(
        actor.ctx, past.full, own, past.dealers, phase.survivors, openings_hash(openings)
    )
    reply = Reveal(
        ctx=actor.ctx,
        site=own,
        dealers=past.dealers,
        survivors=phase.survivors,
        openings=openings,
        signature=actor.identity.sign(*statement),
    )
    after = phases.Revealed(
        vector_hash=past.vector_hash,
        certificate_hash=hashlib.sha256(message).digest(),
        survivors=phase.survivors,
    )
    return after, reply.to_bytes()
