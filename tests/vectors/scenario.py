"""The attempts to play: who takes part, with which entropy, and who is lost when."""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from recommons.common.secagg.context import Context
from recommons.common.secagg.coordinator import CoordinatorRound
from recommons.common.secagg.identity import SigningIdentity
from recommons.common.secagg.parameters import RoundParameters, VerifiedPeers
from recommons.common.secagg.ring import VectorShape
from recommons.common.secagg.roster import Roster, RosterSite
from recommons.common.secagg.site import SiteRound

__all__ = ["Scenario", "drawn"]


def drawn(*labels: object) -> bytes:
    """32 bytes that depend on the labels alone."""
    return hashlib.sha256(b"recommons test vectors" + repr(labels).encode()).digest()


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One attempt to play.

    Attributes:
        name: Names the transcript.
        sites: N.
        colluding: c.
        survivors: M.
        bits: The ring's width.
        lost: The first step whose message never arrives, by place.
        long_polynomial: Places of dealers whose polynomials have one coefficient too many.
    """

    name: str
    sites: int
    colluding: int
    survivors: int
    bits: int
    lost: dict[int, int] = field(default_factory=dict)
    long_polynomial: tuple[int, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"site-{place}" for place in range(self.sites))

    @property
    def spec(self) -> bytes:
        return b'{"blocks":[],"ring_bits":%d}' % self.bits

    @property
    def shape(self) -> VectorShape:
        return VectorShape(size=3, bits=self.bits)

    @property
    def parameters(self) -> RoundParameters:
        return RoundParameters(sites=self.sites, colluding=self.colluding, survivors=self.survivors)

    @property
    def roster(self) -> Roster:
        # One site more than the cohort: a cohort is a subset of the roster.
        names = (*self.names, "site-not-taking-part")
        return Roster(
            federation="vectors",
            epoch=1,
            sites=tuple(
                RosterSite(site=name, name=name, public_key=self.identity(name).public_key)
                for name in names
            ),
        )

    def identity(self, site: str) -> SigningIdentity:
        return SigningIdentity(drawn("signing key", site))

    def entropy(self, site: str) -> bytes:
        return drawn("entropy", self.name, site)

    def context(self) -> Context:
        return Context(
            federation="vectors",
            run=drawn("run", self.name)[:16],
            round_index=1,
            attempt=self.sites,
            cohort=self.names,
            roster_hash=self.roster.hash,
            plan_hash=drawn("plan"),
        )

    def vector(self, place: int) -> npt.NDArray[np.int64]:
        """A one, the place's own negative number, and the ring's extreme."""
        extreme = (1 << (self.bits - 1)) - 1
        return np.array([1, -(10**place % 999_983), (-1) ** place * extreme - place % 2], np.int64)

    def site(
        self,
        name: str,
        *,
        entropy: bytes | None = None,
        verified: VerifiedPeers | None = None,
        context: Context | None = None,
    ) -> tuple[SiteRound, bytes]:
        return SiteRound.begin(
            context=context or self.context(),
            parameters=self.parameters,
            shape=self.shape,
            roster=self.roster,
            identity=self.identity(name),
            entropy=entropy or self.entropy(name),
            verified=verified,
        )

    def coordinator(self) -> CoordinatorRound:
        return CoordinatorRound(
            context=self.context(),
            parameters=self.parameters,
            shape=self.shape,
            roster=self.roster,
            spec=self.spec,
        )
