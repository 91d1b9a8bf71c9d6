"""A site's key is replaced by its own word alone."""

from dataclasses import replace

import pytest

from recommons.common.epochs import Epoch, accept_epoch
from recommons.common.errors import InvalidInput, RecommonsError
from recommons.common.federation import Federation
from recommons.common.peers import carried_over, fingerprint
from recommons.common.policy import PeersPolicy, Policy
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.roster import Roster, RosterSite
from recommons.common.succession import Succession, forerunners, heir

FED, COORDINATOR = SigningIdentity(b"f" * 32), SigningIdentity(b"c" * 32)
A1, A2, A3, B = (SigningIdentity(bytes([n]) * 32) for n in (1, 2, 3, 4))
FIRST = Succession.sign("fed", "a", A1, A2)
SECOND = Succession.sign("fed", "a", A2, A3)


def roster(epoch: int, a: SigningIdentity) -> Roster:
    sites = [("a", a), ("b", B)]
    return Roster(
        federation="fed",
        epoch=epoch,
        sites=tuple(RosterSite(site=s, name=s, public_key=k.public_key) for s, k in sites),
    )


def epoch(number: int, a: SigningIdentity, *statements: Succession) -> Epoch:
    return Epoch.sign(roster(number, a), FED, COORDINATOR.public_key, statements)


PINNED = Federation(
    signed_roster=roster(1, A1).sign(FED),
    federation_key=FED.public_key,
    coordinator_key=COORDINATOR.public_key,
)
VERIFIED = Policy(peers=PeersPolicy(verified={"a": fingerprint(A1.public_key)}))


def outcome(
    new: Epoch, own: str, policy: Policy | None = None, next_key: bytes | None = None
) -> str:
    try:
        accept_epoch(PINNED, new, policy or Policy(), own, by_hand=True, next_key=next_key)
    except RecommonsError as refusal:
        return refusal.code
    return "accepted"


def test_a_chain_of_statements_leads_to_the_present_key() -> None:
    assert heir("a", A1.public_key, [SECOND, FIRST], "fed") == A3.public_key
    assert heir("a", A1.public_key, [SECOND], "fed") == A1.public_key
    assert heir("b", A1.public_key, [FIRST], "fed") == A1.public_key
    assert heir("a", A1.public_key, [FIRST], "other") == A1.public_key


def test_from_a_key_the_way_leads_back_to_those_it_took_the_place_of() -> None:
    keys = tuple(key.public_key for key in (A3, A2, A1))
    assert forerunners("a", keys[0], [FIRST, SECOND], "fed") == keys
    assert forerunners("a", keys[0], [FIRST], "fed") == keys[:1]
    assert forerunners("b", keys[0], [FIRST, SECOND], "fed") == keys[:1]
    assert forerunners("a", keys[0], [FIRST, SECOND], "other") == keys[:1]
    forged = replace(SECOND, by_old=SECOND.by_new)
    assert forerunners("a", keys[0], [FIRST, forged], "fed") == keys[:1]
    back = Succession.sign("fed", "a", A2, A1)
    assert forerunners("a", A1.public_key, [FIRST, back], "fed") == (A1.public_key, A2.public_key)


def test_a_sites_own_next_key_takes_effect_with_its_own_statement_alone() -> None:
    key = A2.public_key
    assert outcome(epoch(2, A2, FIRST), "a", next_key=key) == "accepted"
    assert outcome(epoch(2, A2), "a", next_key=key) == "roster/own-entry"
    assert outcome(epoch(2, A2, SECOND), "a", next_key=key) == "roster/own-entry"


def test_statements_that_go_round_end() -> None:
    back = Succession.sign("fed", "a", A2, A1)
    assert heir("a", A1.public_key, [FIRST, back], "fed") == A2.public_key


def test_a_statement_needs_both_keys() -> None:
    forged = replace(FIRST, new=B.public_key)
    assert not forged.holds("fed")
    assert not replace(FIRST, by_old=FIRST.by_new).holds("fed")
    assert not replace(FIRST, by_new=FIRST.by_old).holds("fed")
    assert FIRST.holds("fed")
    assert not FIRST.holds("other")


def test_the_site_itself_takes_its_own_next_key_and_no_other() -> None:
    new = epoch(2, A2, FIRST)
    assert outcome(new, "a", next_key=A2.public_key) == "accepted"
    assert outcome(new, "a") == "roster/own-entry"
    assert outcome(new, "a", next_key=A3.public_key) == "roster/own-entry"


def test_a_verified_peer_stays_verified_by_its_own_word_alone() -> None:
    assert outcome(epoch(2, A2, FIRST), "b", VERIFIED) == "accepted"
    assert outcome(epoch(3, A3, FIRST, SECOND), "b", VERIFIED) == "accepted"
    assert outcome(epoch(2, A2), "b", VERIFIED) == "policy/peer-fingerprint"
    assert outcome(epoch(3, A3, SECOND), "b", VERIFIED) == "policy/peer-fingerprint"
    stolen = replace(FIRST, by_old=SECOND.by_old)
    assert outcome(epoch(2, A2, stolen), "b", VERIFIED) == "policy/peer-fingerprint"
    found = carried_over(VERIFIED.peers, roster(2, A2), [FIRST])
    assert found == {"a": fingerprint(A2.public_key)}


def test_the_coordinator_changes_only_by_the_federations_appointment() -> None:
    new = epoch(2, A1)
    assert outcome(new, "b") == "accepted"
    assert outcome(replace(new, coordinator_key=B.public_key), "b") == "roster/signature"
    earlier = Epoch.sign(roster(3, A1), FED, B.public_key)
    assert outcome(replace(new, appointment=earlier.appointment), "b") == "roster/signature"
    accepted = accept_epoch(PINNED, earlier, Policy(), "b", by_hand=True)
    assert accepted.coordinator_key == B.public_key


@pytest.mark.parametrize("value", [None, {}, {**FIRST.fields(), "old": "zz"}, {"site": "a"}])
def test_what_is_no_statement_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        Succession.from_fields(value)
    assert Succession.from_fields(FIRST.fields()) == FIRST
