"""One attempt as one request sees it: what it is, what is durable of it, and what forbids it."""

import hashlib
from typing import Any

from sqlalchemy import Connection

from recommons.client.budgets.charging import check_spent
from recommons.client.records.closing import attempt_body, close_attempts, give_up
from recommons.client.records.halting import check_not_halted_in
from recommons.client.rounds.joining import check_catalogue
from recommons.client.site import Site
from recommons.common.errors import DataError, InvalidInput, ProtocolAbort, Refusal
from recommons.common.models.interface import FederatedModel
from recommons.common.models.registry import remembered_model
from recommons.common.peers import verified_peers
from recommons.common.plan import Plan
from recommons.common.policy import ATTEMPT_LIFE_SECONDS, check_plan
from recommons.common.privacy.events import GaussianSumRelease, events_of_round
from recommons.common.secagg.context import Context
from recommons.common.secagg.parameters import VerifiedPeers
from recommons.common.secagg.site import SiteRound
from recommons.common.wire import Envelope

__all__ = ["Attempt"]


class Attempt:
    """One attempt as seen by one request.

    Args:
        site: The site.
        envelope: The request's.
        plan: The plan that the site joined the run with.

    Raises:
        Refusal: ``site/message``: the plan has no such round.
    """

    def __init__(self, site: Site, envelope: Envelope, plan: Plan) -> None:
        if envelope.round >= len(plan.rounds):
            raise Refusal("site/message", f"round is {envelope.round}; plan: {len(plan.rounds)}")
        self.site = site
        self.envelope = envelope
        self.plan = plan
        self.restored: bytes | None = None
        self.spec = plan.rounds[envelope.round].spec()
        self.context = Context(
            federation=plan.federation,
            run=envelope.run_id,
            round_index=envelope.round,
            attempt=envelope.attempt,
            cohort=plan.cohort,
            roster_hash=bytes.fromhex(plan.roster_hash),
            plan_hash=plan.hash(),
        )

    def model(self) -> FederatedModel:
        """The very model that the plan pins, over the very catalogue.

        Raises:
            Refusal: ``plan/catalogue``: the site's copy is another one since it joined.
        """
        self._check_catalogue()
        pinned = self.plan.model
        return remembered_model(pinned.name, pinned.settings, self.site.catalogue)

    def releases(self) -> tuple[GaussianSumRelease, ...]:
        """What this attempt releases, as events."""
        return events_of_round(
            self.spec,
            self.plan.noise_cohort(),
            round_index=self.envelope.round,
            attempt=self.envelope.attempt,
        )

    def check_alive(self, transaction: Connection) -> None:
        """Whether anything of this attempt may leave; asked again in every step's transaction.

        A step may take long: a run may end, or the site halt, meanwhile.

        Raises:
            ProtocolAbort: ``site/attempt-expired``, for repeated requests as well: after that no
                share leaves that this site's peers do not count with (`docs/policy.md`).
            Refusal: ``site/halted`` or ``site/run-ended``.
        """
        site = self.site
        check_not_halted_in(site, transaction)
        run = site.store.run(transaction, self.envelope.run_id)
        if run is None or run.ended:
            raise Refusal("site/run-ended", "the coordinator has ended this run")
        begun = site.store.begun(transaction, self.context.hash)
        now = site.store.budgets.now_unused(transaction, site.clock())
        if begun is not None and now - begun > ATTEMPT_LIFE_SECONDS:
            raise ProtocolAbort(
                "site/attempt-expired", "this site advertised for the attempt too long ago"
            )

    def check_roster(self) -> None:
        """Whether the site still believes the roster it joined with.

        Raises:
            Refusal: ``plan/roster``.
        """
        if self.site.federation.roster.hash.hex() != self.plan.roster_hash:
            raise Refusal("plan/roster", "the site has pinned another roster since it joined")

    def check_policy(self) -> VerifiedPeers:
        """The policy in force and the catalogue, once more; the rule on peers for the protocol.

        Raises:
            Refusal: The first rule that is broken, or ``plan/catalogue``; nothing of this step has
                left.
        """
        site, plan = self.site, self.plan
        self._check_catalogue()
        check_plan(site.policy, plan, site.config.declared_users)
        with site.store.transaction() as transaction:
            check_spent(site, transaction)
        return verified_peers(site.policy, plan, site.federation.roster, site.id)

    def _check_catalogue(self) -> None:
        try:
            check_catalogue(self.site, self.plan)
        except (InvalidInput, DataError):
            raise Refusal("plan/catalogue", "the site's copy of the catalogue is gone") from None

    def check_budget(self, transaction: Connection) -> None:
        """No attempt begins that the plan has not paid for: each round once, and the spare ones.

        Attempts count from their beginning, so that one that fails here is not free either.
        """
        run = self.site.store.run(transaction, self.envelope.run_id)
        opened = dict(run.opened) if run else {}
        number = self.envelope.round
        opened[number] = opened.get(number, 0) + 1
        repeats = sum(count - 1 for count in opened.values())
        if repeats > self.plan.privacy.spare_attempts:
            raise Refusal("site/budget", "the run has used all the attempts its plan paid for")

    def close_earlier(self, transaction: Connection) -> None:
        """A new attempt ends the earlier ones: their secrets go."""
        superseded = ProtocolAbort("site/superseded", "a new attempt was opened")
        close_attempts(self.site, transaction, superseded, self.envelope.run_id)
        self.site.store.forget_replies(transaction, self.envelope.run_id, self.envelope.round)

    def give_up(self, abort: ProtocolAbort) -> None:
        """Erase the attempt's secrets and write down why."""
        with self.site.store.transaction() as transaction:
            give_up(self.site, transaction, self._place(), abort)

    def refuse(self, refusal: Refusal) -> None:
        """Write down why; an attempt that has begun ends with it."""
        place = self._place()
        ended = ProtocolAbort(refusal.code, refusal.message)
        body = {name: place[name] for name in ("run", "round", "attempt")}
        body |= {"code": refusal.code, "reason": refusal.message}
        with self.site.store.transaction() as transaction:
            self.site.record_once(transaction, "round-refused", body)
            give_up(self.site, transaction, place, ended)

    def restore(self) -> SiteRound:
        """The round as the last step left it.

        Raises:
            Refusal: ``site/step-order``: no step came before, or the attempt is over.
        """
        with self.site.store.transaction() as transaction:
            state = self.site.store.state(transaction, self.context.hash)
        if state is None:
            raise self._out_of_order()
        self.restored = state
        return SiteRound.from_bytes(
            state, roster=self.site.federation.roster, identity=self.site.identity
        )

    def commit(
        self, transaction: Connection, own_round: SiteRound, body: bytes, reply: bytes
    ) -> None:
        """State and reply together, unless another request has moved the round on meanwhile."""
        self.check_alive(transaction)
        self.check_unmoved(transaction)
        self.touch(transaction)
        self.site.store.set_state(transaction, self.context.hash, own_round.to_bytes())
        self.site.store.set_reply(
            transaction,
            context=self.context.hash,
            step=self.envelope.exchange,
            request=hashlib.sha256(body).digest(),
            reply=reply,
        )

    def touch(self, transaction: Connection) -> None:
        """Something of the run leaves: it counts as alive from now on."""
        now = self.site.now(transaction)
        self.site.store.budgets.touch(transaction, self.envelope.run_id, now)

    def check_unmoved(self, transaction: Connection) -> None:
        """Whether the round still is as it was restored.

        Raises:
            Refusal: ``site/step-order``.
        """
        if self.site.store.state(transaction, self.context.hash) != self.restored:
            raise self._out_of_order()

    def record(self, transaction: Connection, kind: str, **body: object) -> None:
        """Write into the ledger, under the attempt's name."""
        self.site.record(transaction, kind, self._place() | body)

    def events(self) -> list[dict[str, object]]:
        """The releases as the ledger has them."""
        return [event.to_json() for event in self.releases()]

    def _out_of_order(self) -> Refusal:
        return Refusal(
            "site/step-order", f"{self.envelope.exchange} does not follow on what was answered"
        )

    def _place(self) -> dict[str, Any]:
        return attempt_body(
            self.envelope.run_id, self.context.hash, self.envelope.round, self.envelope.attempt
        )
