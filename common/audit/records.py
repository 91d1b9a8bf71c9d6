"""Ledgers as verified records: whole lines, signed by their writer, each following on the last."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from recommons.common.audit.findings import Findings
from recommons.common.audit.signatures import (
    LineBatch,
    Mapper,
    first_unsigned,
    in_batches,
    is_signed_line,
)
from recommons.common.audit.sources import Source
from recommons.common.audit.trust import Trust
from recommons.common.errors import LedgerError
from recommons.common.hashing import canonical_value
from recommons.common.heads import COORDINATOR
from recommons.common.privacy.ledger import Chain, Entry, verify_chain
from recommons.common.privacy.ledger_entries import KINDS
from recommons.common.privacy.ledger_line import SCHEMA_VERSION, line_hash, parse_line

__all__ = ["LedgerText", "Record", "records_of"]

_KNOWN_EVENTS = (("gaussian-sum", 1),)


@dataclass(frozen=True, kw_only=True)
class LedgerText:
    """A ledger file cut into lines, not yet checked.

    Attributes:
        source: The file.
        lines: Its whole lines.
        torn: Whether bytes without a newline follow them.
    """

    source: Source
    lines: tuple[bytes, ...]
    torn: bool

    @classmethod
    def of(cls, source: Source) -> "LedgerText":
        """Cut a file into lines."""
        *lines, rest = source.data.split(b"\n")
        return cls(source=source, lines=tuple(lines), torn=bool(rest))

    @property
    def name(self) -> str:
        """How findings call it."""
        return self.source.name


@dataclass(frozen=True, kw_only=True)
class Record:
    """A ledger, as far as it holds.

    Attributes:
        text: The file.
        writer: Whose it is.
        entries: The verified entries; entry k is line k + 1.
        broken: Whether a fault ended them early: then nothing follows from what is not there.
        key: The key that signed them. A site enrolled anew has another, and another ledger.
        companions: `Source.companion` of this file, and of copies of it that were given.
    """

    text: LedgerText
    writer: str
    key: bytes
    entries: tuple[Entry, ...]
    broken: bool
    companions: frozenset[str]

    @property
    def name(self) -> str:
        """The file's name."""
        return self.text.name

    @property
    def is_coordinator(self) -> bool:
        """Whether it is the coordinator's."""
        return self.writer == COORDINATOR


@dataclass(frozen=True, kw_only=True)
class _Parsed:
    """A ledger whose lines were read, up to the first that cannot be."""

    text: LedgerText
    writer: str
    key: bytes
    envelopes: Sequence[Mapping[str, Any]]
    fault: LedgerError | None


def records_of(
    texts: Sequence[LedgerText],
    trust: Trust,
    findings: Findings,
    mapper: Mapper = map,
    *,
    each_line: bool = True,
) -> list[Record]:
    """Verify ledgers: form, signatures, order; of several copies the longest is kept.

    A line's link covers all of the line before it, its signature too, so the signature of the last
    line is the writer's word for every line. A line in the middle that another key signed then
    stands in a history that its writer signed; only `each_line` names it. The lines are parsed here
    while the processes of a pool, if `mapper` has one, verify the signatures.

    Args:
        texts: The files.
        trust: Whose keys count.
        findings: Taken up.
        mapper: Works off batches of lines.
        each_line: Verify every line's signature, not that of each ledger's last line alone.
    """
    known = [found for text in texts if (found := _with_key(text, trust, findings)) is not None]
    cut = [_to_verify(text, key, each_line) for text, _writer, key in known]
    answers = iter(mapper(first_unsigned, [batch for batches in cut for batch in batches]))
    parsed = [_parse(text, writer, key) for text, writer, key in known]
    records = [
        _record(told, _all_signed(answers, len(batches)), findings)
        for told, batches in zip(parsed, cut, strict=True)
    ]
    return _longest_of_each(records, findings)


def _to_verify(text: LedgerText, key: bytes, each_line: bool) -> list[LineBatch]:
    if each_line:
        return list(in_batches(text.lines, key))
    return [LineBatch(key, text.lines[-1:])]


def _all_signed(answers: Iterator[int | None], batches: int) -> bool:
    """Whether the next so many batches hold no line that is not signed; takes all of them."""
    return [next(answers) for _ in range(batches)].count(None) == batches


def _with_key(
    text: LedgerText, trust: Trust, findings: Findings
) -> tuple[LedgerText, str, bytes] | None:
    """A ledger with its writer and the writer's key; None, with a finding, if there is none."""
    writer = _writer_of(text)
    if text.name in trust.foreign:
        return None
    if writer is None:
        findings.add(
            "ledger/not-canonical", "its first lines name no writer", ledger=text.name, line=1
        )
        return None
    keys = trust.keys_of(writer)
    if not keys:
        _add_keyless(text, writer, trust, findings)
        return None
    signing = (key for key in keys if is_signed_line(text.lines[0], key))
    return text, writer, next(signing, keys[0])


def _writer_of(text: LedgerText) -> str | None:
    """The writer that the first readable line names."""
    for line in text.lines[:10]:
        try:
            value = canonical_value(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("writer"), str):
            return str(value["writer"])
    return None


