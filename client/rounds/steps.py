"""The five steps of an attempt at a site, each of which is durable before its reply leaves."""

import os
import secrets
from collections.abc import Callable, Mapping
from types import MappingProxyType

from recommons.client.records.heads import keep_receipt, read_receipt
from recommons.client.rounds.attempt import Attempt
from recommons.client.rounds.contribution import charged, noised
from recommons.common.certificates import certificate_hash
from recommons.common.errors import InvalidInput, LedgerError, ProtocolAbort, Refusal
from recommons.common.hashing import canonical_json
from recommons.common.heads import Place, Receipt, SignedHead
from recommons.common.models.state import arrays_from_bytes, arrays_to_bytes, check_state
from recommons.common.secagg.agreement import state_hash
from recommons.common.secagg.ring import VectorShape
from recommons.common.secagg.site import SiteRound
from recommons.common.wire import unpack

__all__ = ["STEPS"]


def _advertise(attempt: Attempt, body: bytes) -> bytes:
    site, store, envelope = attempt.site, attempt.site.store, attempt.envelope
    verified = attempt.check_policy()
    own_round, reply = SiteRound.begin(
        context=attempt.context,
        parameters=attempt.plan.parameters(),
        shape=VectorShape(size=attempt.spec.size, bits=attempt.spec.ring_bits),
        roster=site.federation.roster,
        identity=site.identity,
        entropy=secrets.token_bytes(32),
        verified=verified,
    )
    with store.transaction() as transaction:
        attempt.close_earlier(transaction)
        attempt.check_budget(transaction)
        store.use_context(
            transaction,
            context=attempt.context.hash,
            run_id=envelope.run_id,
            round=envelope.round,
            attempt=envelope.attempt,
            now=site.now(transaction),
        )
        if attempt.spec.sampling is not None:
            # With the context: whatever is computed again draws the same users.
            store.set_draw_key(transaction, attempt.context.hash, secrets.token_bytes(32))
        attempt.record(
            transaction, "reserved", plan=attempt.plan.hash().hex(), events=attempt.events()
        )
        attempt.commit(transaction, own_round, body, reply)
    return reply


def _shares(attempt: Attempt, body: bytes) -> bytes:
    own_round = attempt.restore()
    shapes = attempt.model().state_shapes(attempt.envelope.round)
    state = own_round.receive_keys(
        body,
        expected_spec=canonical_json(attempt.spec.to_json()),
        # A round that starts from nothing has its state pinned by the plan, to the byte.
        expected_state_hash=None if shapes else state_hash(arrays_to_bytes({})),
    )
    try:
        # Refused before anything is dealt: a state of another shape could move a user's
        # integers beyond their bound, or fail only where certain items were touched.
        check_state(arrays_from_bytes(state), shapes)
    except InvalidInput as error:
        raise ProtocolAbort(error.code, error.message) from error
    reply = own_round.share()
    with attempt.site.store.transaction() as transaction:
        attempt.site.store.set_public_state(transaction, attempt.context.hash, state)
        attempt.commit(transaction, own_round, body, reply)
    return reply


def _masked(attempt: Attempt, body: bytes) -> bytes:
    reply = None
    while reply is None:
        own_round = attempt.restore()
        if own_round.verified != attempt.check_policy():
            raise Refusal(
                "policy/verified-peers",
                "the rule on verified peers has changed since the attempt began",
            )
        own_round.receive_inbox(body)
        vector, taking = noised(attempt)
        masked = own_round.mask(vector, workers=os.cpu_count() or 1)
        reply = charged(attempt, own_round, body, masked, taking)
    return reply


def _sign(attempt: Attempt, body: bytes) -> bytes:
    own_round = attempt.restore()
    reply = own_round.receive_survivors(body)
    with attempt.site.store.transaction() as transaction:
        attempt.commit(transaction, own_round, body, reply)
    return reply


def _reveal(attempt: Attempt, body: bytes) -> bytes:
    message, countersigned = unpack(body, 2)
    own_round = attempt.restore()
    masked = own_round.vector_hash
    reply = own_round.receive_certificate(message)
    receipt = _receipt(attempt, countersigned, own_round.survivors or ())
    with attempt.site.store.transaction() as transaction:
        attempt.record(
            transaction,
            "released",
            masked=masked.hex() if masked else "",
            certificate=certificate_hash(message).hex(),
            survivors=list(own_round.survivors or ()),
            events=attempt.events(),
        )
        try:
            keep_receipt(attempt.site, transaction, receipt)
        except LedgerError as error:
            raise ProtocolAbort(error.code, error.message) from error
        attempt.commit(transaction, own_round, body, reply)
        # The round's secrets are gone from its state; the state itself is not needed either.
        attempt.site.store.set_state(transaction, attempt.context.hash, None)
    return reply


def _receipt(attempt: Attempt, data: bytes, survivors: tuple[str, ...]) -> Receipt:
    """The receipt of this attempt: the survivors' heads, among them the one this site sent.

    Raises:
        ProtocolAbort: It is not; without a receipt nobody could show that lines were lost.
        Refusal: ``site/old-backup``.
    """
    place = Place(
        run=attempt.envelope.run_id.hex(),
        round=attempt.envelope.round,
        attempt=attempt.envelope.attempt,
    )
    try:
        receipt = read_receipt(attempt.site, data, place)
    except LedgerError as error:
        raise ProtocolAbort(error.code, error.message) from error
    with attempt.site.store.transaction() as transaction:
        sent = attempt.site.store.reply(transaction, attempt.context.hash, "masked")
    own = SignedHead.from_bytes(unpack(sent[1], 2)[1]) if sent else None
    if receipt.sites != survivors or own not in receipt.heads:
        raise ProtocolAbort(
            "ledger/receipt", "the receipt does not hold exactly the survivors' heads"
        )
    return receipt


STEPS: Mapping[str, Callable[[Attempt, bytes], bytes]] = MappingProxyType(
    {
        "advertise": _advertise,
        "shares": _shares,
        "masked": _masked,
        "sign": _sign,
        "reveal": _reveal,
    }
)
"""Each step by its exchange: from the request's body to the reply's, which is durable."""
