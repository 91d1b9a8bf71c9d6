"""The ledger: what it accepts, and every way to tamper with it, detected and located."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recommons.common.errors import InvalidInput, LedgerError
from recommons.common.hashing import canonical_json, canonical_value, framed
from recommons.common.privacy import ledger_fields
from recommons.common.privacy.events import GaussianSumRelease
from recommons.common.privacy.ledger import (
    ENTRY_DOMAIN,
    Chain,
    Head,
    split_lines,
    verify_chain,
)
from recommons.common.privacy.ledger_entries import KINDS
from recommons.common.privacy.ledger_fields import FieldType

HASH = "ab" * 32
SIGNATURE = "cd" * 64
RUN = "1f" * 16
ATTEMPT = {"run": RUN, "round": 0, "attempt": 0, "context": HASH}
EVENT = GaussianSumRelease(
    round=0,
    attempt=0,
    block="factors",
    size=81_600,
    clip=1.0,
    sensitivity=10_297,
    noise_stddev=4096.0,
    cohort=8,
    min_survivors=7,
    colluding=1,
    ring_bits=32,
).to_json()
PLAN: dict[str, Any] = {"version": 1, "privacy": {"epsilon": 8.5, "delta": 1e-6}}
POLICY: dict[str, Any] = {"version": 1, "cohort": {"least_survivors": 4}}
ROSTER: dict[str, Any] = {
    "roster": {"version": 1, "sites": [{"site": "site-1", "name": "Café du Nord"}]},
    "signature": "c2lnbmVk",
}


def document_hash(domain: str, document: object) -> str:
    return hashlib.sha256(framed(domain, canonical_json(document))).hexdigest()


PLANNED = {"plan": document_hash("recommons/plan/1", PLAN), "document": PLAN}
ENROLLED = {
    "roster": document_hash("recommons/roster/1", ROSTER["roster"]),
    "epoch": 2,
    "document": ROSTER,
    "federation_key": HASH,
}
HEADS = [
    {"site": "site-1", "seq": 3, "head": HASH, "signature": SIGNATURE},
    {"site": "site-2", "seq": 4, "head": HASH, "signature": SIGNATURE},
]
BODIES: dict[str, dict[str, Any]] = {
    "roster-accepted": {**ENROLLED, "coordinator_key": HASH, "accepted": "by-majority"},
    "policy-changed": {
        "policy": document_hash("recommons/policy/1", POLICY),
        "document": POLICY,
    },
    "plan-accepted": {"run": RUN, **PLANNED, "policy": HASH},
    "plan-refused": {
        "plan": HASH,
        "code": "policy/epsilon",
        "reason": "epsilon is 8; at most 4",
        "policy": HASH,
    },
    "round-refused": {
        "run": RUN,
        "round": 1,
        "attempt": 2,
        "code": "policy/survivors",
        "reason": "too few",
    },
    "reserved": {**ATTEMPT, "plan": HASH, "events": [EVENT]},
    "committed": {**ATTEMPT, "events": [EVENT]},
    "released": {
        **ATTEMPT,
        "masked": HASH,
        "certificate": HASH,
        "survivors": ["site-1", "site-2"],
        "events": [EVENT],
    },
    "aborted": {**ATTEMPT, "code": "secagg/too-few"},
    "user-forgotten": {},
    "budget-exhausted": {"run": RUN, "window_days": 365, "epsilon": 4, "delta": 1e-7},
    "old-backup": {"seq": 7, "head": HASH},
    "halt-cleared": {"seq": 7, "head": HASH},
    "earlier-ledger": {"seq": 7, "head": HASH},
    "head-forgotten": {"writer": "site-2", "seq": 7, "head": HASH},
    "roster": ENROLLED,
    "plan": {"run": RUN, **PLANNED},
    "round-opened": {**ATTEMPT, "public_state": HASH},
    "advertisements": {**ATTEMPT, "advertisements": HASH, "sites": ["site-1", "site-2"]},
    "heads": {**ATTEMPT, "heads": HEADS},
    "certificate": {
        **ATTEMPT,
        "certificate": HASH,
        "full": HASH,
        "shared": ["site-1", "site-2"],
        "survivors": ["site-1", "site-2"],
        "masked": [{"site": "site-1", "masked": HASH}, {"site": "site-2", "masked": HASH}],
        "signatures": [{"site": "site-2", "signature": SIGNATURE}],
    },
    "sum": {**ATTEMPT, "sum": HASH, "events": [EVENT]},
    "round-aborted": {**ATTEMPT, "code": "secagg/too-few", "events": []},
    "model-released": {
        "run": RUN,
        "model": HASH,
        "plan": HASH,
        "epsilon": 7.999999,
        "delta": 2.107e-4,
        "accountant": "gaussian",
    },
    "canaries-committed": {"run": RUN, "commitment": HASH},
    "canaries-revealed": {"run": RUN, "seed": HASH},
    "run-ended": {"run": RUN, "outcome": "finished", "heads": HEADS},
}
OPTIONAL: dict[str, dict[str, Any]] = {
    "roster-accepted": {"approvals": [{"site": "site-2", "signature": SIGNATURE}]},
    "plan-refused": {"run": RUN},
    "aborted": {"reason": "two of eight answered"},
    "round-aborted": {"reason": "two of eight answered"},
    "run-ended": {"code": "run/attempts"},
}
SITE_KINDS = ["roster-accepted", "policy-changed", "reserved", "committed", "released"]
COORDINATOR_KINDS = ["roster", "plan", "round-opened", "heads", "certificate", "run-ended"]


class Writer:
    """A writer with a key of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(name.ljust(32, "x").encode())
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, domain: str, message: bytes) -> bytes:
        return self._key.sign(framed(domain, message))

    def write(self, kinds: list[str], chain: Chain | None = None) -> tuple[Chain, list[bytes]]:
        chain, lines = chain or Chain.start(self.name), []
        for kind in kinds:
            time = f"2026-01-01T00:00:{chain.length:02d}Z"
            chain, line = chain.append(kind=kind, body=BODIES[kind], time=time, sign=self.sign)
            lines.append(line)
        return chain, lines

    def signed_again(self, line: bytes, **changes: Any) -> bytes:
        """The line with changes, under this writer's signature."""
        envelope = json.loads(line) | changes
        envelope.pop("signature")
        signature = self.sign(ENTRY_DOMAIN, canonical_json(envelope)).hex()
        return canonical_json({**envelope, "signature": signature})


