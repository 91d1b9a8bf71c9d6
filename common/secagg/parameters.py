"""N, c, M, q and t: what a cohort can and cannot tolerate."""

from dataclasses import dataclass

from recommons.common.errors import InvalidInput
from recommons.common.secagg.sets import MAX_COHORT, SiteSet

__all__ = ["RoundParameters", "VerifiedPeers", "least_survivors", "quorum"]


def quorum(sites: int, colluding: int) -> int:
    """``q = ⌊(N + c)/2⌋ + 1``: any two quorums share a site that does not collude."""
    return (sites + colluding) // 2 + 1


def least_survivors(sites: int, colluding: int) -> int:
    """The smallest permitted M, ``max(q, c + 2)``; N - M dropouts can then be tolerated.

    With c at most N - 2, q is never below c + 2: the second bound is written because privacy
    rests on it (a sum hides one honest site behind another), whatever the quorum may become.
    """
    return max(quorum(sites, colluding), colluding + 2)


@dataclass(frozen=True, kw_only=True)
class RoundParameters:
    """The plan's numbers of sites.

    That no more than `colluding` sites pool what they know with the coordinator is an assumption
    about people, not something the protocol can check.

    Attributes:
        sites: N, the size of the cohort.
        colluding: c, sites assumed to collude with the coordinator, at most N - 2.
        survivors: M, the least number of sites in a sum, from `least_survivors` to N.
    """

    sites: int
    colluding: int
    survivors: int

    def __post_init__(self) -> None:
        if not 2 <= self.sites <= MAX_COHORT:
            raise InvalidInput(
                "secagg/cohort-size", f"{self.sites} sites; allowed: 2 to {MAX_COHORT}"
            )
        if not 0 <= self.colluding <= self.sites - 2:
            raise InvalidInput(
                "secagg/colluding",
                f"{self.colluding} of {self.sites} sites colluding; allowed: 0 to {self.sites - 2}",
            )
        least = least_survivors(self.sites, self.colluding)
        if self.survivors < least:
            raise InvalidInput(
                "secagg/least-survivors",
                f"M = {self.survivors} with {self.sites} sites of which {self.colluding} may "
                f"collude; required: at least {least}, which tolerates "
                f"{self.sites - least or 'no'} dropouts",
            )
        if self.survivors > self.sites:
            raise InvalidInput(
                "secagg/least-survivors",
                f"M = {self.survivors} is more than the {self.sites} sites of the cohort",
            )

    @property
    def quorum(self) -> int:
        """Signatures that certify a set of survivors, q."""
        return quorum(self.sites, self.colluding)

    @property
    def threshold(self) -> int:
        """Shares that determine a secret, t = q."""
        return self.quorum

    @property
    def tolerated(self) -> int:
        """How many sites may drop out, N - M."""
        return self.sites - self.survivors


@dataclass(frozen=True, kw_only=True)
class VerifiedPeers:
    """A site's own rule: how many peers it knows out of band must be in a sum with it.

    Without it, whoever holds the federation's key could fill a cohort with invented sites.

    Attributes:
        peers: Places in the cohort of the verified peers.
        least: How many of them, this site not counted, must be among the survivors.
    """

    peers: SiteSet
    least: int

    def are_in(self, sites: SiteSet, own: int) -> bool:
        """Whether enough verified peers other than `own` are among these sites."""
        common = SiteSet(sites.size, self.peers.bits & sites.bits)
        return len(common.without(own)) >= self.least
