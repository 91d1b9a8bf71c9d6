"""What is signed and what `full` binds, written out, and that every part of it counts."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from recommons.common.secagg import statements
from recommons.common.secagg.agreement import agree, spec_hash, state_hash
from recommons.common.secagg.messages import KeyEntry, Keys
from recommons.common.secagg.sets import SiteSet

CTX, FULL, HASH = b"\x01" * 32, b"\x02" * 32, b"\x03" * 32
U1, U2, U3 = (SiteSet.of(9, places) for places in ((0, 1, 2, 8), (0, 1, 2), (0, 2)))
SET1, SET2, SET3 = b"\x00\x09\x07\x01", b"\x00\x09\x07\x00", b"\x00\x09\x05\x00"
A, E = b"\x0a" * 32, b"\x0e" * 32

CASES: list[tuple[Callable[..., statements.Statement], tuple[Any, ...], tuple[bytes, ...]]] = [
    (statements.advertised, (CTX, 258, A, E), (CTX, b"\x01\x02", A, E)),
    (
        statements.dealt,
        (CTX, FULL, 2, U1, HASH, A),
        (CTX, FULL, b"\x00\x02", SET1, HASH, A),
    ),
    (statements.masked, (CTX, FULL, 2, U2, HASH), (CTX, FULL, b"\x00\x02", SET2, HASH)),
    (statements.survived, (CTX, FULL, U2, U3), (CTX, FULL, SET2, SET3)),
    (
        statements.revealed,
        (CTX, FULL, 2, U2, U3, HASH),
        (CTX, FULL, b"\x00\x02", SET2, SET3, HASH),
    ),
]


@pytest.mark.parametrize(("made", "arguments", "fields"), CASES)
def test_a_statement_is_its_domain_and_all_its_parts_in_order(
    made: Callable[..., statements.Statement],
    arguments: tuple[Any, ...],
    fields: tuple[bytes, ...],
) -> None:
    domain, *found = made(*arguments)
    assert domain.startswith("recommons/secagg/1/sign/")
    assert tuple(found) == fields


def test_no_two_statements_share_a_domain() -> None:
    assert len({made(*arguments)[0] for made, arguments, _ in CASES}) == len(CASES)


def test_the_hash_of_a_vector_counts_its_width_its_size_and_its_bytes() -> None:
    found = {
        statements.vector_hash(32, 2, bytes(8)),
        statements.vector_hash(32, 2, memoryview(bytes(7) + b"\x01")),
        statements.vector_hash(64, 1, bytes(8)),
        statements.vector_hash(8, 8, bytes(8)),
    }
    assert len(found) == 4
    written = b"".join(
        len(f).to_bytes(8, "big") + f
        for f in (b"recommons/secagg/1/vector", b"\x20", (2).to_bytes(8, "big"))
    )
    expected = hashlib.sha256(written + bytes(8)).digest()
    assert statements.vector_hash(32, 2, bytes(8)) == expected


def keys() -> Keys:
    entries = tuple(
        KeyEntry(mask_key=bytes([i]) * 32, encryption_key=bytes([i + 100]) * 32, signature=b"")
        for i in range(3)
    )
    return Keys(ctx=CTX, members=U2, spec=b"{}", public_state=b"state", entries=entries)


def test_full_is_the_hash_of_context_spec_state_and_keys() -> None:
    joined = b"".join(bytes([i]) * 32 + bytes([i + 100]) * 32 for i in range(3))
    fields = (
        b"recommons/secagg/1/full",
        CTX,
        spec_hash(b"{}"),
        state_hash(b"state"),
        SET2,
        joined,
    )
    written = b"".join(len(f).to_bytes(8, "big") + f for f in fields)
    assert agree(keys()).full == hashlib.sha256(written).digest()


def test_every_part_of_what_is_agreed_changes_full() -> None:
    entries = keys().entries
    others = [
        replace(keys(), ctx=FULL),
        replace(keys(), spec=b"[]"),
        replace(keys(), public_state=b"other"),
        replace(keys(), members=SiteSet.of(9, (0, 1, 3))),
        replace(keys(), members=SiteSet.of(10, (0, 1, 2))),
        replace(keys(), entries=(replace(entries[0], mask_key=A), *entries[1:])),
        replace(keys(), entries=(*entries[:2], replace(entries[2], encryption_key=A))),
        replace(keys(), entries=(entries[1], entries[0], entries[2])),
    ]
    assert len({agree(keys()).full, *(agree(other).full for other in others)}) == 9
