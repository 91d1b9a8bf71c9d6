"""A small federation in one process, for every test of the protocol.

Test modules cannot import from each other (pytest's importlib mode), so the classes below reach
tests as fixtures; for annotations they are imported under ``TYPE_CHECKING``.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest

from recommons.common.errors import ProtocolAbort
from recommons.common.secagg.context import Context
from recommons.common.secagg.coordinator import CoordinatorRound
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.messages import MessageKind
from recommons.common.secagg.outcome import RoundResult
from recommons.common.secagg.parameters import RoundParameters, VerifiedPeers, least_survivors
from recommons.common.secagg.ring import VectorShape
from recommons.common.secagg.roster import Roster, RosterSite
from recommons.common.secagg.site import SiteRound

SPEC = b'{"blocks":[],"ring_bits":32}'
STATE = b"public state"

Tamper = Callable[[MessageKind, str, bytes], bytes | None]
"""Sees every message in transit: kind, the site that sends or receives it, bytes. None loses it."""


def drawn(*labels: object) -> bytes:
    """32 bytes that depend on the labels alone: what `secrets` would give, but repeatable."""
    return hashlib.sha256(repr(labels).encode()).digest()


class Federation:
    """Sites, roster, plan's numbers and vectors: site i holds a one-hot and one odd number."""

    def __init__(
        self,
        sites: int,
        *,
        colluding: int = 0,
        survivors: int | None = None,
        bits: int = 32,
        size: int | None = None,
    ) -> None:
        width = len(str(sites - 1))
        names = [f"site-{i:0{width}}" for i in range(sites)]
        self.identities = {name: SigningIdentity(drawn("identity", name)) for name in names}
        self.roster = Roster(
            federation="test",
            epoch=1,
            sites=tuple(
                RosterSite(site=name, name=name, public_key=self.identities[name].public_key)
                for name in names
            ),
        )
        self.names = tuple(names)
        least = least_survivors(sites, colluding) if survivors is None else survivors
        self.parameters = RoundParameters(sites=sites, colluding=colluding, survivors=least)
        self.shape = VectorShape(size=size or sites + 1, bits=bits)
        self.vectors = {name: self._vector(place) for place, name in enumerate(names)}

    def _vector(self, place: int) -> npt.NDArray[np.int64]:
        vector = np.zeros(self.shape.size, np.int64)
        vector[place % self.shape.size] = 1
        vector[-1] = (-1) ** place * (2 * place + 1)
        return vector

    def context(self, attempt: int = 0) -> Context:
        return Context(
            federation="test",
            run=bytes(16),
            round_index=0,
            attempt=attempt,
            cohort=self.names,
            roster_hash=self.roster.hash,
            plan_hash=bytes(32),
        )

    def coordinator(self, attempt: int = 0) -> CoordinatorRound:
        return CoordinatorRound(
            context=self.context(attempt),
            parameters=self.parameters,
            shape=self.shape,
            roster=self.roster,
            spec=SPEC,
        )

    def begin(
        self, name: str, attempt: int = 0, verified: VerifiedPeers | None = None
    ) -> tuple[SiteRound, bytes]:
        return SiteRound.begin(
            context=self.context(attempt),
            parameters=self.parameters,
            shape=self.shape,
            roster=self.roster,
            identity=self.identities[name],
            entropy=drawn("entropy", name, attempt),
            verified=verified,
        )

    def resumed(self, site: SiteRound) -> SiteRound:
        """The site after a restart from its durable state."""
        return SiteRound.from_bytes(
            site.to_bytes(), roster=self.roster, identity=self.identities[site.site]
        )

    def resumed_coordinator(self, coordinator: CoordinatorRound) -> CoordinatorRound:
        return CoordinatorRound.from_bytes(
            coordinator.to_bytes(),
            context=coordinator.context,
            parameters=self.parameters,
            shape=self.shape,
            roster=self.roster,
            spec=SPEC,
        )

    def plain_sum(self, names: tuple[str, ...]) -> list[int]:
        """The sum in plain Python integers."""
        return [sum(int(self.vectors[name][i]) for name in names) for i in range(self.shape.size)]


