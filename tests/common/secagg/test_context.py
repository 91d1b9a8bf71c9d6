"""Contexts, the numbers of a cohort, and sets of sites."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.errors import InvalidInput, ProtocolAbort
from recommons.common.hashing import canonical_json
from recommons.common.privacy.mechanism import BlockMechanism, RoundSpec
from recommons.common.secagg.agreement import spec_hash
from recommons.common.secagg.context import Context
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.parameters import RoundParameters, VerifiedPeers, least_survivors
from recommons.common.secagg.roster import Roster, RosterSite
from recommons.common.secagg.sets import MAX_COHORT, SiteSet
from recommons.common.secagg.wire import Reader


def context(**changes: Any) -> Context:
    fields: dict[str, Any] = {
        "federation": "acme",
        "run": bytes(16),
        "round_index": 0,
        "attempt": 0,
        "cohort": ("a", "b", "c"),
        "roster_hash": bytes(32),
        "plan_hash": bytes(32),
    }
    return Context(**(fields | changes))


OTHERS: list[dict[str, Any]] = [
    {"federation": "acme2"},
    {"run": b"\x01" + bytes(15)},
    {"round_index": 1},
    {"attempt": 1},
    {"cohort": ("a", "b")},
    {"cohort": ("a", "bc")},
    {"cohort": ("ab", "c")},
    {"roster_hash": b"\x01" * 32},
    {"plan_hash": b"\x01" * 32},
]


def test_every_field_changes_the_contexts_hash() -> None:
    assert len({context().hash, *(context(**other).hash for other in OTHERS)}) == len(OTHERS) + 1


@pytest.mark.parametrize("change", [{}, *OTHERS], ids=str)
def test_a_stored_context_is_read_back(change: dict[str, Any]) -> None:
    reader = Reader(context(**change).to_bytes(), "context")
    assert Context.read(reader) == context(**change)
    reader.end()


@pytest.mark.parametrize(
    "change",
    [
        {"federation": "A"},
        {"run": bytes(15)},
        {"round_index": -1},
        {"round_index": 2**32},
        {"attempt": -1},
        {"attempt": 2**32},
        {"cohort": ("a",)},
        {"cohort": ("b", "a")},
        {"cohort": ("a", "a")},
        {"cohort": ("a", "B")},
        {"cohort": tuple(f"s{i:05}" for i in range(MAX_COHORT + 1))},
        {"roster_hash": bytes(31)},
        {"plan_hash": bytes(33)},
    ],
    ids=lambda change: next(iter(change)) + str(next(iter(change.values())))[:20],
)
def test_an_impossible_context_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        context(**change)
    assert caught.value.code == "secagg/context"


def test_a_context_takes_its_keys_only_from_its_own_roster() -> None:
    sites = tuple(
        RosterSite(site=s, name=s, public_key=SigningIdentity(s.encode() * 32).public_key)
        for s in "abd"
    )
    roster = Roster(federation="acme", epoch=1, sites=sites)
    found = context(cohort=("a", "d"), roster_hash=roster.hash).public_keys(roster)
    assert found == (sites[0].public_key, sites[2].public_key)
    foreign = Roster(federation="acme2", epoch=1, sites=sites)
    for wrong, other in (
        (context(cohort=("a", "d")), roster),
        (context(cohort=("a", "c"), roster_hash=roster.hash), roster),
        (context(cohort=("a", "d"), roster_hash=foreign.hash), foreign),
    ):
        with pytest.raises(InvalidInput) as caught:
            wrong.public_keys(other)
        assert caught.value.code == "secagg/roster"


@pytest.mark.parametrize(
    ("sites", "colluding", "quorum", "least", "tolerated"),
    [
        (2, 0, 2, 2, 0),
        (3, 0, 2, 2, 1),
        (3, 1, 3, 3, 0),
        (4, 0, 3, 3, 1),
        (4, 1, 3, 3, 1),
        (4, 2, 4, 4, 0),
        (5, 1, 4, 4, 1),
        (5, 2, 4, 4, 1),
        (6, 1, 4, 4, 2),
        (8, 1, 5, 5, 3),
        (8, 6, 8, 8, 0),
        (10, 3, 7, 7, 3),
        (1000, 100, 551, 551, 449),
    ],
)
def test_what_a_cohort_tolerates(
    sites: int, colluding: int, quorum: int, least: int, tolerated: int
) -> None:
    assert least_survivors(sites, colluding) == least
    parameters = RoundParameters(sites=sites, colluding=colluding, survivors=least)
    found = (parameters.quorum, parameters.threshold, parameters.tolerated)
    assert found == (quorum, quorum, tolerated)
    with pytest.raises(InvalidInput) as caught:
        RoundParameters(sites=sites, colluding=colluding, survivors=least - 1)
    assert caught.value.code == "secagg/least-survivors"
    assert caught.value.remedy


@given(st.integers(2, 4096), st.data())
def test_two_quorums_share_a_site_that_does_not_collude(sites: int, data: st.DataObject) -> None:
    colluding = data.draw(st.integers(0, sites - 2))
    parameters = RoundParameters(sites=sites, colluding=colluding, survivors=sites)
    # Two sets of q of N share at least 2q - N sites, more than can collude.
    assert 2 * parameters.quorum - sites > colluding
    # Colluding sites alone never reach the threshold, and the least sum hides one honest site.
    assert parameters.threshold > colluding
    assert least_survivors(sites, colluding) - colluding >= 2


def test_with_three_sites_of_which_one_may_collude_the_refusal_says_that_none_may_drop() -> None:
    with pytest.raises(InvalidInput, match="tolerates no dropouts"):
        RoundParameters(sites=3, colluding=1, survivors=2)


@pytest.mark.parametrize(
    ("sites", "colluding", "survivors", "code"),
    [
        (1, 0, 1, "secagg/cohort-size"),
        (4097, 0, 4097, "secagg/cohort-size"),
        (3, -1, 3, "secagg/colluding"),
        (3, 2, 3, "secagg/colluding"),
        (2, 1, 2, "secagg/colluding"),
        (3, 0, 4, "secagg/least-survivors"),
    ],
)
def test_impossible_numbers_are_refused_by_name(
    sites: int, colluding: int, survivors: int, code: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        RoundParameters(sites=sites, colluding=colluding, survivors=survivors)
    assert caught.value.code == code


def test_verified_peers_count_without_the_site_itself() -> None:
    rule = VerifiedPeers(peers=SiteSet.of(5, (0, 1, 4)), least=2)
    assert rule.are_in(SiteSet.of(5, (0, 1, 2, 4)), own=0)
    assert not rule.are_in(SiteSet.of(5, (0, 1, 2)), own=0)
    assert rule.are_in(SiteSet.of(5, (0, 1, 2)), own=2)


@given(st.integers(1, 40), st.data())
def test_sets_of_sites_are_sets(size: int, data: st.DataObject) -> None:
    places = st.sets(st.integers(0, size - 1))
    first, second = data.draw(places), data.draw(places)
    a, b = SiteSet.of(size, first), SiteSet.of(size, second)
    assert list(a) == sorted(first)
    assert len(a) == len(first)
    assert [place in a for place in range(-1, size + 1)] == [
        place in first for place in range(-1, size + 1)
    ]
    assert (a <= b) == (first <= second)
    assert [a.rank(place) for place in sorted(first)] == list(range(len(first)))
    assert set(a.without(0)) == first - {0}
    reader = Reader(a.to_bytes(), "set")
    assert reader.sites() == a
    reader.end()


def test_sets_of_different_cohorts_are_never_contained() -> None:
    assert not SiteSet.of(3, (0,)) <= SiteSet.of(4, (0,))


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00",
        b"\x00\x03\x08",
        b"\x00\x03\xff",
        b"\x00\x09\x00\x02",
        (MAX_COHORT + 1).to_bytes(2, "big") + bytes(513),
        b"\x00\x03",
        b"\x00",
    ],
)
def test_a_set_has_one_encoding_and_no_member_outside_its_cohort(data: bytes) -> None:
    with pytest.raises(ProtocolAbort) as caught:
        Reader(data, "set").sites()
    assert caught.value.code == "secagg/malformed"


@pytest.mark.parametrize(("size", "members"), [(3, (3,)), (3, (-1,)), (0, ())])
def test_impossible_sets_are_refused(size: int, members: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput):
        SiteSet.of(size, members)


def test_the_spec_hash_is_that_of_the_round_spec() -> None:
    block = BlockMechanism(
        name="counts", size=3, clip=1.0, sensitivity=64, clamp=100, noise_stddev=4.0
    )
    spec = RoundSpec(ring_bits=32, blocks=(block,))
    assert spec_hash(canonical_json(spec.to_json())) == spec.hash()
