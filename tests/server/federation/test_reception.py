"""Whom the enrolment desk believes, and what it tells the others."""

from dataclasses import replace

import pytest

from recommons.common.enrolment import LARGEST_CALL, Application, Offer, seal_call
from recommons.common.epochs import first_pin
from recommons.common.errors import RecommonsError
from recommons.common.invitation import Invitation
from recommons.common.peers import fingerprint
from recommons.common.policy import Policy
from recommons.common.policy_file import policy_from_toml
from recommons.common.secagg.identity import SigningIdentity
from tests.server.federation.conftest import DAY, NOW, Applicant, Founded


def refused(founded: Founded, token: Invitation, asking: Application, now: int = NOW) -> str:
    with pytest.raises(RecommonsError) as error:
        founded.apply(token, asking, now)
    return error.value.code


def test_an_invited_site_is_told_what_it_would_join(founded: Founded, plum: Applicant) -> None:
    token = founded.invite("plum")
    offer = Offer.from_bytes(founded.reception.offer(seal_call(token.keys, "offer"), now=NOW))
    assert fingerprint(offer.federation_key) == token.federation_key
    assert offer.epoch is None
    assert policy_from_toml(offer.policy.encode()) == Policy()
    founded.let_in(plum)
    other = founded.invite("cherry")
    offer = Offer.from_bytes(founded.reception.offer(seal_call(other.keys, "offer"), now=NOW))
    assert offer.epoch is not None
    assert list(offer.epoch.roster.keys) == ["plum"]
    assert offer.epoch.is_signed_by(offer.federation_key)


def test_a_site_that_is_approved_gets_its_certificate_and_a_roster_with_its_own_key(
    founded: Founded, plum: Applicant
) -> None:
    token, asking = founded.invite("plum"), plum.application()
    assert founded.apply(token, asking).state == "waiting"
    assert founded.apply(token, asking).state == "waiting"
    (request,) = founded.office.requests()
    assert request.fingerprint == fingerprint(plum.identity.public_key)
    founded.approve("plum")
    standing = founded.apply(token, asking)
    assert standing.epoch is not None
    key = founded.key().public_key
    pinned = first_pin(standing.epoch, key, "plum", plum.identity.public_key)
    assert pinned.roster.epoch == 1
    assert founded.office.home.members() == ["plum"]
    assert founded.office.requests() == []


def test_a_token_is_good_for_one_pair_of_keys(
    founded: Founded, plum: Applicant, cherry: Applicant
) -> None:
    token = founded.invite("plum")
    founded.apply(token, plum.application())
    assert refused(founded, token, cherry.application(site="plum")) == "enrolment/token-used"
    mixed = Application.sign("fruit", "plum", "plum", plum.identity, cherry.node_request)
    assert refused(founded, token, mixed) == "enrolment/token-used"
    founded.approve("plum")
    assert refused(founded, token, cherry.application(site="plum")) == "enrolment/token-used"
    assert founded.apply(token, plum.application()).state == "approved"


def test_a_token_is_good_until_its_time_and_a_request_outlives_it(
    founded: Founded, plum: Applicant, cherry: Applicant
) -> None:
    token, late = founded.invite("plum", 60), founded.invite("cherry", 60)
    assert refused(founded, late, cherry.application(), NOW + 60) == "enrolment/expired"
    assert founded.apply(token, plum.application(), NOW + 59).state == "waiting"
    assert founded.apply(token, plum.application(), NOW + 10_000).state == "waiting"


def test_a_token_is_for_one_name_in_one_federation(
    founded: Founded, cherry: Applicant, plum: Applicant
) -> None:
    token = founded.invite("plum")
    assert refused(founded, token, cherry.application()) == "enrolment/other-site"
    elsewhere = plum.application(federation="nuts")
    assert refused(founded, token, elsewhere) == "enrolment/other-site"


def test_a_token_that_nobody_made_a_withdrawn_one_and_a_wrong_proof_are_all_alike(
    founded: Founded, plum: Applicant
) -> None:
    token = founded.invite("plum")
    invented = replace(token, secret=b"x" * 16)
    assert refused(founded, invented, plum.application()) == "enrolment/unknown"
    call = seal_call(token.keys, "offer", plum.application().to_bytes())  # another purpose's proof
    with pytest.raises(RecommonsError) as error:
        founded.reception.apply(call, now=NOW)
    assert error.value.code == "enrolment/unknown"
    founded.invite("plum")  # a second one withdraws the first
    assert refused(founded, token, plum.application()) == "enrolment/unknown"


