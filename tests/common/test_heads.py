"""Signed heads and receipts: what is signed, and that nothing else is read as one."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from recommons.common.errors import LedgerError
from recommons.common.hashing import canonical_json
from recommons.common.heads import (
    COORDINATOR,
    HEAD_DOMAIN,
    RECEIPT_DOMAIN,
    Place,
    Receipt,
    SignedHead,
    heads_from_bytes,
    heads_to_bytes,
)
from recommons.common.privacy.ledger import Chain, Head
from recommons.common.secagg.identity import SigningIdentity

FEDERATION = "orchard"
RUN = "ab" * 16
PLACE = Place(run=RUN, round=1, attempt=0)
PLUM, PEAR, BOSS, STRANGER = (SigningIdentity(bytes([k]) * 32) for k in range(1, 5))
KEYS = {"pear": PEAR.public_key, "plum": PLUM.public_key}


def head(site: str, identity: SigningIdentity, length: int = 5, link: bytes = b"l" * 32) -> Any:
    return SignedHead.sign(FEDERATION, Chain(writer=site, length=length, link=link), identity)


HEADS = [head("pear", PEAR), head("plum", PLUM)]


def receipt(
    heads: Any = HEADS,
    place: Place = PLACE,
    by: SigningIdentity = BOSS,
    federation: str = FEDERATION,
    writer: str = COORDINATOR,
) -> Receipt:
    chain = Chain(writer=writer, length=9, link=b"c" * 32)
    return Receipt.issue(federation, place, heads, chain, by)


def check(found: Receipt, keys: Any = KEYS) -> None:
    found.check(federation=FEDERATION, keys=keys, coordinator_key=BOSS.public_key)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(LedgerError) as found:
        call()
    return found.value.code


def test_a_head_is_signed_over_federation_writer_line_and_hash() -> None:
    signed = HEADS[0]
    assert signed.head == Head(writer="pear", seq=4, hash=b"l" * 32)
    assert signed.is_signed_by(PEAR.public_key, FEDERATION)
    assert not signed.is_signed_by(PLUM.public_key, FEDERATION)
    assert not signed.is_signed_by(PEAR.public_key, "another")
    for change in ({"writer": "plum"}, {"seq": 5}, {"hash": b"m" * 32}):
        other = replace(signed, head=replace(signed.head, **change))
        assert not other.is_signed_by(PEAR.public_key, FEDERATION)
    # As docs/ledger.md has them: heads that were signed once must verify for ever.
    assert (HEAD_DOMAIN, RECEIPT_DOMAIN) == (
        "recommons/ledger/1/head",
        "recommons/ledger/1/receipt",
    )


def test_an_empty_ledger_has_no_head() -> None:
    empty = Chain.start("pear")
    assert refused(lambda: SignedHead.sign(FEDERATION, empty, PEAR)) == "ledger/head"


def test_heads_survive_bytes_and_the_coordinators_ledger() -> None:
    assert heads_from_bytes(heads_to_bytes(HEADS)) == tuple(HEADS)
    assert heads_from_bytes(b"[]") == ()
    for signed in HEADS:
        assert SignedHead.from_bytes(signed.to_bytes()) == signed
        assert SignedHead.from_ledger(signed.in_ledger()) == signed


FIELDS = HEADS[0].to_json()
NOT_A_HEAD: list[object] = [
    None,
    3,
    "pear",
    [],
    {},
    {**FIELDS, "more": 1},
    *({name: value for name, value in FIELDS.items() if name != left} for left in FIELDS),
    {**FIELDS, "seq": -1},
    {**FIELDS, "seq": True},
    {**FIELDS, "seq": "4"},
    {**FIELDS, "head": "ab"},
    {**FIELDS, "head": FIELDS["head"].upper()},
    {**FIELDS, "signature": FIELDS["signature"][:-2]},
    {**FIELDS, "writer": "Pear Tree"},
]


@pytest.mark.parametrize("value", NOT_A_HEAD, ids=str)
def test_what_is_no_head_is_refused(value: object) -> None:
    data = canonical_json(value)
    assert refused(lambda: SignedHead.from_bytes(data)) == "ledger/head"
    assert refused(lambda: heads_from_bytes(canonical_json([value]))) == "ledger/head"
    if not isinstance(value, list):
        assert refused(lambda: heads_from_bytes(data)) == "ledger/head"


@pytest.mark.parametrize("data", [b"", b"{", b"[ ]", b"\xff", b'{"a":1,"a":2}'])
def test_heads_that_are_not_canonical_are_refused(data: bytes) -> None:
    assert refused(lambda: heads_from_bytes(data)) == "ledger/head"
    assert refused(lambda: Receipt.from_bytes(data)) == "ledger/receipt"


def test_nothing_beyond_4_mib_is_read() -> None:
    """A receipt of 4,096 sites has one. The bytes below would be a list of heads otherwise."""
    large = heads_to_bytes(HEADS * 9000)
    assert len(large) > 4 << 20
    assert refused(lambda: heads_from_bytes(large)) == "ledger/head"
    assert len(heads_from_bytes(heads_to_bytes(HEADS * 8000))) == 16_000


def test_a_receipt_survives_bytes_and_holds() -> None:
    for place in (PLACE, Place(run=RUN)):
        issued = receipt(place=place)
        assert Receipt.from_bytes(issued.to_bytes() + b"\n") == issued
        assert issued.sites == ("pear", "plum")
        assert issued.coordinator.head == Head(writer=COORDINATOR, seq=8, hash=b"c" * 32)
        check(issued)


def test_the_same_heads_in_any_order_make_the_same_receipt() -> None:
    assert receipt(HEADS[::-1]).to_bytes() == receipt().to_bytes()


OTHERS: dict[str, tuple[str, Callable[[], Receipt]]] = {
    "by another": ("ledger/receipt", lambda: receipt(by=STRANGER)),
    "another federation": ("ledger/receipt", lambda: receipt(federation="another")),
    "a site's own head": ("ledger/receipt", lambda: receipt(writer="pear")),
    "another round": ("ledger/receipt", lambda: replace(receipt(), place=replace(PLACE, round=2))),
    "another attempt": (
        "ledger/receipt",
        lambda: replace(receipt(), place=replace(PLACE, attempt=1)),
    ),
    "another run": (
        "ledger/receipt",
        lambda: replace(receipt(), place=replace(PLACE, run="cd" * 16)),
    ),
    "a head less": ("ledger/receipt", lambda: replace(receipt(), heads=tuple(HEADS[:1]))),
    "another head of the coordinator": (
        "ledger/receipt",
        lambda: replace(receipt(), coordinator=head(COORDINATOR, BOSS, 7)),
    ),
    "a head by another site": ("ledger/head", lambda: receipt([head("pear", PLUM), HEADS[1]])),
    "a head of a stranger": ("ledger/head", lambda: receipt([*HEADS, head("quince", STRANGER)])),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_receipt_by_or_about_others_does_not_hold(name: str) -> None:
    code, made = OTHERS[name]
    assert refused(lambda: check(made())) == code


def test_the_coordinators_head_in_a_receipt_is_signed_by_it() -> None:
    """Not only its receipt: others may hold the head alone."""
    issued = receipt()
    forged = replace(issued, coordinator=replace(issued.coordinator, signature=bytes(64)))
    signature = BOSS.sign(RECEIPT_DOMAIN, canonical_json(forged._fields()))
    assert refused(lambda: check(replace(forged, signature=signature))) == "ledger/receipt"


def signed(**changes: Any) -> bytes:
    """A receipt with other fields, under the coordinator's good signature."""
    fields = json.loads(receipt().to_bytes()) | changes
    del fields["signature"]
    signature = BOSS.sign(RECEIPT_DOMAIN, canonical_json(fields))
    return canonical_json(fields | {"signature": signature.hex()})


IN_JSON = [one.to_json() for one in HEADS]


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"version": True},
        {"version": "1"},
        {"federation": ""},
        {"run": "ab"},
        {"round": None},
        {"attempt": None},
        {"round": -1},
        {"round": True},
        {"attempt": "0"},
        {"heads": {}},
        {"heads": IN_JSON[::-1]},
        {"heads": [IN_JSON[0], IN_JSON[0]]},
        {"coordinator": []},
        {"more": 1},
    ],
    ids=str,
)
def test_a_receipt_of_another_form_is_refused_whoever_signed_it(changes: dict[str, Any]) -> None:
    assert Receipt.from_bytes(signed()) == receipt()
    assert refused(lambda: Receipt.from_bytes(signed(**changes))) == "ledger/receipt"