SITE, COORDINATOR, THIEF = Writer("site-1"), Writer("coordinator"), Writer("thief")
LEDGERS = [(SITE, SITE_KINDS * 2), (COORDINATOR, COORDINATOR_KINDS * 2)]
both_sides = pytest.mark.parametrize(("writer", "kinds"), LEDGERS, ids=["site", "coordinator"])


def fault(lines: list[bytes], by: Writer, **arguments: Any) -> tuple[str, int]:
    """(code, line number) of the fault that `verify_chain` finds with the key of `by`."""
    with pytest.raises(LedgerError) as caught:
        verify_chain(lines, by.public, **arguments)
    words = caught.value.message.split()
    assert words[0] == "line"
    return caught.value.code, int(words[1])


def test_every_kind_of_entry_is_written_and_read_back() -> None:
    assert set(BODIES) == set(KINDS)
    chain, lines = SITE.write(sorted(BODIES))
    entries = verify_chain([line + b"\n" for line in lines], SITE.public, writer="site-1")
    assert [entry.kind for entry in entries] == sorted(BODIES)
    assert [entry.seq for entry in entries] == list(range(len(BODIES)))
    assert all(entry.body == BODIES[entry.kind] for entry in entries)
    assert chain.head == Head(writer="site-1", seq=len(BODIES) - 1, hash=entries[-1].hash)
    assert all(canonical_json(json.loads(line)) == line for line in lines)


def test_a_chain_goes_on_from_its_last_line_alone() -> None:
    chain, lines = SITE.write(SITE_KINDS)
    resumed = Chain.resume(lines[-1] + b"\n")
    assert resumed == chain
    _, more = SITE.write(SITE_KINDS, resumed)
    assert len(verify_chain(lines + more, SITE.public)) == 10


def test_appending_leaves_the_chain_it_began_from_as_it_was() -> None:
    chain, _ = SITE.write(SITE_KINDS)
    before = replace(chain)
    first = chain.append(
        kind="user-forgotten", body={}, time="2026-01-01T00:00:00Z", sign=SITE.sign
    )
    again = chain.append(
        kind="user-forgotten", body={}, time="2026-01-01T00:00:00Z", sign=SITE.sign
    )
    assert chain == before
    assert first == again