def test_two_sites_cannot_claim_one_name(
    founded: Founded, plum: Applicant, cherry: Applicant
) -> None:
    first = founded.invite("plum")
    founded.apply(first, plum.application())
    second = founded.invite("plum")
    imposter = cherry.application(site="plum")
    assert refused(founded, second, imposter) == "enrolment/name-taken"
    founded.approve("plum")
    assert refused(founded, second, imposter) == "enrolment/name-taken"


def test_one_key_is_one_site(founded: Founded, plum: Applicant, cherry: Applicant) -> None:
    founded.let_in(plum)
    token = founded.invite("cherry")
    same_signing = Application.sign("fruit", "cherry", "cherry", plum.identity, cherry.node_request)
    same_node = Application.sign("fruit", "cherry", "cherry", cherry.identity, plum.node_request)
    assert refused(founded, token, same_signing) == "enrolment/key-taken"
    assert refused(founded, token, same_node) == "enrolment/key-taken"
    assert founded.apply(token, cherry.application()).state == "waiting"


def test_an_application_that_was_altered_is_not_taken(founded: Founded, plum: Applicant) -> None:
    token, good = founded.invite("plum"), plum.application()
    body = good.to_bytes()
    for altered in (
        body.replace(b'"name":"plum"', b'"name":"Plum"'),
        body[:-2],
        b"{}",
        replace(good, node_request="nothing").to_bytes(),
    ):
        with pytest.raises(RecommonsError) as error:
            founded.reception.apply(seal_call(token.keys, "apply", altered), now=NOW)
        assert error.value.code == "enrolment/message"
    assert founded.office.requests() == []


def test_a_signing_request_that_was_altered_is_not_taken(founded: Founded, plum: Applicant) -> None:
    token = founded.invite("plum")
    lines = plum.node_request.decode().splitlines()
    middle = len(lines) // 2
    lines[middle] = lines[middle][::-1]
    for request in ("\n".join(lines).encode(), b"nothing"):
        asking = Application.sign("fruit", "plum", "plum", plum.identity, request)
        assert refused(founded, token, asking) == "authority/request"
    assert founded.office.requests() == []


def test_what_is_no_call_is_refused(founded: Founded) -> None:
    for call in (b"", b"x" * 100, b"\xff" * LARGEST_CALL):
        with pytest.raises(RecommonsError) as error:
            founded.reception.apply(call, now=NOW)
        assert error.value.code == "enrolment/message"


def test_a_rejected_site_is_told_so_and_gets_nothing(founded: Founded, plum: Applicant) -> None:
    token = founded.invite("plum")
    founded.apply(token, plum.application())
    founded.office.reject("plum")
    standing = founded.apply(token, plum.application())
    assert (standing.state, standing.certificate) == ("rejected", None)
    assert founded.office.home.members() == []
    with pytest.raises(RecommonsError) as error:
        founded.approve("plum")
    assert error.value.code == "federation/no-request"


def test_a_member_that_was_revoked_is_a_stranger_to_its_old_token(
    founded: Founded, plum: Applicant
) -> None:
    token = founded.let_in(plum)
    founded.office.turn_away("plum")
    assert refused(founded, token, plum.application()) == "enrolment/unknown"
    again = founded.invite("plum")
    assert refused(founded, again, plum.application()) == "enrolment/key-taken"


def test_a_member_renews_its_certificate_by_an_invitation_and_without_a_new_epoch(
    founded: Founded, plum: Applicant
) -> None:
    founded.let_in(plum)
    before = founded.office.home.node_keys()["plum"]
    token, asking = founded.invite("plum"), plum.application()
    founded.apply(token, asking)
    epoch = founded.office.approve("plum", no_key_is_needed, expected=None, now=DAY)
    assert epoch.roster.epoch == 1
    assert founded.apply(token, asking).state == "approved"
    assert founded.office.home.node_keys()["plum"] == before


def no_key_is_needed() -> SigningIdentity:
    raise AssertionError("the federation's key was asked for")
