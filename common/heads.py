"""Signed heads and receipts: what writers of ledgers keep of one another.

A chain cannot show that its own last lines are missing. So every writer signs where its ledger
stands, and others keep that: the coordinator writes the sites' heads into its own ledger, then
countersigns them in a *receipt*, together with its own head, and every survivor keeps the receipt.
Who later shows a ledger that is shorter than a head it signed, or another one, is found out by
whoever holds that head (`recommons.common.privacy.ledger.verify_chain`).

| | signed by | over |
|---|---|---|
| signed head | the ledger's writer | federation, writer, seq, SHA-256 of line seq |
| receipt | the coordinator | all of it: which attempt, the survivors' signed heads, its own |

Both are canonical JSON (RFC 8785).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from recommons.common.errors import LedgerError
from recommons.common.hashing import canonical_json, canonical_value
from recommons.common.privacy.ledger import Chain, Head
from recommons.common.privacy.ledger_fields import (
    COUNT,
    HASH,
    NAME,
    RUN,
    SIGNATURE,
    SITE,
    FieldType,
    fields_fault,
)
from recommons.common.secagg.identity import SigningIdentity, is_signed

__all__ = [
    "COORDINATOR",
    "HEAD_DOMAIN",
    "RECEIPT_DOMAIN",
    "Place",
    "Receipt",
    "SignedHead",
    "heads_from_bytes",
    "heads_to_bytes",
]

COORDINATOR = "coordinator"
"""The coordinator's name as a writer; no site may bear it."""
HEAD_DOMAIN = "recommons/ledger/1/head"
RECEIPT_DOMAIN = "recommons/ledger/1/receipt"

_VERSION = 1
_MAX_BYTES = 4 << 20
_HEAD = {"writer": NAME, "seq": COUNT, "head": HASH, "signature": SIGNATURE}