def test_an_empty_ledger_is_whole_until_someone_holds_a_head_of_it() -> None:
    assert verify_chain([], SITE.public) == ()
    assert Chain.start("site-1").head is None
    head = Head(writer="site-1", seq=0, hash=bytes(32))
    assert fault([], SITE, writer="site-1", heads=[head]) == ("ledger/truncated", 0)


@both_sides
def test_a_changed_value_is_found_at_its_line(writer: Writer, kinds: list[str]) -> None:
    _, lines = writer.write(kinds)
    for index in range(len(lines)):
        changed = json.loads(lines[index]) | {"time": "2026-01-02T00:00:00Z"}
        tampered = [*lines[:index], canonical_json(changed), *lines[index + 1 :]]
        assert fault(tampered, writer) == ("ledger/changed", index + 1)


@settings(max_examples=150)
@given(data=st.data())
def test_any_changed_byte_is_found_at_its_line(data: st.DataObject) -> None:
    _, lines = SITE.write(SITE_KINDS)
    index = data.draw(st.integers(0, len(lines) - 1))
    place = data.draw(st.integers(0, len(lines[index]) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != lines[index][place]))
    line = lines[index][:place] + bytes([byte]) + lines[index][place + 1 :]
    tampered = [*lines[:index], line, *lines[index + 1 :]]
    assert fault(tampered, SITE, writer="site-1")[1] == index + 1


@both_sides
def test_missing_lines_are_found_where_they_are_missing(writer: Writer, kinds: list[str]) -> None:
    _, lines = writer.write(kinds)
    assert fault(lines[1:], writer) == ("ledger/gap", 1)
    assert fault(lines[:3] + lines[5:], writer) == ("ledger/gap", 4)


@both_sides
def test_lines_out_of_order_are_found(writer: Writer, kinds: list[str]) -> None:
    _, lines = writer.write(kinds)
    swapped = [*lines[:2], lines[3], lines[2], *lines[4:]]
    assert fault(swapped, writer) == ("ledger/reordered", 3)
    moved = [*lines[1:], lines[0]]
    assert fault(moved, writer) == ("ledger/reordered", 1)


@both_sides
def test_a_doubled_line_is_found(writer: Writer, kinds: list[str]) -> None:
    _, lines = writer.write(kinds)
    assert fault([*lines[:4], lines[3], *lines[4:]], writer) == ("ledger/duplicate", 5)
    assert fault([*lines, lines[0]], writer) == ("ledger/duplicate", len(lines) + 1)


@both_sides
def test_lines_cut_off_at_the_end_are_found_by_a_head_that_others_hold(
    writer: Writer, kinds: list[str]
) -> None:
    chain, lines = writer.write(kinds)
    assert chain.head is not None
    foreign = Head(writer="another", seq=99, hash=bytes(32))
    assert len(verify_chain(lines, writer.public, heads=[foreign, chain.head])) == len(lines)
    assert len(verify_chain(lines[:-1], writer.public)) == len(lines) - 1
    for keep in (len(lines) - 1, 3):
        found = fault(lines[:keep], writer, heads=[foreign, chain.head])
        assert found == ("ledger/truncated", keep)


@both_sides
def test_a_second_history_from_an_old_backup_is_found(writer: Writer, kinds: list[str]) -> None:
    chain, lines = writer.write(kinds)
    old = Chain.resume(lines[4])
    _, other = writer.write(["policy-changed"] * len(kinds), old)
    assert chain.head is not None
    assert fault(lines[:5] + other, writer, heads=[chain.head]) == ("ledger/fork", len(kinds))
    # Spliced into the first history, it does not fit either.
    assert fault([*lines[:5], other[0], *lines[6:]], writer) == ("ledger/fork", 7)
    assert fault([*lines[:6], other[0], *lines[6:]], writer) == ("ledger/fork", 7)


@both_sides
def test_a_line_rewritten_by_its_own_writer_is_found_at_the_next(
    writer: Writer, kinds: list[str]
) -> None:
    _, lines = writer.write(kinds)
    rewritten = writer.signed_again(lines[2], time="2026-02-02T00:00:00Z")
    assert fault([*lines[:2], rewritten, *lines[3:]], writer) == ("ledger/fork", 4)


