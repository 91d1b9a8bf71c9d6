"""Halting a site that was restored from an old backup, and letting it go on.

A halt is a value in the site's own database: it goes away when the operator puts the newest folder
in the old one's place, which is the right remedy wherever that folder still exists. Only when it
is lost for good may the halt be cleared, and then

* under an epoch of the roster that was issued after the loss: contexts carry the roster's hash, so
  none that the site used and forgot can come again. The site knows that an epoch is too early where
  its folder held it when it halted, and cannot know it of one that only the lost lines had seen;
* with an unknown charge on every user: what the lost lines spent cannot be known, so nobody takes
  part under a finite budget until the policy's window has passed.

A site that joined anew, under a name that had another ledger before, is shown that ledger's head.
It does not halt, for it cannot tell whose head it is, and takes no part until its operator has
said that what was spent then is lost. Its users count as spent in the same way.
"""

import json
import math
import secrets

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection

from recommons.client.membership.epochs import latest_epoch
from recommons.client.records.closing import close_attempts
from recommons.client.records.store import SiteStore
from recommons.client.site import Site
from recommons.common.errors import ProtocolAbort, Refusal
from recommons.common.hashing import canonical_json
from recommons.common.privacy.ledger import Head
from recommons.common.privacy.spending import Cost, Spending

__all__ = [
    "check_not_halted_in",
    "clear_halt",
    "earlier_ledger",
    "forget_earlier_ledger",
    "halt",
    "is_given_up",
    "is_halted",
    "note_earlier_ledger",
]

_HALTED = "halted"
_EARLIER = "earlier-ledger"
_GIVEN_UP = "given-up"
_RUN_BYTES = 16
_UNKNOWN = Spending.of([Cost(mu_squared=math.inf, rho=math.inf)])


def check_not_halted_in(site: Site, transaction: Connection) -> None:
    """Refuse everything while the site is halted, in every step's transaction again.

    Raises:
        Refusal: ``site/halted``.
    """
    if is_halted(site.store, transaction):
        raise Refusal("site/halted", "this site has lost lines of its ledger and is halted")


def is_halted(store: SiteStore, connection: Connection) -> bool:
    """Whether the site is halted."""
    return store.fact(connection, _HALTED) is not None


def halt(site: Site, transaction: Connection, shown: Head) -> None:
    """Halt for good: the ledger says why, and every open attempt's secrets are erased.

    No epoch that is in the folder now, pinned or waiting, ends the halt.
    """
    epoch = latest_epoch(site)
    found = {"seq": shown.seq, "head": shown.hash.hex()}
    site.store.set_fact(transaction, _HALTED, canonical_json({**found, "epoch": epoch}))
    site.record(transaction, "old-backup", found)
    stopped = ProtocolAbort("site/old-backup", "the site's folder is older than its ledger")
    close_attempts(site, transaction, stopped)


def note_earlier_ledger(site: Site, transaction: Connection, shown: Head) -> None:
    """Remember a head that is of no ledger of this folder, for `clear_halt`."""
    noted = canonical_json({"seq": shown.seq, "head": shown.hash.hex()})
    if site.store.fact(transaction, _EARLIER) != noted:
        site.store.set_fact(transaction, _EARLIER, noted)


def earlier_ledger(store: SiteStore, connection: Connection) -> int | None:
    """Lines that others hold of a ledger of this site's name and of no key of this folder."""
    noted = store.fact(connection, _EARLIER)
    return None if noted is None else int(json.loads(noted)["seq"]) + 1


def forget_earlier_ledger(site: Site, transaction: Connection) -> None:
    """Take `note_earlier_ledger` back: others hold a line of this folder's own ledger again."""
    if site.store.fact(transaction, _EARLIER) is not None:
        site.store.set_fact(transaction, _EARLIER, None)


def clear_halt(site: Site) -> Head | None:
    """Go on without the lines that were lost; every user counts as spent from now on.

    Returns:
        The head that the site gives up, None where it was not halted and there was no ledger
        before this one.

    Raises:
        Refusal: ``site/halted``: the pinned roster is none that came after the halt.
    """
    keys = site.own_users().keys
    with site.store.transaction() as transaction:
        halted, earlier = (site.store.fact(transaction, name) for name in (_HALTED, _EARLIER))
        noted = earlier if halted is None else halted
        if noted is None:
            return None
        found = json.loads(noted)
        # Contexts of another ledger's key cannot come again; those of lost lines could.
        if halted is not None and site.federation.roster.epoch <= (known := found.pop("epoch")):
            raise Refusal(
                "site/halted",
                f"pin an epoch of the roster first that was issued after the loss; epoch {known} "
                "was here when the site halted",
            )
        given_up = _given_up(site, transaction)
        site.store.set_fact(transaction, _GIVEN_UP, canonical_json([*given_up, found]))
        site.store.set_fact(transaction, _EARLIER if halted is None else _HALTED, None)
        _charge_unknown(site, transaction, keys)
        kind = "earlier-ledger" if halted is None else "halt-cleared"
        site.record(transaction, kind, found)
    site.publish_ledger()
    return Head(writer=site.id, seq=found["seq"], hash=bytes.fromhex(found["head"]))


def is_given_up(site: Site, transaction: Connection, shown: Head) -> bool:
    """Whether the operator has given up the history that ended in this head."""
    return {"seq": shown.seq, "head": shown.hash.hex()} in _given_up(site, transaction)


def _charge_unknown(site: Site, transaction: Connection, keys: npt.NDArray[np.uint64]) -> None:
    """Charge every user the site has or ever charged with more than any cap holds."""
    budgets, run = site.store.budgets, secrets.token_bytes(_RUN_BYTES)
    budgets.add_charge(transaction, run_id=run, spending=_UNKNOWN, now=site.now(transaction))
    budgets.load(transaction, keys)
    fresh = {0: budgets.present(transaction).get(0, 0)}
    everyone = dict(budgets.sizes(transaction)) | fresh
    budgets.reserve(transaction, run, budgets.groups(transaction), everyone)
    budgets.close(transaction, run)


def _given_up(site: Site, transaction: Connection) -> list[dict[str, object]]:
    stored = site.store.fact(transaction, _GIVEN_UP)
    return [] if stored is None else list(json.loads(stored))