@dataclass(frozen=True, kw_only=True)
class SignedHead:
    """Where a ledger stood, under its writer's signature.

    Attributes:
        head: Writer, seq and hash of the last line.
        signature: Ed25519, 64 bytes.
    """

    head: Head
    signature: bytes

    @classmethod
    def sign(cls, federation: str, chain: Chain, identity: SigningIdentity) -> Self:
        """The head of a chain that has at least one line.

        Args:
            federation: The federation's id, so that a head is worth nothing in another.
            chain: Where the writer's ledger stands.
            identity: The writer's key.
        """
        if chain.head is None:
            raise LedgerError("ledger/head", "an empty ledger has no head")
        return cls(head=chain.head, signature=identity.sign(*_statement(federation, chain.head)))

    def is_signed_by(self, public_key: bytes, federation: str) -> bool:
        """Whether the signature is this key's, over this head in this federation."""
        return is_signed(public_key, self.signature, *_statement(federation, self.head))

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "writer": self.head.writer,
            "seq": self.head.seq,
            "head": self.head.hash.hex(),
            "signature": self.signature.hex(),
        }

    def in_ledger(self) -> dict[str, Any]:
        """The same as the coordinator's entries hold it, where writers are sites."""
        fields = self.to_json()
        return {"site": fields.pop("writer"), **fields}

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(self.to_json())

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read `to_json`; the signature is not yet checked.

        Raises:
            LedgerError: ``ledger/head``: anything else.
        """
        if fields_fault(_HEAD, {}, value) is not None or not isinstance(value, Mapping):
            raise LedgerError("ledger/head", "not a signed head")
        return cls(
            head=Head(writer=value["writer"], seq=value["seq"], hash=bytes.fromhex(value["head"])),
            signature=bytes.fromhex(value["signature"]),
        )

    @classmethod
    def from_ledger(cls, item: Mapping[str, Any]) -> Self:
        """Read one of the ``heads`` of a verified entry, whose form was checked with the line's."""
        head = Head(writer=item["site"], seq=item["seq"], hash=bytes.fromhex(item["head"]))
        return cls(head=head, signature=bytes.fromhex(item["signature"]))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read canonical JSON.

        Raises:
            LedgerError: ``ledger/head``: not such bytes.
        """
        return cls.from_json(_value(data, "ledger/head"))


def heads_to_bytes(heads: Iterable[SignedHead]) -> bytes:
    """A list of heads as canonical JSON."""
    return canonical_json([head.to_json() for head in heads])


def heads_from_bytes(data: bytes) -> tuple[SignedHead, ...]:
    """Read `heads_to_bytes`; the signatures are not yet checked.

    Raises:
        LedgerError: ``ledger/head``: not such bytes.
    """
    value = _value(data, "ledger/head")
    if not isinstance(value, list):
        raise LedgerError("ledger/head", "not a list of signed heads")
    return tuple(SignedHead.from_json(item) for item in value)


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a receipt is about.

    Attributes:
        run: The run id, hex.
        round: The round, or None at the end of a run.
        attempt: The attempt, or None at the end of a run.
    """

    run: str
    round: int | None = None
    attempt: int | None = None


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The coordinator's countersignature under the heads of the survivors of an attempt.

    At the end of a run it anchors the last heads of all sites that were there.

    Attributes:
        federation: The federation's id.
        place: Run, round and attempt.
        heads: The sites' signed heads, ascending by site.
        coordinator: Its own signed head, just after the entry that holds `heads`.
        signature: The coordinator's, 64 bytes.
    """

    federation: str
    place: Place
    heads: tuple[SignedHead, ...]
    coordinator: SignedHead
    signature: bytes

    @classmethod
    def issue(
        cls,
        federation: str,
        place: Place,
        heads: Iterable[SignedHead],
        chain: Chain,
        identity: SigningIdentity,
    ) -> Self:
        """Countersign; the same arguments give the same bytes.

        Args:
            federation: The federation's id.
            place: Run, round and attempt.
            heads: The sites' signed heads.
            chain: Where the coordinator's ledger stands after the entry with these heads.
            identity: The coordinator's key.
        """
        unsigned = cls(
            federation=federation,
            place=place,
            heads=tuple(sorted(heads, key=lambda head: head.head.writer)),
            coordinator=SignedHead.sign(federation, chain, identity),
            signature=b"",
        )
        signature = identity.sign(RECEIPT_DOMAIN, canonical_json(unsigned._fields()))
        return cls(
            federation=federation,
            place=place,
            heads=unsigned.heads,
            coordinator=unsigned.coordinator,
            signature=signature,
        )

    @property
    def sites(self) -> tuple[str, ...]:
        """Whose heads it holds."""
        return tuple(head.head.writer for head in self.heads)

    def check(self, *, federation: str, keys: Mapping[str, bytes], coordinator_key: bytes) -> None:
        """Check every signature in it.

        Args:
            federation: The federation's id.
            keys: Public key by site, from a roster that is trusted.
            coordinator_key: The coordinator's.

        Raises:
            LedgerError: ``ledger/receipt``: not this federation's, or not the coordinator's;
                ``ledger/head``: a head that its writer has not signed.
        """
        signed = canonical_json(self._fields())
        if self.federation != federation or not is_signed(
            coordinator_key, self.signature, RECEIPT_DOMAIN, signed
        ):
            raise LedgerError("ledger/receipt", "the receipt is not the coordinator's")
        own = self.coordinator
        if own.head.writer != COORDINATOR or not own.is_signed_by(coordinator_key, federation):
            raise LedgerError("ledger/receipt", "the coordinator's own head is not signed by it")
        for head in self.heads:
            key = keys.get(head.head.writer)
            if key is None or not head.is_signed_by(key, federation):
                raise LedgerError("ledger/head", f"not a head that {head.head.writer} has signed")

    def to_bytes(self) -> bytes:
        """Canonical JSON, one line."""
        return canonical_json(self._fields() | {"signature": self.signature.hex()})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read `to_bytes`; no signature is checked yet.

        Raises:
            LedgerError: ``ledger/receipt``: not such bytes.
        """
        value = _value(data.removesuffix(b"\n"), "ledger/receipt")
        if fields_fault(_RECEIPT, {}, value) is not None or type(value["version"]) is not int:
            raise LedgerError("ledger/receipt", "not a receipt of this version")
        if (value["round"] is None) != (value["attempt"] is None):
            raise LedgerError("ledger/receipt", "a receipt has both a round and an attempt or none")
        receipt = cls(
            federation=value["federation"],
            place=Place(run=value["run"], round=value["round"], attempt=value["attempt"]),
            heads=tuple(SignedHead.from_json(item) for item in value["heads"]),
            coordinator=SignedHead.from_json(value["coordinator"]),
            signature=bytes.fromhex(value["signature"]),
        )
        if list(receipt.sites) != sorted(set(receipt.sites)):
            raise LedgerError("ledger/receipt", "a receipt's heads ascend, each site once")
        return receipt

    def _fields(self) -> dict[str, Any]:
        return {
            "version": _VERSION,
            "federation": self.federation,
            "run": self.place.run,
            "round": self.place.round,
            "attempt": self.place.attempt,
            "heads": [head.to_json() for head in self.heads],
            "coordinator": self.coordinator.to_json(),
        }


def _statement(federation: str, head: Head) -> tuple[str, *tuple[bytes, ...]]:
    fields = (federation.encode(), head.writer.encode(), head.seq.to_bytes(8, "big"), head.hash)
    return (HEAD_DOMAIN, *fields)


def _value(data: bytes, code: str) -> Any:  # noqa: ANN401 - any JSON value
    if len(data) > _MAX_BYTES:
        raise LedgerError(code, f"{len(data)} bytes; allowed: {_MAX_BYTES}")
    try:
        return canonical_value(data)
    except ValueError as error:
        raise LedgerError(code, "not canonical JSON") from error


def _is_count_or_null(value: object) -> bool:
    return value is None or COUNT.holds(value)


def _type(holds: Callable[[object], bool]) -> FieldType:
    return FieldType(name="", means="", holds=holds)


_PLACE = _type(_is_count_or_null)
_RECEIPT = {
    "version": _type(lambda value: value == _VERSION),
    "federation": SITE,  # federations are named as sites are
    "run": RUN,
    "round": _PLACE,
    "attempt": _PLACE,
    "heads": _type(lambda value: isinstance(value, list)),
    "coordinator": _type(lambda value: isinstance(value, dict)),
    "signature": SIGNATURE,
}