@both_sides
def test_a_foreign_signature_is_found(writer: Writer, kinds: list[str]) -> None:
    _, lines = writer.write(kinds[:3])
    chain = Chain.resume(lines[-1])
    chain, forged = chain.append(
        kind="user-forgotten", body={}, time="2026-01-01T00:00:09Z", sign=THIEF.sign
    )
    _, rest = writer.write(kinds[:2], chain)
    assert fault([*lines, forged, *rest], writer) == ("ledger/foreign-signature", 4)
    assert fault([*lines, forged], writer) == ("ledger/changed", 4)


@both_sides
def test_a_foreign_ledger_is_found(writer: Writer, kinds: list[str]) -> None:
    _, lines = writer.write(kinds)
    _, others = THIEF.write(kinds)
    assert fault(others, THIEF, writer=writer.name) == ("ledger/foreign-writer", 1)
    assert fault(others, writer) == ("ledger/foreign-signature", 1)
    assert fault([*lines[:2], others[2], *lines[3:]], writer) == ("ledger/foreign-writer", 3)
    taken = [THIEF.signed_again(line, writer=writer.name) for line in others]
    assert fault(taken, writer)[1] == 1


def test_a_line_whose_signature_was_made_for_another_purpose_is_found() -> None:
    def elsewhere(domain: str, message: bytes) -> bytes:
        return SITE.sign(domain + "-else", message)

    _, line = Chain.start("site-1").append(
        kind="user-forgotten", body={}, time="2026-01-01T00:00:00Z", sign=elsewhere
    )
    assert fault([line], SITE) == ("ledger/changed", 1)


REWRITINGS: dict[str, Callable[[bytes], bytes]] = {
    "space after a colon": lambda line: line.replace(b'"seq":', b'"seq": '),
    "leading space": lambda line: b" " + line,
    "trailing space": lambda line: line + b" ",
    "carriage return": lambda line: line + b"\r",
    "two newlines": lambda line: line + b"\n\n",
    "whole float": lambda line: line.replace(b'"version":1', b'"version":1.0'),
    "negative zero": lambda line: line.replace(b'"seq":3', b'"seq":-0'),
    "doubled member": lambda line: line.replace(b'"version":1', b'"version":1,"version":1'),
    "needless escape": lambda line: line.replace(b"finished", b"f\\u0069nished"),
    "not UTF-8": lambda line: line.replace(b"finished", b"finish\xff"),
    "members out of order": lambda line: json.dumps(
        dict(reversed(json.loads(line).items())), separators=(",", ":")
    ).encode(),
    "endless nesting": lambda _: b"[" * 100_000,
    "endless number": lambda _: b"1" * 10_000,
    "lone surrogate": lambda _: b'{"a":"\\ud800"}',
    "not a number": lambda _: b'{"a":NaN}',
    "empty line": lambda _: b"",
    "huge line": lambda _: b"x" * (5 << 20),
}


@pytest.mark.parametrize("name", sorted(REWRITINGS))
def test_a_line_not_in_canonical_form_is_found(name: str) -> None:
    rewrite = REWRITINGS[name]
    _, lines = SITE.write(["plan-accepted", "run-ended", "committed"])
    tampered = [lines[0], rewrite(lines[1]), lines[2]]
    assert tampered[1] != lines[1]
    assert fault(tampered, SITE) == ("ledger/not-canonical", 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"version": True},
        {"kind": "something-else"},
        {"kind": None},
        {"seq": -1},
        {"seq": 1.5},
        {"seq": True},
        {"writer": "a b"},
        {"previous": "ab"},
        {"previous": HASH.upper()},
        {"time": "yesterday"},
        {"time": "2026-01-01T00:00:00+01:00"},
        {"body": []},
        {"body": {}},
        {"body": {**ATTEMPT, "user": "u-17"}},
        {"body": ATTEMPT | {"round": -1}},
        {"body": ATTEMPT | {"round": True}},
        {"body": ATTEMPT | {"context": "ab"}},
        {"note": "x"},
    ],
)
def test_a_signed_line_of_another_schema_is_refused(changes: dict[str, Any]) -> None:
    _, lines = SITE.write(["plan-accepted", "committed"])
    assert fault([lines[0], SITE.signed_again(lines[1], **changes)], SITE) == ("ledger/schema", 2)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_required_field_is_required_and_no_other_is_taken(kind: str) -> None:
    def append(body: dict[str, Any]) -> None:
        Chain.start("site-1").append(
            kind=kind, body=body, time="2026-01-01T00:00:00Z", sign=SITE.sign
        )

    append(BODIES[kind])
    append(BODIES[kind] | OPTIONAL.get(kind, {}))
    for name in KINDS[kind].required:
        for body in (
            {k: v for k, v in BODIES[kind].items() if k != name},
            BODIES[kind] | {name: {"un": "expected"}},
        ):
            with pytest.raises(LedgerError, match=name) as caught:
                append(body)
            assert caught.value.code == "ledger/schema"
    with pytest.raises(LedgerError, match="not known") as caught:
        append(BODIES[kind] | {"user_4711": 1})
    assert "4711" not in caught.value.message


