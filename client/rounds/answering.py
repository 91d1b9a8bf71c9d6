"""How a site answers: policy first, then one durable transaction a step, then the reply.

| exchange | before anything leaves |
|---|---|
| join | its own head as others hold it; the plan's signature, roster, mechanism, cost; the policy |
| advertise | its own head again; the context is claimed for good and the cost reserved |
| shares | the round's mechanism and state are bound into ``full`` |
| masked | clamp, noise share and masks are put on the sum; the attempt counts as spent |
| sign | the one set of survivors is signed |
| reveal | certificate and receipt are checked and kept; one share of every secret is revealed |
| finish | the run's secrets and replies are erased |
| anchor | the receipt with the run's last heads is kept |
"""

import hashlib

from recommons.client.operating.pausing import check_not_paused
from recommons.client.records.halting import check_not_halted_in
from recommons.client.records.heads import check_own_head, check_shown_heads
from recommons.client.rounds.attempt import Attempt
from recommons.client.rounds.endings import anchor, finish
from recommons.client.rounds.joining import join
from recommons.client.rounds.steps import STEPS
from recommons.client.site import Site
from recommons.common.errors import ProtocolAbort, Refusal
from recommons.common.heads import SignedHead
from recommons.common.plan import Plan
from recommons.common.wire import Envelope, unpack

__all__ = ["answer"]

_RULES = ("policy/", "plan/", "site/budget")
"""Refusals by the site's own rules; they stand in the ledger."""


def answer(site: Site, envelope: Envelope, body: bytes) -> bytes:
    """The reply to one request; whatever it depends on is durable when this returns.

    Raises:
        Refusal: The site declines; nothing has left.
        ProtocolAbort: The attempt is over at this site.
        InvalidInput: The request is not readable.
    """
    with site.store.transaction() as transaction:
        check_not_halted_in(site, transaction)
        check_not_paused(site, transaction, envelope.exchange)
        run = site.store.run(transaction, envelope.run_id)
    if envelope.exchange == "join":
        announcement, shown = unpack(body, 2)
        check_shown_heads(site, shown)
        return join(site, envelope.run_id, announcement)
    if run is None:
        raise Refusal("site/not-joined", "this site has not joined the run")
    try:
        if envelope.exchange == "finish":
            return finish(site, envelope.run_id, body)
        if envelope.exchange == "anchor":
            return anchor(site, envelope.run_id, body)
        if run.ended:
            raise Refusal("site/run-ended", "the coordinator has ended this run")
        if envelope.exchange == "advertise" and body:
            check_own_head(site, SignedHead.from_bytes(body))
        return _answer_step(Attempt(site, envelope, Plan.from_bytes(run.plan)), body)
    finally:
        site.publish_ledger()


def _answer_step(attempt: Attempt, body: bytes) -> bytes:
    """Reply as before to a request answered before; otherwise take the step."""
    try:
        known = _earlier_reply(attempt, body)
    except ProtocolAbort as abort:
        attempt.give_up(abort)
        raise
    if known is not None:
        return known
    try:
        attempt.check_roster()
        return STEPS[attempt.envelope.exchange](attempt, body)
    except ProtocolAbort as abort:
        # The same request, a moment earlier, may have been answered since: no reason to give up.
        known = _earlier_reply(attempt, body) if abort.code == "secagg/repeated" else None
        if known is not None:
            return known
        attempt.give_up(abort)
        raise
    except Refusal as refusal:
        if refusal.code.startswith(_RULES):
            attempt.refuse(refusal)
        raise


def _earlier_reply(attempt: Attempt, body: bytes) -> bytes | None:
    """The reply to this very request, None where the step was not taken yet.

    Raises:
        ProtocolAbort: The attempt is over.
        Refusal: The step was taken at another request, or nothing may leave.
    """
    store, ctx, step = attempt.site.store, attempt.context.hash, attempt.envelope.exchange
    with store.transaction() as transaction:
        attempt.check_alive(transaction)
        known = store.reply(transaction, ctx, step)
        if known is None:
            return None
        if known[0] != hashlib.sha256(body).digest():
            raise Refusal("site/repeated-step", f"{step} was answered to another request")
        attempt.touch(transaction)
    return known[1]
