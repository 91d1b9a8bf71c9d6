"""Attacks on steps 3 and 4: which shares reach whom."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from recommons.common.secagg.derivation import CIPHERTEXT_BYTES, OPENING_BYTES
from recommons.common.secagg.messages import Certificate, Inbox, InboxEntry, Survivors
from recommons.common.secagg.sets import SiteSet
from recommons.common.wire import Exchange
from recommons.simulations.attacks.attack import COLLUDER, TARGET, Attack, Ended
from recommons.simulations.attacks.puppet import Puppet
from recommons.simulations.attacks.stage import Stage

__all__ = ["ATTACKS", "answer_under", "inbox_without"]

_SIGNED = "step 4: one valid, signed message from every other site of U2"


def _inbox(stage: Stage, attempt: int = 0) -> Inbox:
    protocol = stage.honest if not attempt else stage.before("masked", attempt=attempt)
    return Inbox.from_bytes(protocol.message_for(TARGET))


def _refused(stage: Stage, inbox: Inbox, attempt: int = 0) -> Ended:
    code = stage.refusal(TARGET, "masked", inbox.to_bytes(), attempt=attempt)
    return Ended(code=code, victims=(TARGET,))


def inbox_without(inbox: Inbox, *places: int) -> Inbox:
    """The inbox as if these dealers' shares had not arrived."""
    dealers = SiteSet.of(inbox.dealers.size, (i for i in inbox.dealers if i not in places))
    entries = tuple(entry for place, entry in inbox.by_place() if place in dealers)
    return replace(inbox, dealers=dealers, entries=entries)


def _first(change: Callable[[InboxEntry], InboxEntry]) -> Callable[[Stage], Ended]:
    def run(stage: Stage) -> Ended:
        inbox = _inbox(stage)
        return _refused(
            stage, replace(inbox, entries=(change(inbox.entries[0]), *inbox.entries[1:]))
        )

    return run


def _flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def _altered(field: str, entry: InboxEntry) -> InboxEntry:
    changes: dict[str, Any] = {field: _flipped(getattr(entry, field))}
    return replace(entry, **changes)


def _swapped(stage: Stage) -> Ended:
    inbox = _inbox(stage)
    one, two, *rest = inbox.entries
    return _refused(stage, replace(inbox, entries=(two, one, *rest)))


def _another_holders(stage: Stage) -> Ended:
    mine, other = _inbox(stage), Inbox.from_bytes(stage.honest.message_for("site-1"))
    entries = (mine.entries[0], other.entries[1], *mine.entries[2:])  # site-2's, for site-1
    return _refused(stage, replace(mine, entries=entries))


def _another_inbox(stage: Stage) -> Ended:
    return _refused(stage, Inbox.from_bytes(stage.honest.message_for("site-1")))


def _replayed(stage: Stage) -> Ended:
    old, new = _inbox(stage), _inbox(stage, attempt=1)
    return _refused(stage, replace(new, entries=(old.entries[0], *new.entries[1:])), attempt=1)


def _withheld(stage: Stage) -> Ended:
    inbox = _inbox(stage)
    return _refused(stage, replace(inbox, entries=inbox.entries[:-1]))


def _too_few(stage: Stage) -> Ended:
    return _refused(stage, inbox_without(_inbox(stage), 3, 4))


def _without_me(stage: Stage) -> Ended:
    inbox = _inbox(stage)
    return _refused(stage, replace(inbox, dealers=inbox.dealers.without(0)))


def _not_advertised(stage: Stage) -> Ended:
    """The colluder's keys are withheld at step 2; at step 4 it has dealt all the same."""
    protocol = stage.before("shares", without=(COLLUDER,))
    stage.exchange(protocol, "shares")
    protocol.close_shares()
    inbox = Inbox.from_bytes(protocol.message_for(TARGET))
    more = SiteSet.of(5, (*inbox.dealers, 4))
    return _refused(stage, replace(inbox, dealers=more, entries=(*inbox.entries, inbox.entries[0])))


def _second_inbox(stage: Stage) -> Ended:
    inbox = _inbox(stage)
    stage.ask(TARGET, "masked", inbox.to_bytes())
    other = inbox_without(inbox, 4)
    return Ended(code=stage.refusal(TARGET, "masked", other.to_bytes()))


def answer_under(stage: Stage, site: str, dealers: Inbox, survivors: SiteSet) -> bytes:
    """A site's masked vector against one U2, then its signature on one U3."""
    stage.ask(site, "masked", dealers.to_bytes())
    proposed = Survivors(ctx=dealers.ctx, dealers=dealers.dealers, survivors=survivors)
    return stage.ask(site, "sign", proposed.to_bytes())


def _selective(stage: Stage) -> Ended:
    """The target is told a U2 of four, the others one of five; both halves answer and sign."""
    target = inbox_without(_inbox(stage), 1)
    everyone = SiteSet(5, 31)
    mine = answer_under(stage, TARGET, target, target.dealers)
    for site in ("site-1", "site-2", "site-3"):
        inbox = Inbox.from_bytes(stage.honest.message_for(site))
        answer_under(stage, site, inbox, everyone)
    short = Certificate(
        ctx=target.ctx,
        full=stage.agreed().full,
        dealers=target.dealers,
        survivors=target.dealers,
        signers=SiteSet.of(5, (0,)),
        signatures=(mine[-64:],),
    )
    code = stage.refusal(TARGET, "reveal", short.to_bytes())
    return Ended(code=code, victims=(TARGET,))