@pytest.mark.parametrize(
    "epsilon", [math.inf, math.nan, -1.0, 1e20, 2.0**60, 2**53, "8", True, [8]]
)
def test_a_number_that_json_does_not_carry_is_refused(epsilon: object) -> None:
    body = BODIES["model-released"] | {"epsilon": epsilon}
    with pytest.raises(LedgerError):
        Chain.start("site-1").append(
            kind="model-released", body=body, time="2026-01-01T00:00:00Z", sign=SITE.sign
        )


@given(epsilon=st.floats(0, 1e15), delta=st.floats(0, 1))
def test_floats_come_back_as_they_were(epsilon: float, delta: float) -> None:
    body = BODIES["model-released"] | {"epsilon": epsilon, "delta": delta}
    _, line = Chain.start("site-1").append(
        kind="model-released", body=body, time="2026-01-01T00:00:00Z", sign=SITE.sign
    )
    (entry,) = verify_chain([line], SITE.public)
    assert (entry.body["epsilon"], entry.body["delta"]) == (epsilon, delta)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=150)
@given(value=JSON, indent=st.sampled_from([None, None, 1]), ascii_only=st.booleans())
@example(value={"\uffff": 1, "\U00010000": 2}, indent=None, ascii_only=False)  # UTF-16 order
@example(value=[1e22, 1e-7, 1e16, 0.1, -0.0], indent=None, ascii_only=True)
@example(value=[2**53 - 1, 2**53], indent=None, ascii_only=True)
@example(value=[4096.0, 0.25, 1e-4, 9.9e-5, 1e-6, 0.1 + 0.2], indent=None, ascii_only=True)
@example(value=[123456789012345.6, 1e15 + 0.5, -0.5], indent=None, ascii_only=True)
def test_the_quick_look_at_a_line_agrees_with_rfc_8785(
    value: object, indent: int | None, ascii_only: bool
) -> None:
    """Lines are canonical exactly when the reference serialiser gives them back."""
    try:
        canonical = canonical_json(value)
    except ValueError:
        canonical = b""
    written = json.dumps(
        value, sort_keys=True, separators=(",", ":"), indent=indent, ensure_ascii=ascii_only
    ).encode(errors="surrogatepass")
    for line in {canonical, written} - {b""}:
        try:
            again = canonical_json(json.loads(line)) == line
        except ValueError:
            again = False
        try:
            value = canonical_value(line)
        except ValueError:
            assert not again
        else:
            assert again
            assert canonical_json(value) == line


@pytest.mark.parametrize(
    "number", [b"0.10", b"1.0", b"4096.0", b"1e2", b"1E2", b"0.1e1", b"1e-7", b"00.1", b"0.00001"]
)
def test_a_float_in_another_form_than_rfc_8785s_is_not_canonical(number: bytes) -> None:
    canonical = number in (b"1e-7", b"0.00001")
    try:
        canonical_value(b"[" + number + b"]")
    except ValueError:
        assert not canonical
    else:
        assert canonical


def walked(fields: Mapping[str, FieldType]) -> Iterator[tuple[str, FieldType]]:
    """Every field with its type, those of listed objects included."""
    for name, type_ in fields.items():
        if type_.members:
            yield from walked(type_.members)
        else:
            yield name, type_


