"""A site that stays away for a while: a durable flag that its operator sets and clears.

A paused site joins no run, begins no attempt and forms no vector. What its vector already went into
it still finishes: it signs the survivors and reveals its shares, or the others would lose their
round for nothing. The agent stays connected, so the refusal has a name.
"""

import json
import time
from dataclasses import asdict, dataclass

from sqlalchemy import Connection

from recommons.client.records.store import SiteStore
from recommons.client.site import Site
from recommons.common.checks import require
from recommons.common.errors import Refusal

__all__ = ["Pause", "check_not_paused", "pause", "paused", "resume"]

_FACT = "paused"
_LONGEST_REASON = 500
_FINISHES = frozenset({"sign", "reveal", "finish", "anchor"})


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Since when, and what for.

    Attributes:
        since: RFC 3339.
        reason: The operator's own words, shown to the operator alone.
    """

    since: str
    reason: str = ""


def pause(site: Site, reason: str = "") -> Pause:
    """Stay away from now on; a pause that holds already stays as it is.

    Raises:
        InvalidInput: ``input/argument``: a reason that is too long to be shown.
    """
    length = f"{len(reason)} characters"
    require(len(reason) <= _LONGEST_REASON, "reason", length, f"at most {_LONGEST_REASON}")
    with site.store.transaction() as transaction:
        known = paused(site.store, transaction)
        if known is not None:
            return known
        now = time.gmtime(site.now(transaction))
        new = Pause(since=time.strftime("%Y-%m-%dT%H:%M:%SZ", now), reason=reason)
        site.store.set_fact(transaction, _FACT, json.dumps(asdict(new)).encode())
        return new


def resume(site: Site) -> Pause | None:
    """Take part again; returns the pause that ended, None where there was none."""
    with site.store.transaction() as transaction:
        known = paused(site.store, transaction)
        site.store.set_fact(transaction, _FACT, None)
        return known


def paused(store: SiteStore, connection: Connection) -> Pause | None:
    """The pause in force."""
    found = store.fact(connection, _FACT)
    return None if found is None else Pause(**json.loads(found))


def check_not_paused(site: Site, transaction: Connection, exchange: str) -> None:
    """Refuse what would begin something new.

    Args:
        site: The site.
        transaction: In which the rest of the request is admitted.
        exchange: What is asked for.

    Raises:
        Refusal: ``site/paused``; the operator's reason is not in it.
    """
    if exchange in _FINISHES:
        return
    if paused(site.store, transaction) is not None:
        raise Refusal("site/paused", "this site's operator has paused it")
