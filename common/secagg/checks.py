"""What a site checks of each message of the coordinator, rule by rule.

Each function takes a parsed message and what the site knows, and raises `ProtocolAbort` under the
code of the first rule that does not hold. A rule's comment says what would go wrong without it.
"""

from recommons.common.errors import ProtocolAbort
from recommons.common.secagg.agreement import (
    Agreement,
    advertisement_fault,
    agree,
    check_distinct,
    state_hash,
)
from recommons.common.secagg.dealing import Holder
from recommons.common.secagg.derivation import private_key
from recommons.common.secagg.identity import is_signed
from recommons.common.secagg.messages import (
    Advertise,
    Certificate,
    Inbox,
    KeyEntry,
    Keys,
    Survivors,
)
from recommons.common.secagg.phases import Dealt, Masked, Signed
from recommons.common.secagg.sets import SiteSet
from recommons.common.secagg.site_state import Setting
from recommons.common.secagg.statements import survived

__all__ = ["certificate", "inbox", "keys", "survivors"]


def keys(
    message: Keys,
    *,
    setting: Setting,
    own: Advertise,
    public_keys: tuple[bytes, ...],
    expected_spec: bytes,
    expected_state_hash: bytes | None,
) -> Agreement:
    """Step 2: every signature, nobody twice, the site itself unchanged, enough sites, the plan."""
    _same_attempt(message.ctx, setting)
    _group(message.members, setting, "advertised")
    if message.spec != expected_spec:
        raise ProtocolAbort("secagg/spec", "the vector spec is not the plan's")
    if expected_state_hash is not None and state_hash(message.public_state) != expected_state_hash:
        raise ProtocolAbort("secagg/public-state", "the public state is not the pinned one")
    for place, entry in message.by_place():
        # A key the coordinator chose would let it open what is encrypted or masked for its owner.
        _advertisement(place, entry, setting, public_keys)
        if place == setting.own and _entry(own) != entry:
            raise ProtocolAbort("secagg/own-key", "this site's own advertisement was replaced")
    # One private key behind two names would count one site twice against c.
    check_distinct(k for e in message.entries for k in (e.mask_key, e.encryption_key))
    return agree(message)


def _advertisement(
    place: int, entry: KeyEntry, setting: Setting, public_keys: tuple[bytes, ...]
) -> None:
    message = Advertise(
        ctx=setting.context.hash,
        site=place,
        mask_key=entry.mask_key,
        encryption_key=entry.encryption_key,
        signature=entry.signature,
    )
    fault = advertisement_fault(message, public_keys[place])
    if fault is not None:
        name = setting.context.cohort[place]
        raise ProtocolAbort(fault, f"the advertised keys of site {name} are not acceptable")


def _entry(own: Advertise) -> KeyEntry:
    return KeyEntry(
        mask_key=own.mask_key, encryption_key=own.encryption_key, signature=own.signature
    )


def inbox(
    message: Inbox, *, setting: Setting, phase: Dealt, public_keys: tuple[bytes, ...]
) -> bytes:
    """Step 4: exactly one valid message from every other site of U2; returns all openings held.

    Stopping at the first fault, rather than going on without that dealer, is what keeps selective
    delivery from splitting the honest sites.
    """
    _same_attempt(message.ctx, setting)
    if message.site != setting.own:
        raise ProtocolAbort("secagg/malformed", "the inbox is another site's")
    _group(message.dealers, setting, "dealt shares")
    if not message.dealers <= phase.agreement.members:
        raise ProtocolAbort("secagg/inbox-sites", "a dealer did not advertise keys")
    holder = Holder(
        own=setting.own,
        ctx=setting.context.hash,
        agreement=phase.agreement,
        private=private_key(phase.secrets.encryption_private),
        public_keys=public_keys,
        name=lambda place: setting.context.cohort[place],
    )
    openings = {dealer: holder.accept(dealer, entry) for dealer, entry in message.by_place()}
    openings[setting.own] = phase.held
    return b"".join(openings[dealer] for dealer in message.dealers)


def survivors(message: Survivors, *, setting: Setting, phase: Masked) -> None:
    """Step 6: I am in it, it is large enough, and of the sites I masked against."""
    _same_attempt(message.ctx, setting)
    if message.dealers != phase.dealers:
        raise ProtocolAbort("secagg/other-set", "the masks were made against another set of sites")
    _group(message.survivors, setting, "sent a masked vector")
    if not message.survivors <= phase.dealers:
        raise ProtocolAbort("secagg/other-set", "a survivor dealt no shares")


def certificate(
    message: Certificate, *, setting: Setting, phase: Signed, public_keys: tuple[bytes, ...]
) -> None:
    """Step 8: a quorum signed the very set this site signed.

    Two quorums of one cohort share a site that does not collude, and it signs once: so at most one
    set of survivors is ever opened in a context.
    """
    _same_attempt(message.ctx, setting)
    past = phase.masked
    if (message.full, message.dealers, message.survivors) != (
        past.full,
        past.dealers,
        phase.survivors,
    ):
        raise ProtocolAbort("secagg/other-set", "the certificate is for another set of survivors")
    if not message.signers <= phase.survivors:
        raise ProtocolAbort("secagg/certificate-signer", "someone signed who is not a survivor")
    needed = setting.parameters.quorum
    if len(message.signers) < needed:
        raise ProtocolAbort(
            "secagg/quorum", f"{len(message.signers)} signatures; required: {needed}"
        )
    statement = survived(setting.context.hash, past.full, past.dealers, phase.survivors)
    for place, signature in message.by_place():
        if not is_signed(public_keys[place], signature, *statement):
            name = setting.context.cohort[place]
            raise ProtocolAbort(
                "secagg/certificate-signature", f"not a signature of site {name} on this set"
            )


def _same_attempt(ctx: bytes, setting: Setting) -> None:
    if ctx != setting.context.hash:
        raise ProtocolAbort("secagg/other-context", "the message belongs to another attempt")


def _group(sites: SiteSet, setting: Setting, did: str) -> None:
    """A set of sites of this cohort, this one among them, large enough, known well enough."""
    if sites.size != setting.parameters.sites:
        raise ProtocolAbort("secagg/other-set", "the set is of another cohort")
    if setting.own not in sites:
        raise ProtocolAbort("secagg/not-in-set", f"this site is not among those that {did}")
    if len(sites) < setting.parameters.survivors:
        raise ProtocolAbort(
            "secagg/too-few-sites",
            f"{len(sites)} sites {did}; required: at least {setting.parameters.survivors}",
        )
    if setting.verified is not None and not setting.verified.are_in(sites, setting.own):
        raise ProtocolAbort(
            "secagg/verified-peers",
            f"fewer than {setting.verified.least} verified peers are among those that {did}",
        )
