"""A site and the heads of ledgers: its own, which others show it, and others', which it keeps.

A site that was restored from an old backup has forgotten contexts it used and budget it spent. It
finds out when it is shown a head that it signed itself and that its ledger lacks. It then halts,
durably and before anything is sent, until its operator has dealt with it (`halting`).
"""

from sqlalchemy import Connection

from recommons.client.records.books import LEDGER, RECEIPTS, forget_heads, held_heads, hold_heads
from recommons.client.records.halting import halt, is_given_up
from recommons.client.site import Site
from recommons.common.errors import LedgerError, Refusal
from recommons.common.heads import COORDINATOR, Place, Receipt, SignedHead, heads_from_bytes
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
        LedgerError: ``ledger/head``: not a list of heads, or not signed by this site.
        Refusal: ``site/old-backup``.
    """
    for head in heads_from_bytes(shown):
        if head.head.writer == site.id:
            check_own_head(site, head)


def check_own_head(site: Site, shown: SignedHead) -> None:
    """Halt if this site once signed a head that its ledger does not have.

    Raises:
        LedgerError: ``ledger/head``: not a head that this site signed.
        Refusal: ``site/old-backup``: the site has halted.
    """
    head, federation = shown.head, site.federation.roster.federation
    own = site.identity.public_key
    if head.writer != site.id or not shown.is_signed_by(own, federation):
        raise LedgerError("ledger/head", "the head shown is not one that this site signed")
    with site.store.transaction() as transaction:
        line = LEDGER.line(transaction, head.seq)
        known = line is not None and line_hash(line.line) == head.hash
        if known or is_given_up(site, transaction, head):
            return
        halt(site, transaction, head)
    site.publish_ledger()
    raise Refusal(
        "site/old-backup", f"others hold line {head.seq + 1} of this site's ledger; it is not here"
    )


def read_receipt(site: Site, data: bytes, place: Place) -> Receipt:
    """A receipt that the pinned coordinator issued for this place, every head in it signed.

    Raises:
        LedgerError: ``ledger/receipt`` or ``ledger/head``; ``ledger/rollback``: a writer's head is
            not later than one it signed before.
        Refusal: ``site/old-backup``: this site's own head in it is not in its ledger.
    """
    receipt, roster = Receipt.from_bytes(data), site.federation.roster
    receipt.check(
        federation=roster.federation,
        keys=roster.keys,
        coordinator_key=site.federation.coordinator_key,
    )
    if receipt.place != place:
        raise LedgerError("ledger/receipt", "the receipt is for another attempt")
    for head in receipt.heads:
        if head.head.writer == site.id:
            check_own_head(site, head)
    with site.store.transaction() as transaction:
        _check_held(site, transaction, receipt)
    return receipt


def keep_receipt(site: Site, transaction: Connection, receipt: Receipt) -> None:
    """Keep a receipt that was read, and remember the heads in it.

    Raises:
        LedgerError: ``ledger/rollback``: a later head came in another receipt since it was read.
    """
    last, line = RECEIPTS.last(transaction), receipt.to_bytes()
    if last is not None and last.line == line:
        return
    _check_held(site, transaction, receipt)
    RECEIPTS.append(transaction, line)
    heads = [signed.head for signed in (receipt.coordinator, *receipt.heads)]
    hold_heads(transaction, _keys(site), heads)


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


def _check_held(site: Site, transaction: Connection, receipt: Receipt) -> None:
    held = held_heads(transaction, _keys(site))
    for signed in (receipt.coordinator, *receipt.heads):
        new, old = signed.head, held.get(signed.head.writer)
        if old is not None and new != old and new.seq <= old.seq:
            raise LedgerError(
                "ledger/rollback",
                f"{new.writer} shows line {new.seq + 1} of its ledger as the last; it has signed "
                f"line {old.seq + 1} before",
            )


def _keys(site: Site) -> dict[str, bytes]:
    federation = site.federation
    return {**federation.roster.keys, COORDINATOR: federation.coordinator_key}
