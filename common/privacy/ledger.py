"""The ledger: an append-only record of one writer, one JSON object a line.

Each line is canonical JSON (RFC 8785) of an envelope

| field | holds |
|---|---|
| `version` | 1, the version of this schema |
| `writer` | who writes: a site's or the coordinator's id |
| `seq` | 0, 1, 2, ... |
| `previous` | SHA-256 of the previous line, hex (of the writer's id at the start) |
| `time` | the writer's clock, RFC 3339 in UTC |
| `kind`, `body` | what happened: `ledger_entries.KINDS` |
| `signature` | Ed25519 by the writer's key over all of the above, hex |

What a chain alone shows: nothing before its last line was changed, dropped, doubled or moved. That
lines are missing *at the end*, or that a writer keeps two histories, shows only against a head that
someone else holds (`Head`, `verify_chain`'s `heads`). That a writer's clock was right, and that it
did what it wrote, no ledger shows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NoReturn, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recommons.common.errors import InvalidInput, LedgerError
from recommons.common.hashing import canonical_json, digest, framed
from recommons.common.privacy.ledger_entries import entry_fault
from recommons.common.privacy.ledger_line import (
    SCHEMA_VERSION,
    START_DOMAIN,
    WRITER,
    fail,
    line_hash,
    parse_line,
    unsigned_part,
)

__all__ = ["ENTRY_DOMAIN", "Chain", "Entry", "Head", "split_lines", "verify_chain"]

ENTRY_DOMAIN = "recommons/ledger/1/entry"
"""Domain of an entry's signature, which is over ``framed(ENTRY_DOMAIN, unsigned line)``."""

Sign = Callable[[str, bytes], bytes]
"""Signs ``framed(domain, message)`` with the writer's Ed25519 key: ``SigningIdentity.sign``."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """The last line of a chain at some moment, as someone else may hold it.

    Attributes:
        writer: Whose chain.
        seq: Number of its last line, from 0.
        hash: SHA-256 of that line (32 bytes).
    """

    writer: str
    seq: int
    hash: bytes


class Entry(NamedTuple):
    """One verified line.

    Attributes:
        seq: Its number, from 0 (line ``seq + 1`` of the file).
        writer: Who wrote it.
        time: The writer's clock.
        kind: A key of `ledger_entries.KINDS`.
        body: What happened.
        hash: SHA-256 of the line (32 bytes).
    """

    seq: int
    writer: str
    time: str
    kind: str
    body: Mapping[str, Any]
    hash: bytes


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Where a writer's ledger stands; a value: appending gives a new one.

    Attributes:
        writer: The writer's id.
        length: Number of lines so far, and so the next line's `seq`.
        link: What the next line's `previous` holds (32 bytes).
    """

    writer: str
    length: int
    link: bytes

    @classmethod
    def start(cls, writer: str) -> Self:
        """An empty ledger of `writer`.

        Raises:
            InvalidInput: The id is not 1 to 128 letters, digits, and ``. _ : -``.
        """
        if WRITER.fullmatch(writer) is None:
            raise InvalidInput("input/argument", "writer is not an id; required: 1 to 128 of a-z")
        return cls(writer=writer, length=0, link=digest(START_DOMAIN, writer.encode()))

    @classmethod
    def resume(cls, last_line: bytes) -> Self:
        """Go on after the writer's own last line (its form is checked, its signature is not).

        Raises:
            LedgerError: The line is not a ledger line.
        """
        line = last_line.removesuffix(b"\n")
        envelope = parse_line(line, 0)
        return cls(writer=envelope["writer"], length=envelope["seq"] + 1, link=line_hash(line))

    @property
    def head(self) -> Head | None:
        """The last line, for someone else to keep; None while there is none."""
        if not self.length:
            return None
        return Head(writer=self.writer, seq=self.length - 1, hash=self.link)

    def append(
        self, *, kind: str, body: Mapping[str, Any], time: str, sign: Sign
    ) -> tuple["Chain", bytes]:
        """The chain with one entry more, and that entry's line.

        Args:
            kind: A key of `ledger_entries.KINDS`.
            body: JSON values; hashes and large integers as hexadecimal strings.
            time: RFC 3339 in UTC, e.g. ``2026-01-31T09:30:00Z``.
            sign: The writer's signature, e.g. ``identity.sign``.

        Returns:
            (chain, line): the line without a newline. Make it durable before anything it announces
            is sent.

        Raises:
            LedgerError: ``ledger/schema``: the entry is not as its kind requires, or holds a
                number that JSON does not carry exactly.
        """
        envelope = {
            "version": SCHEMA_VERSION,
            "writer": self.writer,
            "seq": self.length,
            "previous": self.link.hex(),
            "time": time,
            "kind": kind,
            "body": dict(body),
        }
        if fault := entry_fault(kind, body):
            raise LedgerError("ledger/schema", f"entry of kind {kind!r}: {fault}")
        try:
            signature = sign(ENTRY_DOMAIN, canonical_json(envelope))
            line = canonical_json({**envelope, "signature": signature.hex()})
        except ValueError as error:
            raise LedgerError("ledger/schema", f"entry of kind {kind!r} is not JSON") from error
        parse_line(line, self.length + 1)  # what cannot be read again is not written
        return replace(self, length=self.length + 1, link=line_hash(line)), line


def split_lines(data: bytes) -> list[bytes]:
    """The lines of a ledger file, without newlines.

    Raises:
        LedgerError: ``ledger/truncated``: the last line does not end in a newline.
    """
    *lines, rest = data.split(b"\n")
    if rest:
        fail("ledger/truncated", len(lines) + 1, "does not end in a newline")
    return lines