def test_no_entry_has_room_for_user_ids_data_or_realised_sizes() -> None:
    """Every field is of a closed type, and every number in an entry is one of these."""
    pinned = (ledger_fields.HASH, ledger_fields.KEY, ledger_fields.SIGNATURE, ledger_fields.RUN)
    names = (ledger_fields.SITE, ledger_fields.SITES, ledger_fields.CODE)
    closed = (*pinned, *names, ledger_fields.SEED)
    named = {
        ledger_fields.OUTCOME: {"outcome"},
        ledger_fields.COUNT: {"round", "attempt", "epoch", "seq", "window_days"},
        ledger_fields.NUMBER_OR_NULL: {"epsilon", "delta"},
        ledger_fields.NAME: {"accountant", "writer"},
        ledger_fields.ACCEPTANCE: {"accepted"},
        ledger_fields.REASON: {"reason"},
        ledger_fields.EVENTS: {"events"},
        ledger_fields.DOCUMENT: {"document"},
    }
    seen = 0
    for kind in KINDS.values():
        for name, type_ in walked({**kind.required, **kind.optional}):
            seen += 1
            assert type_ in closed or name in named[type_], name
        documents = "document" in kind.required
        assert documents == (kind.document is not None)
    assert seen > 60


def test_no_event_has_room_for_them_either() -> None:
    """`size` is the number of coordinates, `cohort` the plan's sites, `sampling` a probability."""
    assert {field.name for field in fields(GaussianSumRelease)} == {
        *("round", "attempt", "block", "size", "clip", "sensitivity", "noise_stddev", "cohort"),
        *("min_survivors", "colluding", "ring_bits", "max_sites_per_person", "sampling"),
        *("neighbours", "unit"),
    }


@pytest.mark.parametrize("kind", [k for k, v in KINDS.items() if v.document])
def test_a_document_that_is_not_the_one_of_its_hash_is_refused(kind: str) -> None:
    body = BODIES[kind]
    document = json.loads(json.dumps(body["document"]))
    target = document.get("roster", document)
    target["version"] = 7
    for wrong in (body | {"document": document}, body | {"document": {}}):
        with pytest.raises(LedgerError, match="not the hash of the document"):
            Chain.start("site-1").append(
                kind=kind, body=wrong, time="2026-01-01T00:00:00Z", sign=SITE.sign
            )


@pytest.mark.parametrize("order", [[1, 0], [0, 0]])
def test_lists_of_sites_ascend_and_name_each_site_once(order: list[int]) -> None:
    for kind, name in (("heads", "heads"), ("certificate", "masked"), ("certificate", "shared")):
        listed = [BODIES[kind][name][k] for k in order]
        with pytest.raises(LedgerError, match=name):
            Chain.start("coordinator").append(
                kind=kind,
                body=BODIES[kind] | {name: listed},
                time="2026-01-01T00:00:00Z",
                sign=COORDINATOR.sign,
            )


def test_a_fault_says_its_line_to_programs_too() -> None:
    _, lines = SITE.write(SITE_KINDS)
    with pytest.raises(LedgerError) as caught:
        verify_chain([lines[0], *lines[2:]], SITE.public)
    assert (caught.value.code, caught.value.line) == ("ledger/gap", 2)


def test_an_unknown_event_in_an_entry_is_refused() -> None:
    for event in (EVENT | {"version": 2}, EVENT | {"size": 0}, "gaussian-sum"):
        body = BODIES["reserved"] | {"events": [event]}
        with pytest.raises(LedgerError, match="events"):
            Chain.start("site-1").append(
                kind="reserved", body=body, time="2026-01-01T00:00:00Z", sign=SITE.sign
            )


@pytest.mark.parametrize("time", ["", "2026-01-01", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00"])
def test_a_time_that_is_not_utc_in_rfc_3339_is_refused(time: str) -> None:
    with pytest.raises(LedgerError, match="time"):
        Chain.start("site-1").append(kind="user-forgotten", body={}, time=time, sign=SITE.sign)


def test_a_writer_that_is_no_id_is_refused() -> None:
    for name in ("", "a b", "é", "x" * 129):
        with pytest.raises(InvalidInput, match="writer"):
            Chain.start(name)


def test_a_key_that_is_no_key_is_refused() -> None:
    with pytest.raises(InvalidInput, match="public_key"):
        verify_chain([], b"short")


def test_a_file_splits_into_lines_and_a_torn_last_line_is_found() -> None:
    _, lines = SITE.write(SITE_KINDS)
    data = b"".join(line + b"\n" for line in lines)
    assert split_lines(data) == lines
    assert split_lines(b"") == []
    with pytest.raises(LedgerError, match="line 5") as caught:
        split_lines(data[:-9])
    assert caught.value.code == "ledger/truncated"
