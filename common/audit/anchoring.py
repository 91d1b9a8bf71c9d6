"""Ledgers against what others hold of them: is a ledger whole, and the only one of its writer?

A chain alone cannot show that its last lines are missing or that its writer keeps another. A head
that somebody else holds can, for the lines up to it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from recommons.common.audit.findings import Findings
from recommons.common.audit.histories import CoordinatorHistory, SiteHistory
from recommons.common.audit.receipts import Anchor, ReceiptFile, held_in
from recommons.common.audit.records import Record
from recommons.common.heads import COORDINATOR, Place, Receipt

__all__ = ["LedgerOf", "check_anchors", "check_places", "check_receipts"]

LedgerOf = tuple[str, bytes]
"""A writer and the key under which its ledger began. It goes on under a key that follows by the
earlier one's word; whoever is enrolled anew without that word has another ledger."""


def check_anchors(
    records: Sequence[Record],
    anchors: Iterable[Anchor],
    lost: Mapping[LedgerOf, Iterable[tuple[int, str]]],
    findings: Findings,
) -> None:
    """Compare each ledger with every head of it that any file holds.

    Args:
        records: The ledgers.
        anchors: The heads, those whose signatures hold.
        lost: Number and hash of lines that a ledger says it lost.
        findings: Taken up.
    """
    by_ledger: defaultdict[LedgerOf, list[Anchor]] = defaultdict(list)
    for anchor in anchors:
        by_ledger[anchor.writer, anchor.key].append(anchor)
    for record in records:
        held = by_ledger.pop((record.writer, record.key), [])
        listed = sorted(held, key=lambda anchor: (anchor.seq, anchor.holdings))
        said = {
            (seq, bytes.fromhex(head)) for seq, head in lost.get((record.writer, record.key), ())
        }
        # An excuse counts where somebody does hold the line that is said to be lost.
        excused = max((a.seq for a in listed if (a.seq, a.hash) in said), default=-1)
        against = [anchor for anchor in listed if not _holds(record, anchor)]
        _add_contradictions(record, against, excused, findings)
        _check_last_line(record, listed, findings)
    writers = {record.writer for record in records}
    for writer in sorted({writer for writer, _ in by_ledger} & writers):
        findings.add(
            "audit/missing-ledger",
            f"others hold lines of {writer} that it signed with a key to which no statement leads "
            "from the first of the ledger given: there is another ledger",
        )


def _holds(record: Record, anchor: Anchor) -> bool:
    if anchor.seq >= len(record.entries):
        return record.broken  # what a broken ledger held there cannot be told
    return record.entries[anchor.seq].hash == anchor.hash


def _add_contradictions(
    record: Record, against: Sequence[Anchor], lost: int, findings: Findings
) -> None:
    """One finding of each kind: the first line that is another, the last that is missing."""
    known = [anchor for anchor in against if anchor.seq <= lost]
    other = [a for a in against if lost < a.seq < len(record.entries)]
    beyond = [a for a in against if a.seq > lost and a.seq >= len(record.entries)]
    if known:
        findings.add(
            "audit/old-backup",
            f"{_where(known[-1])}; it is among those that the site says it lost",
            ledger=record.name,
        )
    if other:
        findings.add(
            "ledger/fork",
            f"it is not the line that others hold: {_where(other[0])}, which is another",
            ledger=record.name,
            line=other[0].seq + 1,
        )
    if beyond:
        findings.add(
            "ledger/truncated",
            f"it ends before a line that others hold: {_where(beyond[-1])}",
            ledger=record.name,
            line=len(record.entries),
        )


def _where(anchor: Anchor) -> str:
    first = anchor.holdings[0]
    return f"{first.file}, line {first.line}, holds its line {anchor.seq + 1}"


def _check_last_line(record: Record, held: Sequence[Anchor], findings: Findings) -> None:
    """The last line counts as there to stay only where another party holds it, or a later one."""
    if record.broken or not record.entries:
        return
    last = len(record.entries) - 1
    own = (None, record.writer)
    others = [a for a in held if any(holding.owner not in own for holding in a.holdings)]
    if any(anchor.seq >= last for anchor in others):
        return
    known = max((anchor.seq for anchor in others), default=-1)
    findings.add(
        "audit/unanchored",
        f"no other party's record given here covers line {last + 1}, the last; "
        + (f"they cover it up to line {known + 1}" if known >= 0 else "they cover none")
        + ", so that lines missing at its end would not show",
        ledger=record.name,
        line=last + 1,
    )


def check_places(
    coordinator: CoordinatorHistory, sites: Iterable[SiteHistory], findings: Findings
) -> None:
    """A site's head that came with a vector must be the line that says the vector was masked."""
    record = coordinator.record
    lines = {
        (site.site, entry.hash.hex()): entry for site in sites for entry in site.record.entries
    }
    for entry in record.entries:
        if entry.kind != "heads":
            continue
        for item in entry.body["heads"]:
            line = lines.get((item["site"], item["head"]))
            if line is None:
                continue  # found already, or the ledger is not given
            if line.kind != "committed" or line.body["context"] != entry.body["context"]:
                findings.add(
                    "audit/head-place",
                    f"the head of {item['site']} is not the line on which it says that it masked "
                    "its vector of this attempt",
                    ledger=record.name,
                    line=entry.seq + 1,
                )


def check_receipts(
    files: Sequence[ReceiptFile],
    coordinators: Sequence[CoordinatorHistory],
    sites: Iterable[SiteHistory],
    findings: Findings,
) -> None:
    """Receipts against the entry they countersign, and against what their keeper revealed."""
    for read, places in held_in(files):
        if read.check.key is not None:
            for coordinator in coordinators:
                _check_countersigned(read.receipt, places, coordinator, findings)
    kept: defaultdict[str, set[Place]] = defaultdict(set)
    for file in files:
        for keeper in file.keepers:
            kept[keeper].update(receipt.place for _, receipt in file.receipts)
    for site in sites:
        for place, line in site.revealed.items():
            if place not in kept[site.site]:
                findings.add(
                    "audit/receipt-missing",
                    "no receipt beside the ledger is the one without which the site reveals "
                    "nothing",
                    ledger=site.record.name,
                    line=line,
                )


def _check_countersigned(
    receipt: Receipt,
    places: Iterable[tuple[str, int]],
    coordinator: CoordinatorHistory,
    findings: Findings,
) -> None:
    entries, head = coordinator.record.entries, receipt.coordinator.head
    if head.seq >= len(entries) or entries[head.seq].hash != head.hash:
        return  # found already
    entry = entries[head.seq]
    body = entry.body
    place = (body.get("run"), body.get("round"), body.get("attempt"))
    told = (receipt.place.run, receipt.place.round, receipt.place.attempt)
    heads = [signed.in_ledger() for signed in receipt.heads]
    if entry.kind in ("heads", "run-ended") and place == told and body.get("heads") == heads:
        return
    for name, line in places:
        findings.add(
            "audit/receipt",
            f"it is not the receipt of line {head.seq + 1} of {COORDINATOR}'s ledger",
            ledger=name,
            line=line,
        )
