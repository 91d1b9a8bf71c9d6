"""Receipts and signed heads: what parties hold of one another's ledgers."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from recommons.common.audit.findings import Findings
from recommons.common.audit.histories import SiteHistory
from recommons.common.audit.pending import Pending, PendingAt, Signed
from recommons.common.audit.records import LedgerText, Record
from recommons.common.audit.trust import Trust
from recommons.common.errors import LedgerError
from recommons.common.heads import COORDINATOR, HEAD_DOMAIN, RECEIPT_DOMAIN, Receipt, SignedHead
from recommons.common.privacy.ledger_line import unsigned_part

__all__ = [
    "Anchor",
    "HeldHead",
    "Holding",
    "ReadReceipt",
    "ReceiptFile",
    "heads_in_ledger",
    "heads_in_receipts",
    "held_in",
    "read_receipts",
    "settled",
]


class Holding(NamedTuple):
    """One place where something is held.

    Attributes:
        file: The file.
        line: Its line.
        owner: Who keeps that file, None where that cannot be told.
    """

    file: str
    line: int
    owner: str | None


class Anchor(NamedTuple):
    """A line of somebody's ledger, signed by it, as others' files hold it.

    Attributes:
        writer: Whose ledger.
        key: The key under which its ledger began: a site enrolled anew has another ledger under
            another key.
        seq: The line's number from 0.
        hash: Its hash.
        holdings: Where it is held, in order.
    """

    writer: str
    key: bytes
    seq: int
    hash: bytes
    holdings: tuple[Holding, ...]


class HeldHead(NamedTuple):
    """What becomes an `Anchor` if its signature holds."""

    signed: SignedHead
    holdings: tuple[Holding, ...]
    check: Signed


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadReceipt:
    """A receipt whose signatures wait to be checked.

    Attributes:
        receipt: The receipt.
        check: Of the coordinator's signature.
        heads: Of the coordinator's head and the sites', in this order.
    """

    receipt: Receipt
    check: Signed
    heads: tuple[Signed, ...]


@dataclass(frozen=True, kw_only=True)
class ReceiptFile:
    """A file of receipts; their signatures wait to be checked.

    Attributes:
        name: The file.
        beside: The ledger beside it, None where there is none.
        keepers: Writers of the ledgers beside it, where copies that were given count, too.
        read: Line and receipt.
    """

    name: str
    beside: Record | None
    keepers: frozenset[str]
    read: tuple[tuple[int, ReadReceipt], ...]

    @property
    def receipts(self) -> list[tuple[int, Receipt]]:
        """Line and receipt, of those the coordinator signed; once signatures are settled."""
        return [(line, read.receipt) for line, read in self.read if read.check.key is not None]


def read_receipts(
    texts: Iterable[LedgerText],
    records: Sequence[Record],
    trust: Trust,
    pending: Pending,
    findings: Findings,
) -> list[ReceiptFile]:
    """Read files of receipts; one that several files hold is checked once.

    Args:
        texts: The files.
        records: The ledgers given, which tell whose receipts lie beside them.
        trust: Whose keys count.
        pending: Takes the signatures.
        findings: Taken up.
    """
    owners = {record.text.source.companion: record for record in records}
    beside: defaultdict[str, set[str]] = defaultdict(set)
    for record in records:
        for companion in record.companions:
            beside[companion].add(record.writer)
    reader = _Reader(trust=trust, pending=pending, findings=findings, seen={})
    files = []
    for text in texts:
        if not trust.keys_of(COORDINATOR):
            findings.add(
                "audit/no-key",
                "nothing given says which key is the coordinator's, who signs receipts",
                ledger=text.name,
            )
            continue
        files.append(
            ReceiptFile(
                name=text.name,
                beside=owners.get(text.source.companion),
                keepers=frozenset(beside[text.source.companion]),
                read=tuple(reader.read(text)),
            )
        )
    return files


@dataclass(frozen=True, kw_only=True)
class _Reader:
    trust: Trust
    pending: Pending
    findings: Findings
    seen: dict[bytes, ReadReceipt | None]

    def read(self, text: LedgerText) -> Iterator[tuple[int, ReadReceipt]]:
        for number, line in enumerate(text.lines, start=1):
            if line not in self.seen:
                self.seen[line] = self._receipt(line, text.name, number)
            receipt = self.seen[line]
            if receipt is not None:
                yield number, receipt
        if text.torn:
            self._find("the last line does not end in a newline", text.name, len(text.lines) + 1)

    def _find(self, message: str, name: str, number: int) -> None:
        self.findings.add("audit/receipt", message, ledger=name, line=number)

    def _receipt(self, line: bytes, name: str, number: int) -> ReadReceipt | None:
        try:
            receipt = Receipt.from_bytes(line)
        except LedgerError as error:
            self._find(error.message, name, number)
            return None
        federation = self.trust.federation
        if receipt.federation != federation or receipt.coordinator.head.writer != COORDINATOR:
            self._find("it is of another federation, or lacks the coordinator's head", name, number)
            return None
        check = self.pending.at(name, number)
        own = check(
            self.trust.keys_of(COORDINATOR),
            receipt.signature,
            (RECEIPT_DOMAIN, unsigned_part(line)),
            code="audit/receipt",
            message="the receipt is not signed by the coordinator",
        )
        signed = (receipt.coordinator, *receipt.heads)
        heads = tuple(_check_head(head, self.trust, check) for head in signed)
        return ReadReceipt(receipt=receipt, check=own, heads=heads)


def _check_head(signed: SignedHead, trust: Trust, check: PendingAt) -> Signed:
    """Have the signature of a head checked."""
    head = signed.head
    return check(
        trust.keys_of(head.writer),
        signed.signature,
        (
            HEAD_DOMAIN,
            (trust.federation or "").encode(),
            head.writer.encode(),
            head.seq.to_bytes(8, "big"),
            head.hash,
        ),
        code="audit/head-signature",
        message=f"the head of {head.writer} is not signed by it",
    )


def heads_in_ledger(record: Record, trust: Trust, pending: Pending) -> Iterator[HeldHead]:
    """The sites' heads in a coordinator's entries."""
    for entry in record.entries:
        heads: Sequence[Mapping[str, Any]] = (
            entry.body.get("heads", ()) if entry.kind in ("heads", "run-ended") else ()
        )
        for item in heads:
            signed = SignedHead.from_ledger(item)
            check = _check_head(signed, trust, pending.at(record.name, entry.seq + 1))
            holding = Holding(record.name, entry.seq + 1, record.writer)
            yield HeldHead(signed, (holding,), check)


def heads_in_receipts(
    files: Sequence[ReceiptFile], sites: Iterable[SiteHistory]
) -> Iterator[HeldHead]:
    """The heads in receipts: the sites', and the coordinator's own; once signatures are settled.

    Args:
        files: The files.
        sites: What the ledgers beside them tell.
    """
    owners = {file.name: _owner(file, list(sites)) for file in files}
    for read, places in held_in(files):
        holdings = tuple(Holding(name, line, owners[name]) for name, line in places)
        signed = (read.receipt.coordinator, *read.receipt.heads)
        for head, check in zip(signed, read.heads, strict=True):
            yield HeldHead(head, holdings, check)


def held_in(
    files: Iterable[ReceiptFile],
) -> Iterator[tuple[ReadReceipt, tuple[tuple[str, int], ...]]]:
    """Each receipt once, with every file and line that holds it."""
    places: defaultdict[ReadReceipt, list[tuple[str, int]]] = defaultdict(list)
    for file in files:
        for line, read in file.read:
            places[read].append((file.name, line))
    for read, found in places.items():
        yield read, tuple(found)


def _owner(file: ReceiptFile, sites: Iterable[SiteHistory]) -> str | None:
    """Who keeps the file: the writer of the ledger beside it, if the file can be its.

    A receipt does not say who keeps it. A site could lay its own receipts beside a copy of
    another's ledger, so that they seem to vouch for it. So the file must hold what that ledger
    demands: a receipt for all it says was revealed.
    """
    if file.beside is None:
        return None
    kept = {receipt.place for _, receipt in file.receipts}
    for site in sites:
        if site.record is file.beside and not site.revealed.keys() <= kept:
            return None
    return file.beside.writer


def settled(held: Iterable[HeldHead], trust: Trust) -> list[Anchor]:
    """Those whose signatures hold; a head that its writer never signed says nothing about it."""
    found = []
    for signed, holdings, check in held:
        if check.key is not None:
            head = signed.head
            began = trust.ledger_key(head.writer, check.key)
            found.append(Anchor(head.writer, began, head.seq, head.hash, holdings))
    return found
