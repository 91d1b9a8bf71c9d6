"""The coordinator's seat: what it says to real sites, what they answer, what they keep.

Sites here are what they are in deployment, `recommons.client.site.Site` folders answered for by
`recommons.client.rounds.answering.answer`, without a transport between. A coordinator may be as
honest as the steps below or send whatever it likes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from recommons.client.rounds.answering import answer
from recommons.client.site import Site
from recommons.common.errors import RecommonsError
from recommons.common.federation import sign_announcement
from recommons.common.hashing import canonical_json
from recommons.common.heads import Place, heads_to_bytes
from recommons.common.models.state import arrays_to_bytes
from recommons.common.plan import Plan
from recommons.common.secagg.agreement import Agreement, agree
from recommons.common.secagg.context import Context
from recommons.common.secagg.coordinator import CoordinatorRound
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.messages import Keys
from recommons.common.secagg.parameters import RoundParameters
from recommons.common.secagg.ring import VectorShape
from recommons.common.secagg.roster import Roster
from recommons.common.wire import Envelope, Exchange, Outcome, pack
from recommons.simulations.attacks.notary import Notary
from recommons.simulations.attacks.traces import Traces
from recommons.simulations.founding import Found

__all__ = ["STATE", "STEPS", "Answered", "Said", "Stage"]

STEPS: tuple[Exchange, ...] = ("advertise", "shares", "masked", "sign", "reveal")
STATE = arrays_to_bytes({})
"""The public state of round 0."""


class Answered(Exception):
    """A site answered what it had to refuse."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """One reply that left a site, and what it answers."""

    site: str
    exchange: Exchange
    context: bytes
    request: bytes = field(repr=False)
    reply: bytes = field(repr=False)


@dataclass(kw_only=True)
class Stage:
    """A coordinator before five joined sites.

    Attributes:
        found: The folders.
        federation_key: The federation's offline key.
        said: Every reply that left a site, in order.
        sites: The opened sites.
        traces: The secrets each of them has stored.
        notary: The heads that came with vectors, and the receipts made of them.
        honest: A coordinator that keeps to the protocol, as far as the stage was played.
    """

    found: Found
    federation_key: SigningIdentity
    said: list[Said] = field(default_factory=list)
    sites: dict[str, Site] = field(default_factory=dict)
    traces: dict[str, Traces] = field(default_factory=dict)
    notary: Notary = field(init=False)
    honest: CoordinatorRound = field(init=False)

    def __post_init__(self) -> None:
        self.run_id, self.plan = self.found.coordinator.run_id, self.found.coordinator.plan
        for site, folder in self.found.sites.items():
            self.sites[site] = Site.open(folder)
            self.traces.setdefault(site, Traces(folder))
        self.notary = Notary(found=self.found)
        self.honest = self.protocol()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        for site in self.sites.values():
            site.store.close()

    def ask(
        self,
        site: str,
        exchange: Exchange,
        body: bytes = b"",
        *,
        round: int = 0,
        attempt: int = 0,
        run_id: bytes | None = None,
    ) -> bytes:
        """A site's reply to one request.

        Raises:
            RecommonsError: The site refused.
        """
        envelope = Envelope(
            run_id=run_id or self.run_id, exchange=exchange, round=round, attempt=attempt
        )
        try:
            reply = answer(self.sites[site], envelope, self._sent(envelope, body))
        finally:
            self.traces[site].look(self.sites[site])
        if exchange == "masked":
            reply = self.notary.take(_place_of(envelope), site, reply)
        context = self.context(round, attempt).hash
        self.said.append(
            Said(site=site, exchange=exchange, context=context, request=body, reply=reply)
        )
        return reply

    def _sent(self, envelope: Envelope, body: bytes) -> bytes:
        """A body as it travels: with the heads and receipts that an honest coordinator adds."""
        match envelope.exchange:
            case "join":
                return pack(body, heads_to_bytes(()))
            case "reveal":
                return self.notary.with_receipt(_place_of(envelope), body)
            case "finish":
                return body or Outcome().to_bytes()
        return body

    def refusal(
        self,
        site: str,
        exchange: Exchange,
        body: bytes = b"",
        *,
        round: int = 0,
        attempt: int = 0,
        run_id: bytes | None = None,
    ) -> str:
        """The code under which a site refuses.

        Raises:
            Answered: It did not.
        """
        try:
            self.ask(site, exchange, body, round=round, attempt=attempt, run_id=run_id)
        except RecommonsError as refused:
            return refused.code
        raise Answered(f"{site} answered {exchange}")

    def announcement(self, plan: Plan | None = None) -> bytes:
        """A plan under the coordinator's signature, for this run."""
        return sign_announcement(plan or self.plan, self.run_id, self.found.coordinator.identity)

    def join(self) -> None:
        """Announce the plan to every site."""
        for site in self.plan.cohort:
            self.ask(site, "join", self.announcement())

    def restart(self, site: str) -> None:
        """Close a site and open it again from its folder."""
        self.sites[site].store.close()
        self.sites[site] = Site.open(self.found.sites[site])

    def backup(self, site: str) -> bytes:
        """A site's database as it is now."""
        return (self.found.sites[site] / "site.db").read_bytes()

    def restore(self, site: str, backup: bytes) -> None:
        """Put an older database in place of the site's and restart it."""
        self.sites[site].store.close()
        (self.found.sites[site] / "site.db").write_bytes(backup)
        self.sites[site] = Site.open(self.found.sites[site])

    def context(self, round: int = 0, attempt: int = 0) -> Context:
        """What an attempt of this run is bound to."""
        return Context(
            federation=self.plan.federation,
            run=self.run_id,
            round_index=round,
            attempt=attempt,
            cohort=self.plan.cohort,
            roster_hash=self.roster.hash,
            plan_hash=self.plan.hash(),
        )

    @property
    def roster(self) -> Roster:
        """As pinned at every site."""
        return self.found.coordinator.federation.roster

    @property
    def parameters(self) -> RoundParameters:
        """N, c and M."""
        return RoundParameters(
            sites=len(self.plan.cohort),
            colluding=self.plan.privacy.colluding,
            survivors=self.plan.privacy.min_survivors,
        )

    def shape(self, round: int = 0) -> VectorShape:
        """The masked vector's."""
        spec = self.plan.specs()[round]
        return VectorShape(size=spec.size, bits=spec.ring_bits)

    def spec(self, round: int = 0) -> bytes:
        """The round's mechanism as it travels."""
        return canonical_json(self.plan.specs()[round].to_json())

    def protocol(self, round: int = 0, attempt: int = 0) -> CoordinatorRound:
        """A coordinator that keeps to the protocol."""
        return CoordinatorRound(
            context=self.context(round, attempt),
            parameters=self.parameters,
            shape=self.shape(round),
            roster=self.roster,
            spec=self.spec(round),
        )

    def resumed(self, protocol: CoordinatorRound) -> CoordinatorRound:
        """A coordinator of its own that goes on where this one stands."""
        return CoordinatorRound.from_bytes(
            protocol.to_bytes(),
            context=protocol.context,
            parameters=protocol.parameters,
            shape=self.shape(protocol.context.round_index),
            roster=self.roster,
            spec=self.spec(protocol.context.round_index),
        )

    def before(
        self, exchange: Exchange, *, attempt: int = 0, without: Iterable[str] = ()
    ) -> CoordinatorRound:
        """Play honestly until the messages of `exchange` are ready to be sent.

        Args:
            exchange: Where to stop.
            attempt: Which attempt; from the second on, another coordinator than `honest` plays.
            without: Sites that are not asked (colluders answer for themselves).
        """
        protocol = self.protocol(attempt=attempt) if attempt else self.honest
        for step in STEPS[_place(protocol) : STEPS.index(exchange)]:
            self.exchange(protocol, step, attempt=attempt, without=without)
            self.close(protocol)
        return protocol

    def exchange(
        self,
        protocol: CoordinatorRound,
        step: Exchange,
        *,
        attempt: int = 0,
        without: Iterable[str] = (),
    ) -> None:
        """Ask every site that has not answered a step, and hand its answer to the protocol."""
        for site in protocol.awaiting:
            if site not in set(without):
                body = b"" if step == "advertise" else protocol.message_for(site)
                protocol.receive(site, self.ask(site, step, body, attempt=attempt))

    def close(self, protocol: CoordinatorRound) -> None:
        """Close whatever step the protocol is at."""
        closings = (
            lambda: protocol.close_advertise(STATE),
            protocol.close_shares,
            protocol.close_masked,
            protocol.close_signatures,
        )
        closings[_place(protocol)]()

    def last(self, site: str, exchange: Exchange) -> Said:
        """What a site said last in an exchange."""
        return next(
            said for said in reversed(self.said) if (said.site, said.exchange) == (site, exchange)
        )

    def agreed(self) -> Agreement:
        """What the target's peers agreed on at step 2."""
        return agree(Keys.from_bytes(self.last("site-1", "shares").request))

    def revealed(self) -> tuple[str, ...]:
        """Sites that revealed shares."""
        return tuple(said.site for said in self.said if said.exchange == "reveal")

    def holds_state(self, site: str, attempt: int = 0, *, round: int = 0) -> bool:
        """Whether a site still holds an attempt's secrets."""
        opened = self.sites[site]
        with opened.store.transaction() as transaction:
            return opened.store.state(transaction, self.context(round, attempt).hash) is not None


def _place_of(envelope: Envelope) -> Place:
    """The attempt that a message belongs to."""
    return Place(run=envelope.run_id.hex(), round=envelope.round, attempt=envelope.attempt)


def _place(protocol: CoordinatorRound) -> int:
    """Which of the five collections this is; they are the odd ones of the nine steps."""
    return protocol.step // 2