@dataclass
class Play:
    """One attempt, played from the first step to the end it comes to."""

    federation: Federation
    drops: Mapping[str, int] = field(default_factory=dict)
    tamper: Tamper | None = None
    restarts: bool = False
    attempt: int = 0
    sites: dict[str, SiteRound] = field(default_factory=dict)
    site_codes: dict[str, str] = field(default_factory=dict)
    sent: dict[tuple[MessageKind, str], bytes] = field(default_factory=dict)
    result: RoundResult | None = None
    code: str | None = None

    def __post_init__(self) -> None:
        self.coordinator = self.federation.coordinator(self.attempt)

    def run(self) -> "Play":
        """Plays all nine steps; the end is in `result` or in `code`."""
        try:
            self.advertise()
            for close, kind, answer in self.steps():
                close()
                self.exchange(kind, answer)
            self.result = self.coordinator.finish()
        except ProtocolAbort as abort:
            self.code = abort.code
        return self

    def run_to(self, last: MessageKind) -> "Play":
        """Plays until the coordinator is ready to send messages of this kind."""
        self.advertise()
        for close, kind, answer in self.steps():
            close()
            if kind is last:
                return self
            self.exchange(kind, answer)
        raise AssertionError(last)

    def steps(
        self,
    ) -> list[tuple[Callable[[], object], MessageKind, Callable[[SiteRound, bytes], bytes]]]:
        return [
            (lambda: self.coordinator.close_advertise(STATE), MessageKind.KEYS, self._share),
            (lambda: self.coordinator.close_shares(), MessageKind.INBOX, self._mask),
            (
                lambda: self.coordinator.close_masked(),
                MessageKind.SURVIVORS,
                lambda site, message: site.receive_survivors(message),
            ),
            (
                lambda: self.coordinator.close_signatures(),
                MessageKind.CERTIFICATE,
                lambda site, message: site.receive_certificate(message),
            ),
        ]

    def advertise(self) -> None:
        for name in self.federation.names:
            if self.drops.get(name, 99) > MessageKind.ADVERTISE:
                self.sites[name], message = self.federation.begin(name, self.attempt)
                self._deliver(MessageKind.ADVERTISE, name, message)

    def exchange(self, kind: MessageKind, answer: Callable[[SiteRound, bytes], bytes]) -> None:
        """The coordinator's messages of one kind, and the answers to them."""
        for name in self.coordinator.expected:
            if self.drops.get(name, 99) <= kind + 1 or name in self.site_codes:
                continue
            message = self.transit(kind, name, self.coordinator.message_for(name))
            if message is None:
                continue
            try:
                reply = answer(self._woken(name), message)
            except ProtocolAbort as abort:
                self.site_codes[name] = abort.code
                continue
            self._deliver(MessageKind(kind + 1), name, reply)

    def transit(self, kind: MessageKind, name: str, message: bytes) -> bytes | None:
        self.sent[kind, name] = message
        return message if self.tamper is None else self.tamper(kind, name, message)

    def _deliver(self, kind: MessageKind, name: str, message: bytes) -> None:
        arrived = self.transit(kind, name, message)
        if arrived is not None:
            self.coordinator.receive(name, arrived)
        if self.restarts:
            self.coordinator = self.federation.resumed_coordinator(self.coordinator)

    def _woken(self, name: str) -> SiteRound:
        if self.restarts:
            self.sites[name] = self.federation.resumed(self.sites[name])
        return self.sites[name]

    def _share(self, site: SiteRound, message: bytes) -> bytes:
        assert site.receive_keys(message, expected_spec=SPEC)
        return self._woken(site.site).share()

    def _mask(self, site: SiteRound, message: bytes) -> bytes:
        site.receive_inbox(message)
        return self._woken(site.site).mask(self.federation.vectors[site.site])


@pytest.fixture(scope="session")
def federation() -> type[Federation]:
    """The class: tests build the federation they need."""
    return Federation


@pytest.fixture(scope="session")
def play() -> type[Play]:
    """The class: one attempt."""
    return Play
