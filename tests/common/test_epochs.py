"""When a new epoch of the roster takes effect."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.epochs import Epoch, accept_epoch, approve
from recommons.common.errors import InvalidInput, RecommonsError
from recommons.common.federation import Federation
from recommons.common.peers import fingerprint
from recommons.common.policy import PeersPolicy, Policy, RosterPolicy
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.roster import Roster, RosterSite

NAMES = ("a", "b", "c", "d")
KEYS = {name: SigningIdentity(name.encode() * 32) for name in (*NAMES, "e")}
FEDERATION = SigningIdentity(b"f" * 32)
BY_HAND = Policy()
BY_MAJORITY = Policy(roster=RosterPolicy(new_epoch="by-majority"))


def roster(epoch: int, names: tuple[str, ...] = NAMES) -> Roster:
    sites = tuple(RosterSite(site=n, name=n, public_key=KEYS[n].public_key) for n in names)
    return Roster(federation="fed", epoch=epoch, sites=sites)


PINNED = Federation(
    signed_roster=roster(3).sign(FEDERATION),
    federation_key=FEDERATION.public_key,
    coordinator_key=KEYS["e"].public_key,
)
NEXT = Epoch.sign(roster(4, (*NAMES, "e")), FEDERATION, KEYS["e"].public_key)


def approved(*names: str, epoch: Epoch = NEXT) -> Epoch:
    for name in names:
        epoch = approve(epoch, name, KEYS[name])
    return epoch


def outcome(epoch: Epoch, policy: Policy = BY_MAJORITY, *, by_hand: bool = False) -> str:
    try:
        accepted = accept_epoch(PINNED, epoch, policy, "a", by_hand=by_hand)
    except RecommonsError as refusal:
        return refusal.code
    assert accepted.roster == epoch.roster
    assert accepted.coordinator_key == PINNED.coordinator_key
    return "accepted"


def test_the_operators_word_is_enough_and_by_default_it_is_needed() -> None:
    assert outcome(NEXT, BY_HAND, by_hand=True) == "accepted"
    assert outcome(approved(*NAMES), BY_HAND) == "roster/not-approved"
    assert outcome(NEXT, BY_MAJORITY, by_hand=True) == "accepted"


@given(st.sets(st.sampled_from((*NAMES, "e"))))
def test_a_majority_is_of_the_sites_of_the_pinned_epoch(names: set[str]) -> None:
    expected = "accepted" if len(names - {"e"}) >= 3 else "roster/not-approved"
    assert outcome(approved(*sorted(names))) == expected


def test_an_approval_counts_only_under_its_own_sites_key_and_for_this_roster() -> None:
    stolen = replace(NEXT, approvals=dict.fromkeys(NAMES, approved("a").approvals["a"]))
    assert outcome(stolen) == "roster/not-approved"
    other = Epoch.sign(roster(5), FEDERATION, KEYS["e"].public_key)
    assert outcome(replace(other, approvals=approved(*NAMES).approvals)) == "roster/not-approved"


def test_no_approval_heals_a_roster_that_may_not_be_pinned() -> None:
    everyone = approved(*NAMES)
    forged = approved(*NAMES, epoch=Epoch.sign(roster(4), KEYS["e"], KEYS["e"].public_key))
    assert outcome(forged, by_hand=True) == "roster/signature"
    for epoch in (2, 3):
        old = approved(*NAMES, epoch=Epoch.sign(roster(epoch), FEDERATION, KEYS["e"].public_key))
        assert outcome(old, by_hand=True) == "roster/epoch"
    without = Epoch.sign(roster(4, ("b", "c", "d")), FEDERATION, KEYS["e"].public_key)
    assert outcome(without, by_hand=True) == "roster/own-entry"
    peers = PeersPolicy(verified={"b": fingerprint(KEYS["e"].public_key)})
    wary = BY_MAJORITY.model_copy(update={"peers": peers})
    assert outcome(everyone, wary, by_hand=True) == "policy/peer-fingerprint"


def test_a_file_is_read_as_it_was_written_and_nothing_else_is() -> None:
    epoch = approved("a", "c")
    assert Epoch.from_bytes(epoch.to_bytes()) == epoch
    newer = epoch.to_bytes().replace(b'"version":1}', b'"version":2}')
    for data in (b"", b"[]", b"{}", epoch.to_bytes()[:-2], newer):
        with pytest.raises(InvalidInput):
            Epoch.from_bytes(data)
