"""A site's part of a sum: who is in it, the exact sum, its share of noise, and its charge."""

import secrets

import numpy as np
import numpy.typing as npt

from recommons.client.budgets.charging import (
    Participants,
    commit_attempt,
    participants,
)
from recommons.client.records.heads import own_head
from recommons.client.rounds.attempt import Attempt
from recommons.common.errors import ProtocolAbort
from recommons.common.models.state import arrays_from_bytes
from recommons.common.privacy.accounting import spending_of
from recommons.common.privacy.noise import clamp_and_add_noise
from recommons.common.privacy.sampling import draw_users
from recommons.common.secagg.site import SiteRound
from recommons.common.wire import pack

__all__ = ["charged", "drawn", "noised"]


def noised(attempt: Attempt) -> tuple[npt.NDArray[np.int64], Participants]:
    """The site's clamped sum with its share of noise, and whose it is.

    Raises:
        ProtocolAbort: ``site/internal``, whatever went wrong: a fault must not be a way to ask
            again about the same users.
    """
    site, store = attempt.site, attempt.site.store
    try:
        with store.transaction() as transaction:
            state = store.public_state(transaction, attempt.context.hash)
        model = attempt.model()
        own = site.own_users(with_order=model.ordered)
        with store.transaction() as transaction:
            taking = participants(site, transaction, run_id=attempt.envelope.run_id, keys=own.keys)
            draw = store.draw_key(transaction, attempt.context.hash)
        users = own.interactions
        rows = drawn(taking.places, users.n_users, attempt.spec.sampling, draw)
        # Everyone's histories are read where they lie, and never copied.
        chosen = users if len(rows) == users.n_users else users.take(rows)
        state_arrays = arrays_from_bytes(state)
        sums = model.contribute(attempt.envelope.round, state_arrays, chosen, attempt.spec.blocks)
        return clamp_and_add_noise(sums, attempt.spec, secrets.token_bytes(32)), taking
    except Exception as error:
        kind = type(error).__name__
        raise ProtocolAbort("site/internal", f"the contribution failed: {kind}") from error


def drawn(
    places: npt.NDArray[np.intp], users: int, rate: float | None, key: bytes
) -> npt.NDArray[np.intp]:
    """Those whose coin of this attempt says so; all of them where nobody is drawn.

    Every user of the site's data has a coin, so that one who leaves in the meantime moves nobody
    else's. Who was drawn, and how many, is written down nowhere.

    Args:
        places: The participants, by their place among the site's users.
        users: Number of users of the site.
        rate: q, or None.
        key: Of the attempt's coins.
    """
    if rate is None:
        return places
    return places[draw_users(users, rate, key)[places]]


def charged(
    attempt: Attempt, own_round: SiteRound, body: bytes, masked: bytes, taking: Participants
) -> bytes | None:
    """The reply, now durable and counted; None where a user left in the meantime."""
    with attempt.site.store.transaction() as transaction:
        attempt.check_unmoved(transaction)
        if not commit_attempt(
            attempt.site,
            transaction,
            taking,
            run_id=attempt.envelope.run_id,
            context=attempt.context.hash,
            spending=spending_of(attempt.releases()),
        ):
            return None
        attempt.record(transaction, "committed", events=attempt.events())
        reply = pack(masked, own_head(attempt.site, transaction).to_bytes())
        attempt.commit(transaction, own_round, body, reply)
    return reply
