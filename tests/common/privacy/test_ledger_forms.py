"""The short way to read a line says nothing that the long way does not say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.errors import LedgerError
from recommons.common.hashing import canonical_json
from recommons.common.privacy.ledger_entries import KINDS
from recommons.common.privacy.ledger_forms import read_form
from recommons.common.privacy.ledger_line import parse_line, parse_strictly
from tests.common.privacy.test_ledger import BODIES, OPTIONAL

WITHOUT_FORM = {"budget-exhausted", "model-released"}
"""Rare kinds, with numbers whose text has many forms."""


def line_of(kind: str, body: dict[str, Any] | None = None) -> bytes:
    envelope = {
        "version": 1,
        "writer": "site-1",
        "seq": 3,
        "previous": "ab" * 32,
        "time": "2026-01-31T09:30:00.25Z",
        "kind": kind,
        "body": BODIES[kind] if body is None else body,
        "signature": "cd" * 64,
    }
    return canonical_json(envelope)


def strictly(line: bytes) -> Any:
    try:
        return parse_strictly(line, 1)
    except LedgerError as error:
        return error.code


LINES = [line_of(kind) for kind in KINDS]
LINES += [line_of(kind, {**BODIES[kind], **more}) for kind, more in OPTIONAL.items()]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "roster" not in kind])
def test_the_lines_of_a_kind_have_its_form(kind: str) -> None:
    for line in (line_of(kind), line_of(kind, {**BODIES[kind], **OPTIONAL.get(kind, {})})):
        found = read_form(line)
        assert (found is None) is (kind in WITHOUT_FORM)
        assert found in (None, parse_strictly(line, 1))


def test_a_line_that_is_not_ascii_goes_the_long_way() -> None:
    line = line_of("roster-accepted")
    assert not line.isascii()
    assert read_form(line) is None
    assert parse_line(line, 1) == parse_strictly(line, 1)


@given(data=st.data())
def test_whatever_has_a_form_is_read_alike_in_the_long_way(data: st.DataObject) -> None:
    """Pieces of lines exchanged, doubled and dropped, and single bytes altered."""
    line = data.draw(st.sampled_from(LINES))
    start = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(start, min(len(line), start + 40)))
    other = data.draw(st.sampled_from([line, *LINES]))
    place = data.draw(st.integers(0, len(other)))
    piece = data.draw(
        st.one_of(
            st.binary(max_size=2),
            st.sampled_from([b" ", b"0", b"1", b"-", b".0", b"e1", b'"', b"\\u0061", b"[", b"}"]),
            st.just(other[place : place + 40]),
        )
    )
    changed = line[:start] + piece + line[end:]
    found = read_form(changed)
    assert found is None or found == strictly(changed)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"seq":3', b'"seq":3.0'),
        (b'"seq":3', b'"seq":-0'),
        (b'"seq":3', b'"seq":03'),
        (b'"seq":3', b'"seq":true'),
        (b'"seq":3', b'"seq": 3'),
        (b'"seq":3', b'"seq":3,"seq":3'),
        (b'"seq":3', b'"seq":9007199254740993'),
        (b'"attempt":0', b'"attempt":0.0'),
        (b'"attempt":0', b'"attempt":1e0'),
        (b'"attempt":0', b'"attempt":false'),
        (b'"attempt":0,', b""),
        (b'"kind":"reserved"', b'"kind":"r\\u0065served"'),
        (b'"kind":"reserved"', b'"kind":"nothing"'),
        (b'"clip":1,', b'"clip":1.0,'),
        (b'"clip":1,', b'"clip":"1",'),
        (b'"clip":1,', b'"clip":[1],'),
        (b'"events":[', b'"events":[['),
        (b'"sampling":null', b'"sampling":7'),
        (b'"size":81600', b'"size":81600.5'),
        (b'"size":81600', b'"size":9007199254740993'),
        (b'"version":1,"writer"', b'"version":true,"writer"'),
        (b'"version":1,"writer"', b'"version":2,"writer"'),
        (b'"writer":"site-1"', b'"writer":"site 1"'),
        (b'"time":"2026', b'"time":"x026'),
        (b'"time":"2026', '"time":"٢026'.encode()),
        (b'"abab', b'"Abab'),
    ],
)
def test_what_the_long_way_refuses_has_no_form(old: bytes, new: bytes) -> None:
    line = line_of("reserved")
    assert read_form(line) is not None  # its events are known from here on
    assert old in line
    changed = line.replace(old, new)
    assert read_form(changed) is None
    with pytest.raises(LedgerError) as caught:
        parse_line(changed, 4)
    assert (caught.value.code, caught.value.line) == (strictly(changed), 4)


@pytest.mark.parametrize(
    "kind", ["advertisements", "heads", "certificate", "plan", "plan-accepted"]
)
def test_lists_and_documents_are_checked_in_the_short_way_too(kind: str) -> None:
    line = line_of(kind)
    assert read_form(line) is not None
    value = json.loads(line)
    body = value["body"]
    if "document" in body:
        body["document"]["version"] = 2
    else:
        name = next(name for name in ("sites", "heads", "signatures") if name in body)
        body[name] = [*body[name], *body[name]]
    changed = canonical_json(value)
    assert read_form(changed) is None
    assert strictly(changed) == "ledger/schema"
