"""A site and the heads of ledgers: its own, which others show it, and others', which it keeps.

A site that was restored from an old backup has forgotten contexts it used and budget it spent. It
finds out when it is shown a head that it signed itself and that its ledger lacks. It then halts,
durably and before anything is sent, until its operator has dealt with it (`halting`).
"""

from sqlalchemy import Connection

from recommons.client.records.books import (
    LEDGER,
    RECEIPTS,
    distrust,
    distrusted,
    forget_heads,
    held_heads,
    hold_heads,
)
from recommons.client.records.halting import (
    forget_earlier_ledger,
    halt,
    is_given_up,
    note_earlier_ledger,
)
from recommons.client.records.rosters import Pinned, own_keys, pinned_as
from recommons.client.site import Site
from recommons.common.errors import LedgerError, Refusal
from recommons.common.heads import Place, Receipt, SignedHead, heads_from_bytes
from recommons.common.privacy.ledger import Head
from recommons.common.privacy.ledger_line import line_hash

__all__ = [
    "check_own_head",
    "check_shown_heads",
    "forget_held",
    "keep_receipt",
    "own_head",
    "read_receipt",
]


def own_head(site: Site, connection: Connection) -> SignedHead:
    """Where this site's ledger stands, signed."""
    federation = site.federation.roster.federation
    return SignedHead.sign(federation, site.chain(connection), site.identity)


def check_shown_heads(site: Site, shown: bytes) -> None:
    """Find this site's own head among those the coordinator holds, and check it.

    Args:
        site: The site.
        shown: `heads_to_bytes` of the cohort's heads; those of others say nothing here.

    Raises:
        LedgerError: ``ledger/head``: not a list of heads.
        Refusal: ``site/old-backup`` or ``site/earlier-ledger``.
    """
    for head in heads_from_bytes(shown):
        if head.head.writer == site.id:
            check_own_head(site, head)


def check_own_head(site: Site, shown: SignedHead) -> None:
    """Halt if this site once signed a head that its ledger does not have, under whatever key.

    A head that no key of this folder signed is of a ledger that a site of this name had before, or
    of none. Nothing is sent either way; but only its operator can tell, so it does not halt.

    Raises:
        LedgerError: ``ledger/head``: not a head of a site of this name.
        Refusal: ``site/old-backup``: the site has halted; ``site/earlier-ledger``.
    """
    head, federation = shown.head, site.federation.roster.federation
    if head.writer != site.id:
        raise LedgerError("ledger/head", "the head shown is not one of this site's")
    with site.store.transaction() as transaction:
        line = LEDGER.line(transaction, head.seq)
        known = line is not None and line_hash(line.line) == head.hash
        if known:
            forget_earlier_ledger(site, transaction)
        if known or is_given_up(site, transaction, head):
            return
        own = any(shown.is_signed_by(key, federation) for key in own_keys(site, transaction))
        if own:
            halt(site, transaction, head)
        else:
            note_earlier_ledger(site, transaction, head)
    site.publish_ledger()
    if not own:
        raise Refusal(
            "site/earlier-ledger",
            f"others hold line {head.seq + 1} of a ledger of {site.id}, under a key that this "
            "folder never had",
        )
    raise Refusal(
        "site/old-backup", f"others hold line {head.seq + 1} of this site's ledger; it is not here"
    )


def read_receipt(site: Site, data: bytes, place: Place, roster_hash: str = "") -> Receipt:
    """A receipt that the coordinator issued for this place, every head in it signed.

    Args:
        site: The site.
        data: The receipt's bytes.
        place: Which attempt or run it must be for.
        roster_hash: Of the roster under which that was, in hex, where the site may have pinned
            another since; by default the present one.

    Raises:
        LedgerError: ``ledger/receipt`` or ``ledger/head``; ``ledger/rollback``: a writer's head is
            not later than one it signed before, now or ever since (`forget_held`): a ledger that
            went back grows again, beyond the line that is held, and is another all the same.
        Refusal: ``site/old-backup``: this site's own head in it is not in its ledger.
    """
    receipt = Receipt.from_bytes(data)
    if roster_hash:
        with site.store.transaction() as transaction:
            pinned = pinned_as(site, transaction, roster_hash)
    else:
        pinned = Pinned.now(site)
    receipt.check(
        federation=pinned.roster.federation,
        keys=pinned.roster.keys,
        coordinator_key=pinned.coordinator_key,
    )
    if receipt.place != place:
        raise LedgerError("ledger/receipt", "the receipt is for another attempt")
    for head in receipt.heads:
        if head.head.writer == site.id:
            check_own_head(site, head)
    with site.store.transaction() as transaction:
        gone_back = _gone_back(transaction, receipt)
        # The receipt at a run's end may come late, when later ones are there already.
        if gone_back is not None and place.round is not None:
            distrust(transaction, gone_back[0].writer)
    if gone_back is not None:
        raise _rollback(*gone_back)
    return receipt


def keep_receipt(site: Site, transaction: Connection, receipt: Receipt) -> None:
    """Keep a receipt that was read, and remember the heads in it.

    Raises:
        LedgerError: ``ledger/rollback``: a later head came in another receipt since it was read.
    """
    last, line = RECEIPTS.last(transaction), receipt.to_bytes()
    if last is not None and last.line == line:
        return
    _check_held(transaction, receipt)
    RECEIPTS.append(transaction, line)
    hold_heads(transaction, [signed.head for signed in (receipt.coordinator, *receipt.heads)])


def forget_held(site: Site, writer: str) -> Head | None:
    """Take an earlier head of a writer again: its operator has said why, to this site's operator.

    Returns:
        The head that was held, None where there was none.
    """
    with site.store.transaction() as transaction:
        held = forget_heads(transaction, writer)
        if held is not None:
            body = {"writer": held.writer, "seq": held.seq, "head": held.hash.hex()}
            site.record(transaction, "head-forgotten", body)
    site.publish_ledger()
    return held


def _check_held(transaction: Connection, receipt: Receipt) -> None:
    gone_back = _gone_back(transaction, receipt)
    if gone_back is not None:
        raise _rollback(*gone_back)


def _gone_back(transaction: Connection, receipt: Receipt) -> tuple[Head, Head] | None:
    """The head shown and the one held, of a writer that went back now or before."""
    held, before = held_heads(transaction), distrusted(transaction)
    for signed in (receipt.coordinator, *receipt.heads):
        new, old = signed.head, held.get(signed.head.writer)
        if old is not None and (new.writer in before or (new != old and new.seq <= old.seq)):
            return new, old
    return None


def _rollback(new: Head, old: Head) -> LedgerError:
    return LedgerError(
        "ledger/rollback",
        f"{new.writer} showed an earlier line of its ledger as the last than line {old.seq + 1}, "
        f"which it has signed before; now it shows line {new.seq + 1}",
    )
