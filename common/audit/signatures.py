"""Ed25519 signatures, checked in batches that another process may work off.

A check costs some 70 µs, and ledgers, certificates and receipts hold many thousands. Batches are
plain data, so that a pool of processes can share the work; with `map` they are worked off one after
another.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recommons.common.hashing import framed
from recommons.common.privacy.ledger import ENTRY_DOMAIN
from recommons.common.privacy.ledger_line import unsigned_part

__all__ = [
    "Check",
    "LineBatch",
    "Mapper",
    "check_all",
    "first_unsigned",
    "in_batches",
    "is_signed_line",
]

_BATCH = 500
_MARK = b'"signature":"'
_DIGITS = 128


Mapper = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""`map`, or that of a pool of processes: results in order."""


class Check(NamedTuple):
    """One signature to check.

    Attributes:
        key: The signer's Ed25519 key.
        signature: 64 bytes.
        message: What it should be over.
    """

    key: bytes
    signature: bytes
    message: bytes


def check_all(checks: Sequence[Check], mapper: Mapper) -> list[bool]:
    """Whether each signature holds."""
    distinct = list(dict.fromkeys(checks))
    batches = [distinct[start : start + _BATCH] for start in range(0, len(distinct), _BATCH)]
    answers = [answer for batch in mapper(_check_batch, batches) for answer in batch]
    known = dict(zip(distinct, answers, strict=True))
    return [known[check] for check in checks]


@dataclass(frozen=True)
class LineBatch:
    """Some lines of one ledger.

    Attributes:
        key: The writer's Ed25519 key.
        lines: The lines, without newlines.
    """

    key: bytes
    lines: tuple[bytes, ...]


def in_batches(lines: Sequence[bytes], key: bytes) -> Iterator[LineBatch]:
    """A ledger's lines, cut into batches that cost a worker some 70 ms each."""
    for start in range(0, len(lines), _BATCH):
        yield LineBatch(key, tuple(lines[start : start + _BATCH]))


def first_unsigned(batch: LineBatch) -> int | None:
    """The place in a batch of the first line that was not signed with its key, or None."""
    key = _key(batch.key)
    places = enumerate(batch.lines)
    return next((place for place, line in places if not _is_signed(line, key)), None)


def is_signed_line(line: bytes, raw_key: bytes) -> bool:
    """Whether a ledger's line was signed with this key."""
    return _is_signed(line, _key(raw_key))


def _is_signed(line: bytes, key: Ed25519PublicKey | None) -> bool:
    try:
        start = line.rindex(_MARK) + len(_MARK)
        signature = bytes.fromhex(line[start : start + _DIGITS].decode())
        message = framed(ENTRY_DOMAIN, unsigned_part(line))
    except ValueError:
        return False
    return key is not None and _holds(key, signature, message)


def _check_batch(batch: Sequence[Check]) -> list[bool]:
    keys = {raw: _key(raw) for raw in {check.key for check in batch}}
    return [
        key is not None and _holds(key, check.signature, check.message)
        for check in batch
        for key in (keys[check.key],)
    ]


def _key(raw: bytes) -> Ed25519PublicKey | None:
    try:
        return Ed25519PublicKey.from_public_bytes(raw)
    except ValueError:
        return None


def _holds(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True