def _by_dealer(forge: Callable[[Stage, Puppet, bytes], bytes]) -> Callable[[Stage], Ended]:
    """A colluding dealer signs whatever `forge` makes; an honest coordinator delivers it."""

    def run(stage: Stage) -> Ended:
        protocol = stage.honest
        puppet = Puppet(stage, COLLUDER, protocol)
        protocol.receive(COLLUDER, puppet.advertisement)
        stage.before("shares", without=(COLLUDER,))
        protocol.receive(COLLUDER, forge(stage, puppet, protocol.message_for(COLLUDER)))
        stage.before("masked")
        code = stage.refusal(TARGET, "masked", protocol.message_for(TARGET))
        return Ended(code=code, victims=(TARGET,))

    return run


def _unopenable(_stage: Stage, puppet: Puppet, keys: bytes) -> bytes:
    return puppet.forged_shares(keys, sealed_for={0: bytes(CIPHERTEXT_BYTES)})


def _uncommitted(_stage: Stage, puppet: Puppet, keys: bytes) -> bytes:
    return puppet.forged_shares(keys, dealt_to={0: bytes(2 * OPENING_BYTES)})


def _attack(
    name: str,
    run: Callable[[Stage], Ended],
    *,
    does: str,
    gains: str,
    rule: str = _SIGNED,
    code: str = "secagg/inbox-signature",
    before: Exchange = "masked",
) -> Attack:
    return Attack(name=name, does=does, gains=gains, rule=rule, code=code, run=run, before=before)


ATTACKS = (
    _attack(
        "swapped-shares",
        _swapped,
        does="delivers two dealers' shares under each other's name",
        gains="reveals that reconstruct nothing, blamed on the wrong sites",
    ),
    _attack(
        "shares-of-another-holder",
        _another_holders,
        does="delivers shares that were dealt to another site",
        gains="two sites with one share: fewer than t distinct ones exist",
    ),
    _attack(
        "inbox-of-another-site",
        _another_inbox,
        does="delivers another site's whole inbox",
        gains="as above, for all dealers at once",
        code="secagg/malformed",
    ),
    _attack(
        "replayed-shares",
        _replayed,
        does="delivers a dealer's shares of an earlier attempt",
        gains="shares of secrets that may have been opened in that attempt",
        rule="step 3 is signed under full",
    ),
    *(
        _attack(
            f"altered-{field.replace('_', '-')}",
            _first(partial(_altered, field)),
            does=f"alters one bit of a dealer's {field.replace('_', ' ')}",
            gains="a holder that later reveals garbage and is blamed for it",
        )
        for field in ("seed_commitment", "commitments", "ciphertext", "path", "signature")
    ),
    _attack(
        "withheld-shares",
        _withheld,
        does="leaves one dealer's shares out of the inbox and in U2",
        gains="honest sites split by what was delivered to whom",
        code="secagg/malformed",
    ),
    _attack(
        "too-few-dealers",
        _too_few,
        does="names three sites as U2 where the plan requires four",
        gains="masks against so few that colluders remove them",
        rule="step 4: |U2| ≥ M",
        code="secagg/too-few-sites",
    ),
    _attack(
        "dealers-without-me",
        _without_me,
        does="leaves the target out of the U2 it is shown",
        gains="a masked vector whose self-mask nobody holds to account",
        rule="step 4: the site is of U2 itself",
        code="secagg/not-in-set",
    ),
    _attack(
        "dealer-without-keys",
        _not_advertised,
        does="names a dealer that advertised no keys to the target",
        gains="a peer that is not bound into full",
        rule="step 4: U2 ⊆ U1",
        code="secagg/inbox-sites",
        before="advertise",
    ),
    _attack(
        "second-inbox",
        _second_inbox,
        does="after the masked vector, delivers an inbox with a smaller U2",
        gains="two vectors under one self-mask: their difference is a pair mask and two noises",
        rule="nothing is computed twice",
        code="site/repeated-step",
    ),
    _attack(
        "selective-delivery",
        _selective,
        does="tells one site a U2 of four and the others one of five, and opens each apart",
        gains="the vector of the site that was told apart",
        rule="step 8: q signatures on my own (full, U2, U3)",
        code="secagg/quorum",
    ),
    _attack(
        "dealer-of-unopenable-shares",
        _by_dealer(_unopenable),
        does="a colluding dealer signs a ciphertext that does not open",
        gains="a holder with nothing to reveal, found out when it is too late",
        rule="step 4: each message opens; the dealer is named",
        code="secagg/inbox-ciphertext",
        before="advertise",
    ),
    _attack(
        "dealer-of-uncommitted-shares",
        _by_dealer(_uncommitted),
        does="a colluding dealer encrypts other shares than it committed to",
        gains="a wrong share for which its honest holder is blamed",
        rule="step 4: each share matches its commitment; the dealer is named",
        code="secagg/inbox-commitment",
        before="advertise",
    ),
)
