"""Identities and rosters: who signs, and who belongs."""

import base64
import json
from typing import Any

import pytest

from recommons.common.errors import InvalidInput
from recommons.common.hashing import canonical_json
from recommons.common.secagg.identity import SigningIdentity, is_identifier, is_signed
from recommons.common.secagg.roster import Roster, RosterSite, SignedRoster

KEYS = [SigningIdentity(bytes([i]) * 32) for i in range(1, 4)]


def roster(**changes: Any) -> Roster:
    sites = tuple(
        RosterSite(site=f"site-{i}", name=f"Partner № {i}", public_key=key.public_key)
        for i, key in enumerate(KEYS)
    )
    fields: dict[str, Any] = {"federation": "acme", "epoch": 3, "sites": sites}
    return Roster(**(fields | changes))


def test_an_identity_is_the_ed25519_key_of_rfc_8032() -> None:
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    identity = SigningIdentity(secret)
    assert identity.public_key.hex() == public
    assert identity.secret_bytes() == secret


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_secret_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(InvalidInput):
        SigningIdentity(bytes(length))


def test_a_signature_holds_for_its_key_domain_and_fields_alone() -> None:
    key, signature = KEYS[0].public_key, KEYS[0].sign("domain/1", b"ab", b"c")
    assert is_signed(key, signature, "domain/1", b"ab", b"c")
    assert not is_signed(KEYS[1].public_key, signature, "domain/1", b"ab", b"c")
    assert not is_signed(key, signature, "domain/2", b"ab", b"c")
    assert not is_signed(key, signature, "domain/1", b"a", b"bc")
    assert not is_signed(key, signature, "domain/1", b"abc")
    assert not is_signed(key, signature[:-1], "domain/1", b"ab", b"c")
    assert not is_signed(key[:-1], signature, "domain/1", b"ab", b"c")
    assert not is_signed(key, bytes(64), "domain/1", b"ab", b"c")


@pytest.mark.parametrize("text", ["a", "0", "site-1", "a.b_c-d", "x" * 64])
def test_identifiers(text: str) -> None:
    assert is_identifier(text)


@pytest.mark.parametrize(
    "text", ["", "A", "-a", "a-", ".", "..", "a b", "a/b", "x" * 65, "ä", "a\n", "٣", "a\x00"]
)
def test_what_is_no_identifier(text: str) -> None:
    assert not is_identifier(text)


def test_a_roster_survives_the_round_trip_and_finds_its_sites() -> None:
    found = Roster.from_bytes(roster().to_bytes())
    assert found == roster()
    assert found.hash == roster().hash
    assert found.keys["site-1"] == KEYS[1].public_key
    assert found.site_of(KEYS[2].public_key) == "site-2"
    assert found.site_of(bytes(32)) is None


def test_any_change_of_a_roster_changes_its_hash() -> None:
    sites = roster().sites
    others = [
        roster(epoch=4),
        roster(federation="acme2"),
        roster(sites=sites[:2]),
        roster(sites=(*sites[:2], RosterSite(site="site-2", name="X", public_key=bytes(32)))),
    ]
    assert len({roster().hash, *(other.hash for other in others)}) == 5


def changed(**changes: Any) -> bytes:
    return canonical_json(json.loads(roster().to_bytes()) | changes)


def entry(**changes: Any) -> dict[str, Any]:
    site = {"site": "zz", "name": "Z", "public_key": base64.b64encode(bytes(32)).decode()}
    return site | changes


def sites(*entries: Any) -> bytes:
    return changed(sites=[*json.loads(roster().to_bytes())["sites"], *entries])


BAD = {
    "nothing": b"",
    "no JSON": b"{",
    "deep": b"[" * 5000,
    "a list": b"[]",
    "not canonical": roster().to_bytes().replace(b'"epoch":3', b'"epoch": 3'),
    "trailing": roster().to_bytes() + b"\n",
    "twice": roster().to_bytes().replace(b'"epoch":3', b'"epoch":3,"epoch":3'),
    "not UTF-8": roster().to_bytes().replace(b"Partner", b"Partn\xff\xff"),
    "extra field": changed(extra=1),
    "version": changed(version=2),
    "epoch zero": changed(epoch=0),
    "epoch true": changed(epoch=True),
    "epoch text": changed(epoch="3"),
    "epoch float": changed(epoch=1.5),
    "federation": changed(federation="A b"),
    "federation number": changed(federation=7),
    "no sites": changed(sites=[]),
    "sites object": changed(sites={}),
    "site text": sites("zz"),
    "site extra": sites(entry(extra=1)),
    "site id": sites(entry(site="Z Z")),
    "site id number": sites(entry(site=3)),
    "site order": sites(entry(site="a")),
    "site twice": sites(entry(site="site-2")),
    "name empty": sites(entry(name="")),
    "name long": sites(entry(name="x" * 201)),
    "name control": sites(entry(name="a\nb")),
    "key short": sites(entry(public_key=base64.b64encode(bytes(31)).decode())),
    "key text": sites(entry(public_key="not base64!")),
    "key null": sites(entry(public_key=None)),
    "key twice": sites(entry(public_key=base64.b64encode(KEYS[0].public_key).decode())),
}


@pytest.mark.parametrize("case", BAD)
def test_a_roster_is_read_strictly(case: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Roster.from_bytes(BAD[case])
    assert caught.value.code == "secagg/roster"


def test_the_good_roster_of_these_cases_is_read() -> None:
    assert Roster.from_bytes(sites(entry())).site_of(bytes(32)) == "zz"


def test_a_signed_roster_holds_for_the_federations_key_alone() -> None:
    federation = SigningIdentity(b"f" * 32)
    signed = SignedRoster.from_bytes(roster().sign(federation).to_bytes())
    assert signed.is_signed_by(federation.public_key)
    assert not signed.is_signed_by(KEYS[0].public_key)
    other = SignedRoster(roster=roster(epoch=4), signature=signed.signature)
    assert not other.is_signed_by(federation.public_key)


@pytest.mark.parametrize("place", [0, 10, -3])
def test_a_signed_roster_is_read_strictly(place: int) -> None:
    data = roster().sign(SigningIdentity(b"f" * 32)).to_bytes()
    place %= len(data)
    for bad in (data[:place] + b" " + data[place:], data[:place], data + b"{}"):
        with pytest.raises(InvalidInput) as caught:
            SignedRoster.from_bytes(bad)
        assert caught.value.code == "secagg/roster"


@pytest.mark.parametrize("value", [b"NaN", b"1e999", b'"\\ud800"', b"9007199254740993", b"[" * 400])
def test_a_signed_roster_of_other_than_canonical_json_is_refused(value: bytes) -> None:
    closing = b"]" * value.count(b"[")
    for data in (
        b'{"roster":' + value + closing + b',"signature":""}',
        b'{"roster":{"epoch":' + value + closing + b'},"signature":""}',
    ):
        with pytest.raises(InvalidInput) as caught:
            SignedRoster.from_bytes(data)
        assert caught.value.code == "secagg/roster"