def _parse(text: LedgerText, writer: str, key: bytes) -> _Parsed:
    """Read the lines, up to the first that cannot be."""
    envelopes: list[Mapping[str, Any]] = []
    fault: LedgerError | None = None
    for number, line in enumerate(text.lines, start=1):
        try:
            envelopes.append(parse_line(line, number))
        except LedgerError as error:
            fault = error
            break
    return _Parsed(text=text, writer=writer, key=key, envelopes=envelopes, fault=fault)


def _add_keyless(text: LedgerText, writer: str, trust: Trust, findings: Findings) -> None:
    if not trust.rosters:
        findings.add(
            "audit/no-roster",
            "no ledger and no pinned document holds a roster, so nobody's keys are known",
            ledger=text.name,
        )
    elif writer == COORDINATOR:
        findings.add(
            "audit/no-key",
            "nothing given says which key is the coordinator's: a site's ledger or "
            "--trust federation.json would",
            ledger=text.name,
        )
    else:
        findings.add(
            "audit/unknown-writer",
            "its writer is on no roster of this federation",
            ledger=text.name,
            line=1,
        )


def _record(parsed: _Parsed, signed: bool, findings: Findings) -> Record:
    """Entries of a ledger that holds; otherwise those before its first fault, with a finding."""
    text = parsed.text
    entries = _linked(parsed) if signed and parsed.fault is None else None
    broken = text.torn or entries is None
    if entries is None:
        fault, entries = _first_fault(parsed)
        code = _code(fault, text)
        findings.add(code, fault.message, ledger=text.name, line=fault.line)
    elif text.torn:
        findings.add(
            "ledger/truncated",
            f"line {len(text.lines) + 1} does not end in a newline",
            ledger=text.name,
            line=len(text.lines) + 1,
        )
    return Record(
        text=text,
        writer=parsed.writer,
        key=parsed.key,
        entries=entries,
        broken=broken,
        companions=frozenset({text.source.companion}),
    )


def _linked(parsed: _Parsed) -> tuple[Entry, ...] | None:
    """The entries, if each line follows on the last; None otherwise."""
    link, entries = Chain.start(parsed.writer).link, []
    for seq, (envelope, line) in enumerate(zip(parsed.envelopes, parsed.text.lines, strict=True)):
        own = envelope["seq"] == seq and envelope["writer"] == parsed.writer
        if not own or envelope["previous"] != link.hex():
            return None
        link = line_hash(line)
        entries.append(
            Entry(
                seq=seq,
                writer=parsed.writer,
                time=envelope["time"],
                kind=envelope["kind"],
                body=envelope["body"],
                hash=link,
            )
        )
    return tuple(entries)


def _first_fault(parsed: _Parsed) -> tuple[LedgerError, tuple[Entry, ...]]:
    """The first fault by its name, and the entries before it."""
    lines = parsed.text.lines
    try:
        verify_chain(lines, parsed.key, writer=parsed.writer)
    except LedgerError as error:
        before = lines[: (error.line or 1) - 1]
        return error, verify_chain(before, parsed.key, writer=parsed.writer)
    raise AssertionError("a ledger that was found broken holds")  # the two checks are one rule


def _code(fault: LedgerError, text: LedgerText) -> str:
    """A well-formed line of a kind that this version does not know is no violation."""
    if fault.code != "ledger/schema" or fault.line is None:
        return fault.code
    value = canonical_value(text.lines[fault.line - 1])
    if not isinstance(value, dict):
        return fault.code
    version, kind, body = value.get("version"), value.get("kind"), value.get("body")
    if type(version) is int and version > SCHEMA_VERSION:
        return "audit/unknown-entry"
    if isinstance(kind, str) and kind not in KINDS:
        return "audit/unknown-entry"
    events = body.get("events") if isinstance(body, dict) else None
    if isinstance(events, list) and any(_is_unknown_event(event) for event in events):
        return "audit/unknown-event"
    return fault.code


def _is_unknown_event(event: object) -> bool:
    if not isinstance(event, dict):
        return False
    kind, version = event.get("type"), event.get("version")
    named = isinstance(kind, str) and type(version) is int
    return named and (kind, version) not in _KNOWN_EVENTS


def _longest_of_each(records: Iterable[Record], findings: Findings) -> list[Record]:
    """Of several files with one writer's lines the longest; they must not contradict each other."""
    kept: dict[tuple[str, bytes], Record] = {}
    for record in sorted(records, key=lambda r: (-len(r.entries), r.name)):
        longest = kept.setdefault((record.writer, record.key), record)
        if longest is record:
            continue
        differing = [
            place
            for place, (one, other) in enumerate(zip(record.entries, longest.entries, strict=False))
            if one.hash != other.hash
        ]
        if differing:
            findings.add(
                "ledger/fork",
                f"is another line than the one in {longest.name}: two histories of one writer",
                ledger=record.name,
                line=differing[0] + 1,
            )
        else:
            findings.add(
                "audit/duplicate-ledger",
                f"holds nothing that {longest.name} does not",
                ledger=record.name,
            )
        both = longest.companions | record.companions
        kept[record.writer, record.key] = replace(longest, companions=both)
    return sorted(kept.values(), key=lambda record: record.name)