def verify_chain(
    lines: Sequence[bytes],
    public_key: bytes,
    *,
    writer: str | None = None,
    heads: Iterable[Head] = (),
) -> tuple[Entry, ...]:
    """Read a ledger and check that it is the whole, unbroken record of one writer.

    Args:
        lines: All lines from the first, with or without newlines.
        public_key: The writer's Ed25519 key (32 bytes), from a roster that is trusted.
        writer: The id the ledger must be of; by default the one its first line names.
        heads: Heads of this writer that others hold; those of other writers are passed over.

    Returns:
        The entries in order.

    Raises:
        LedgerError: With a code of its own for each fault, and the number of the first line, from
            1, at which it shows:

            =========================  =====================================================
            ``ledger/not-canonical``   not one JSON object in RFC 8785 form
            ``ledger/schema``          version, kind or field unknown, missing or mistyped
            ``ledger/foreign-writer``  a line of another writer
            ``ledger/changed``         the signature does not fit, nor does the link of the next
                                       line, if there is one
            ``ledger/foreign-signature``  only the signature does not fit: by another key
            ``ledger/gap``             lines are missing before this one
            ``ledger/reordered``       lines that belong before this one come later
            ``ledger/duplicate``       the same line again
            ``ledger/fork``            a second line with a number, or one that does not follow
                                       on the line before or on a head that others hold
            ``ledger/truncated``       the ledger ends before a head that others hold
            =========================  =====================================================

        InvalidInput: The key is not 32 bytes of an Ed25519 key.
    """
    plain = [line.removesuffix(b"\n") for line in lines]
    verifier = _Verifier(lines=plain, key=_public_key(public_key))
    entries: list[Entry] = []
    chain: Chain | None = Chain.start(writer) if writer is not None else None
    for number, line in enumerate(plain, start=1):
        envelope = parse_line(line, number)
        chain = chain or Chain.start(envelope["writer"])
        verifier.check(number, envelope, chain)
        chain = Chain(writer=chain.writer, length=number, link=line_hash(line))
        entries.append(_entry(envelope, chain.link))
    _check_heads(entries, writer, heads)
    return tuple(entries)


@dataclass(frozen=True, kw_only=True)
class _Verifier:
    """Checks lines in turn, and looks around for the right name of a fault."""

    lines: Sequence[bytes]
    key: Ed25519PublicKey

    def check(self, number: int, envelope: Mapping[str, Any], chain: Chain) -> None:
        """Raise unless the line is the next of the chain."""
        if envelope["writer"] != chain.writer:
            fail("ledger/foreign-writer", number, "is of another writer")
        if not self._is_signed(number, envelope):
            self._fail_signature(number)
        if envelope["seq"] != chain.length:
            self._fail_order(number, envelope["seq"])
        if envelope["previous"] != chain.link.hex():
            fail("ledger/fork", number, "does not follow on the line before it")

    def _is_signed(self, number: int, envelope: Mapping[str, Any]) -> bool:
        message = framed(ENTRY_DOMAIN, unsigned_part(self.lines[number - 1]))
        try:
            self.key.verify(bytes.fromhex(envelope["signature"]), message)
        except InvalidSignature:
            return False
        return True

    def _fail_signature(self, number: int) -> NoReturn:
        """A line whose successor links to it is as it was written, by whoever wrote it."""
        following = self._field(number, "previous")
        if following == line_hash(self.lines[number - 1]).hex():
            fail("ledger/foreign-signature", number, "is signed by another key")
        fail("ledger/changed", number, "is not what its writer signed")

    def _fail_order(self, number: int, seq: int) -> NoReturn:
        expected = number - 1
        if seq < expected:
            if self.lines[number - 1] == self.lines[seq]:
                fail("ledger/duplicate", number, f"repeats line {seq + 1}")
            fail("ledger/fork", number, f"is a second entry number {seq}")
        later = range(number, len(self.lines))
        if any(self._field(index, "seq") == expected for index in later):
            fail("ledger/reordered", number, f"is entry number {seq}, before number {expected}")
        fail("ledger/gap", number, f"is entry number {seq}; number {expected} is missing")

    def _field(self, index: int, name: str) -> object:
        """A field of the line at `index`, or None where that cannot be read."""
        if index >= len(self.lines):
            return None
        try:
            return parse_line(self.lines[index], index + 1)[name]
        except LedgerError:
            return None


def _check_heads(entries: Sequence[Entry], writer: str | None, heads: Iterable[Head]) -> None:
    """The first head that does not fit: the fault lies after the last one that does."""
    own = entries[0].writer if entries else writer
    for head in sorted(heads, key=lambda head: head.seq):
        if own is not None and head.writer != own:
            continue
        if head.seq >= len(entries):
            fail("ledger/truncated", len(entries), f"is the last, but others hold {head.seq + 1}")
        if entries[head.seq].hash != head.hash:
            fail("ledger/fork", head.seq + 1, "is not the line that others hold")


def _entry(envelope: Mapping[str, Any], hash_: bytes) -> Entry:
    return Entry(
        seq=envelope["seq"],
        writer=envelope["writer"],
        time=envelope["time"],
        kind=envelope["kind"],
        body=envelope["body"],
        hash=hash_,
    )


def _public_key(data: bytes) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(data)
    except ValueError as error:
        raise InvalidInput(
            "input/argument", "public_key is not an Ed25519 key; required: its 32 bytes"
        ) from error
