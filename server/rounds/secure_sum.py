"""One attempt at one secure sum, over a grid: five exchanges, each closed by our own deadline."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from recommons.common.errors import InvalidInput
from recommons.common.hashing import canonical_json
from recommons.common.privacy.mechanism import RoundSpec
from recommons.common.secagg.context import Context
from recommons.common.secagg.coordinator import CoordinatorRound
from recommons.common.secagg.outcome import RoundResult
from recommons.common.secagg.parameters import RoundParameters
from recommons.common.secagg.ring import VectorShape
from recommons.common.secagg.roster import Roster
from recommons.common.wire import Envelope, Exchange, pack, unpack
from recommons.server.records.journal import AttemptJournal
from recommons.server.rounds.expansion import on_all_cores
from recommons.server.rounds.traffic import Traffic
from recommons.server.transport.line import Answer, Line, Refused

__all__ = ["AttemptRequest", "secure_sum"]

_log = logging.getLogger(__name__)

StepListener = Callable[[str, CoordinatorRound], None]


@dataclass(frozen=True, kw_only=True)
class AttemptRequest:
    """One attempt.

    Attributes:
        context: What it is bound to.
        parameters: N, c and M.
        spec: The round's mechanism.
        public_state: Waits for what sites need to compute their part.
        roster: The roster.
        nodes: Flower's node id by site.
        deadline_seconds: How long each exchange waits for the last site.
    """

    context: Context
    parameters: RoundParameters
    spec: RoundSpec
    public_state: Callable[[], bytes]
    roster: Roster
    nodes: Mapping[str, int]
    deadline_seconds: float


def secure_sum(
    line: Line,
    request: AttemptRequest,
    journal: AttemptJournal,
    traffic: Traffic,
    listen: StepListener,
) -> RoundResult:
    """Drive the nine steps of the protocol.

    Args:
        line: The line to the sites.
        request: The attempt.
        journal: What must be durable before a message goes out is written here.
        traffic: Bytes and seconds are added here.
        listen: Told before each exchange, and as ``keys`` when only the public state is waited for.

    Returns:
        The opened sum with its certificate.

    Raises:
        ProtocolAbort: Too few sites, shares or signatures; nothing can be opened.
    """
    protocol = CoordinatorRound(
        context=request.context,
        parameters=request.parameters,
        shape=VectorShape(size=request.spec.size, bits=request.spec.ring_bits),
        spec=canonical_json(request.spec.to_json()),
        roster=request.roster,
        expander=on_all_cores,
    )
    drive = _Drive(line, request, journal, traffic, protocol, listen)
    drive.ask("advertise", {site: journal.shown_to(site) for site in protocol.expected})
    listen("keys", protocol)
    start = time.perf_counter()
    state = request.public_state()
    traffic.clock("release", start)
    advertised = protocol.close_advertise(state)
    journal.advertised(protocol.message_for(advertised[0]), advertised, state)
    drive.ask("shares")
    protocol.close_shares()
    drive.ask("masked")
    survivors = protocol.close_masked()
    receipt = journal.countersign(survivors)
    drive.ask("sign")
    signers = protocol.close_signatures()
    certificate = protocol.message_for(signers[0])
    journal.certified(certificate, protocol.vector_hashes)
    drive.ask("reveal", dict.fromkeys(signers, pack(certificate, receipt)))
    start = time.perf_counter()
    result = protocol.finish()
    traffic.clock("sum", start)
    return result


@dataclass(frozen=True)
class _Drive:
    line: Line
    request: AttemptRequest
    journal: AttemptJournal
    traffic: Traffic
    protocol: CoordinatorRound
    listen: StepListener

    def ask(self, step: Exchange, bodies: Mapping[str, bytes] | None = None) -> None:
        """Send a step to the sites it expects and hand their answers to the protocol."""
        self.listen(step, self.protocol)
        start = time.perf_counter()
        protocol, nodes = self.protocol, self.request.nodes
        if bodies is None:
            bodies = {site: protocol.message_for(site) for site in protocol.expected}
        sites = {nodes[site]: site for site in bodies if site in nodes}
        envelope = Envelope(
            run_id=self.request.context.run,
            exchange=step,
            round=self.request.context.round_index,
            attempt=self.request.context.attempt,
        )
        outcomes = self.line.exchange(
            envelope,
            {node: bodies[site] for node, site in sites.items()},
            deadline_seconds=self.request.deadline_seconds,
        )
        for node, outcome in outcomes.items():
            site = sites[node]
            self.traffic.bytes_down[site, step] += len(bodies[site])
            if isinstance(outcome, Answer):
                self.traffic.bytes_up[site, step] += len(outcome.body)
                self._take(site, step, outcome.body)
            elif isinstance(outcome, Refused):
                # It takes no further part in this attempt, like one that is silent; its own ledger
                # holds the reason.
                self.traffic.refusals.append(f"{site}: {outcome.code}")
        self.traffic.clock(step, start)

    def _take(self, site: str, step: Exchange, body: bytes) -> None:
        """Hand an answer to the protocol; a vector counts only with the head that comes with it."""
        if step == "masked":
            try:
                body, head = unpack(body, 2)
            except InvalidInput:
                return
            fault = self.journal.take_head(site, head)
            if fault is not None:
                _log.warning("site %s is left out of the attempt: %s", site, fault)
                return
        self.protocol.receive(site, body)
