"""Whose keys count: the pinned federation, or what the ledgers agree on.

A roster vouches for the sites' keys, the federation's offline key for the roster. Without a pinned
document that key is the one the ledgers name, and a verdict is worth as much as that key's
fingerprint, compared out of band.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from recommons.common.audit.findings import Findings
from recommons.common.errors import InvalidInput, LedgerError, RecommonsError
from recommons.common.federation import Federation
from recommons.common.hashing import canonical_json
from recommons.common.heads import COORDINATOR
from recommons.common.privacy.ledger import ENTRY_DOMAIN
from recommons.common.privacy.ledger_line import parse_line, unsigned_part
from recommons.common.secagg.identity import is_signed
from recommons.common.secagg.roster import Roster, SignedRoster
from recommons.common.succession import Succession, forerunners

__all__ = ["Claim", "Pinned", "Trust", "build_trust", "claims_in", "pinned_from"]

_MARK = b'"kind":"roster'  # how both kinds begin


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """What ``--trust`` gives.

    Attributes:
        roster: The roster.
        signed: The same with its signature, None where only the roster was given.
        federation_key: The key that signs rosters, None where the document does not hold it.
        coordinator_key: The coordinator's, None likewise.
    """

    roster: Roster
    signed: SignedRoster | None = None
    federation_key: bytes | None = None
    coordinator_key: bytes | None = None


def pinned_from(data: bytes) -> Pinned:
    """Read a pinned document: ``federation.json``, a signed roster, or a roster.

    Raises:
        InvalidInput: ``audit/trust``: none of them.
    """
    text = data.strip()
    try:
        federation = Federation.from_bytes(text)
    except RecommonsError:
        pass
    else:
        return Pinned(
            roster=federation.roster,
            signed=federation.signed_roster,
            federation_key=federation.federation_key,
            coordinator_key=federation.coordinator_key,
        )
    try:
        signed = SignedRoster.from_bytes(text)
    except RecommonsError:
        pass
    else:
        return Pinned(roster=signed.roster, signed=signed)
    try:
        return Pinned(roster=Roster.from_bytes(text))
    except RecommonsError:
        raise InvalidInput(
            "audit/trust", "the pinned document is no federation.json, signed roster or roster"
        ) from None


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A roster as a ledger's line holds it.

    Attributes:
        ledger: The file.
        line: The line, from 1.
        writer: Who wrote it.
        signed: The roster with its signature.
        federation_key: The key it is said to be signed by.
        coordinator_key: The coordinator's key, as a site says; None where the line's own signature
            does not hold, or the writer is the coordinator.
        successions: The statements it holds, by which sites replaced their keys.
    """

    ledger: str
    line: int
    writer: str
    signed: SignedRoster
    federation_key: bytes
    coordinator_key: bytes | None
    successions: tuple[Succession, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the roster is signed by that key."""
        return self.signed.is_signed_by(self.federation_key)


def claims_in(ledger: str, lines: Sequence[bytes], findings: Findings) -> list[Claim]:
    """The rosters in a ledger's lines; a line that cannot be read is left to the chain's check."""
    found: list[Claim] = []
    for number, line in enumerate(lines, start=1):
        if _MARK not in line:
            continue
        try:
            envelope = parse_line(line, number)
        except LedgerError:
            continue
        if envelope["kind"] not in ("roster", "roster-accepted"):
            continue
        try:
            said = [statement for claim in found for statement in claim.successions]
            claim = _claim(ledger, number, line, envelope, said)
        except InvalidInput:
            findings.add(
                "audit/roster", "the document is not a signed roster", ledger=ledger, line=number
            )
            continue
        if claim.holds:
            found.append(claim)
        else:
            findings.add(
                "audit/roster-signature",
                "the roster is not signed by the federation key that the line names",
                ledger=ledger,
                line=number,
            )
    return found


def _claim(
    ledger: str,
    number: int,
    line: bytes,
    envelope: Mapping[str, Any],
    said_before: Sequence[Succession],
) -> Claim:
    body, writer = envelope["body"], envelope["writer"]
    signed = SignedRoster.from_bytes(canonical_json(body["document"]))
    statements = tuple(map(Succession.from_fields, body.get("successions", ())))
    own_key = signed.roster.keys.get(writer)
    # The ledger goes on under its first key, which may have been replaced since.
    keys: tuple[bytes, ...] = ()
    if own_key is not None:
        federation = signed.roster.federation
        keys = forerunners(writer, own_key, [*said_before, *statements], federation)
    signature, message = bytes.fromhex(envelope["signature"]), unsigned_part(line)
    vouched = any(is_signed(key, signature, ENTRY_DOMAIN, message) for key in keys)
    named = body.get("coordinator_key")
    return Claim(
        ledger=ledger,
        line=number,
        writer=writer,
        signed=signed,
        federation_key=bytes.fromhex(body["federation_key"]),
        coordinator_key=bytes.fromhex(named) if named and vouched else None,
        successions=statements,
    )


@dataclass(kw_only=True)
class Trust:
    """The keys that count.

    Attributes:
        federation: The federation's id, None where no roster is known.
        federation_key: The key that signs rosters, None where no roster is known.
        pinned: Whether a pinned document vouches for it, or for every roster there is.
        rosters: By hash; each is signed by the federation key.
        coordinator_keys: By epoch.
        replaced: The key before it, by writer and key, where both have signed a statement of it.
        foreign: Ledgers of another federation.
    """

    federation: str | None = None
    federation_key: bytes | None = None
    pinned: bool = False
    rosters: dict[str, Roster] = field(default_factory=dict)
    coordinator_keys: dict[int, bytes] = field(default_factory=dict)
    replaced: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)

    def ledger_key(self, writer: str, key: bytes) -> bytes:
        """The key under which the ledger of a writer began that has this key now.

        Whoever was enrolled anew, and not by its earlier key's word, has another ledger.
        """
        return [key, *self._before(writer, key)][-1]

    def _before(self, writer: str, key: bytes) -> list[bytes]:
        found = [key]
        while (earlier := self.replaced.get((writer, found[-1]))) is not None:
            if earlier in found:
                break
            found.append(earlier)
        return found[1:]

    def keys_of(self, writer: str) -> tuple[bytes, ...]:
        """Every key a writer has had, the newest first."""
        if writer == COORDINATOR:
            held = [key for _, key in sorted(self.coordinator_keys.items(), reverse=True)]
        else:
            newest = sorted(self.rosters.values(), key=lambda roster: -roster.epoch)
            held = [roster.keys[writer] for roster in newest if writer in roster.keys]
        # Rosters of before may not be among what was given; a ledger goes on under its first key.
        held += [earlier for key in held for earlier in self._before(writer, key)]
        return tuple(dict.fromkeys(held))

    def roster_before(self, roster: Roster) -> Roster | None:
        """The latest one of an earlier epoch that any ledger holds."""
        earlier = [other for other in self.rosters.values() if other.epoch < roster.epoch]
        return max(earlier, key=lambda other: other.epoch, default=None)

    @property
    def sites(self) -> frozenset[str]:
        """Every site of any of the rosters."""
        return frozenset(site for roster in self.rosters.values() for site in roster.keys)


def build_trust(pinned: Pinned | None, claims: Sequence[Claim], findings: Findings) -> Trust:
    """Decide whose keys count, and find who names others."""
    key = _federation_key(pinned, claims)
    trust = Trust(federation_key=key, pinned=pinned is not None and _covers(pinned, claims))
    if pinned is not None:
        _add_roster(trust, pinned.roster)
        if pinned.coordinator_key is not None:
            trust.coordinator_keys[pinned.roster.epoch] = pinned.coordinator_key
    for claim in claims:
        if claim.federation_key != key:
            findings.add(
                "audit/other-federation",
                "the line names another federation key than "
                + ("the pinned one" if pinned else "the other ledgers"),
                ledger=claim.ledger,
                line=claim.line,
            )
            trust.foreign.add(claim.ledger)
        else:
            _take(trust, claim, findings)
    _agree_on_coordinator(trust, [c for c in claims if c.ledger not in trust.foreign], findings)
    return trust


def _federation_key(pinned: Pinned | None, claims: Iterable[Claim]) -> bytes | None:
    if pinned is not None and pinned.federation_key is not None:
        return pinned.federation_key
    if pinned is not None:
        claims = [claim for claim in claims if _is_of(pinned, claim)]
    ledgers = {(claim.ledger, claim.federation_key) for claim in claims}
    counts = Counter(key for _, key in ledgers)
    return max(counts, key=lambda key: (counts[key], key)) if counts else None


def _covers(pinned: Pinned, claims: Iterable[Claim]) -> bool:
    """Whether the pinned document vouches for every roster that the ledgers may hold.

    A bare roster bears no signature, so that anybody can sign it anew with a key of their own, and
    other rosters with it: it vouches for itself alone.
    """
    signed = pinned.federation_key is not None or pinned.signed is not None
    return signed or all(claim.signed.roster.hash == pinned.roster.hash for claim in claims)


def _is_of(pinned: Pinned, claim: Claim) -> bool:
    """Whether the key a line names is the one behind the pinned roster."""
    if pinned.signed is not None:
        return pinned.signed.is_signed_by(claim.federation_key)
    return claim.signed.roster.hash == pinned.roster.hash


def _take(trust: Trust, claim: Claim, findings: Findings) -> None:
    roster = claim.signed.roster
    for other in trust.rosters.values():
        if other.epoch == roster.epoch and other.hash != roster.hash:
            findings.add(
                "audit/roster-split",
                f"two rosters of epoch {roster.epoch} are signed: this one is not the other's",
                ledger=claim.ledger,
                line=claim.line,
            )
    if trust.federation not in (None, roster.federation):
        findings.add(
            "audit/other-federation",
            "the roster is of another federation",
            ledger=claim.ledger,
            line=claim.line,
        )
        trust.foreign.add(claim.ledger)
        return
    _add_roster(trust, roster)
    for said in claim.successions:
        if (said.site, said.new) not in trust.replaced and said.holds(roster.federation):
            trust.replaced[said.site, said.new] = said.old


def _add_roster(trust: Trust, roster: Roster) -> None:
    trust.federation = roster.federation
    trust.rosters[roster.hash.hex()] = roster


def _agree_on_coordinator(trust: Trust, claims: Sequence[Claim], findings: Findings) -> None:
    """One key of the coordinator for each epoch: the pinned one, or what most sites name."""
    named: dict[int, Counter[bytes]] = {}
    for claim in claims:
        if claim.coordinator_key is not None:
            counter = named.setdefault(claim.signed.roster.epoch, Counter())
            counter[claim.coordinator_key] += 1
    for epoch, counter in named.items():
        trust.coordinator_keys.setdefault(epoch, max(counter, key=lambda key: (counter[key], key)))
    for claim in claims:
        key = trust.coordinator_keys.get(claim.signed.roster.epoch)
        if claim.coordinator_key not in (None, key):
            findings.add(
                "audit/other-coordinator",
                "the site has pinned another coordinator key than "
                + ("the pinned document holds" if trust.pinned else "the other sites"),
                ledger=claim.ledger,
                line=claim.line,
            )
