"""Peers whose keys an operator has verified out of band: by fingerprint, in the site's policy.

A roster says which key belongs to which name, and whoever holds the federation's key can write any
roster. Two operators who read their fingerprints to each other do not depend on it.
"""

from collections.abc import Iterable

from recommons.common.errors import Refusal
from recommons.common.hashing import digest
from recommons.common.plan import Plan
from recommons.common.policy import FINGERPRINT_DIGITS, PeersPolicy, Policy
from recommons.common.secagg.parameters import VerifiedPeers
from recommons.common.secagg.roster import Roster
from recommons.common.secagg.sets import SiteSet
from recommons.common.succession import Succession, heir

__all__ = ["carried_over", "check_fingerprints", "fingerprint", "readable", "verified_peers"]

_GROUP = 4


def fingerprint(public_key: bytes) -> str:
    """The first 160 bits of a hash of the key, as 40 hexadecimal digits.

    Nobody can make a second key with the fingerprint of a given one (2^160 tries), which is what
    comparing is for.
    """
    return digest("recommons/fingerprint/1", public_key).hex()[:FINGERPRINT_DIGITS]


def readable(digits: str) -> str:
    """A fingerprint in groups of four, to be read aloud; a policy takes it in this form too."""
    return " ".join(digits[k : k + _GROUP] for k in range(0, len(digits), _GROUP))


def check_fingerprints(
    rules: PeersPolicy, roster: Roster, successions: Iterable[Succession] = ()
) -> None:
    """Refuse a roster that gives a verified peer another key than the operator has seen.

    A verified peer that is not on the roster is no fault: it may have left the federation. Nor is a
    new key that the verified one has signed itself (`succession`).

    Raises:
        Refusal: ``policy/peer-fingerprint``, naming the sites.
    """
    by_own_word = carried_over(rules, roster, successions)
    other = sorted(
        site
        for site, seen in rules.verified.items()
        if site in roster.keys
        and fingerprint(roster.keys[site]) != seen
        and site not in by_own_word
    )
    if other:
        raise Refusal(
            "policy/peer-fingerprint",
            f"the roster's key of {', '.join(other)} is not the one verified out of band",
        )


def carried_over(
    rules: PeersPolicy, roster: Roster, successions: Iterable[Succession]
) -> dict[str, str]:
    """New fingerprints of verified peers whose verified key has signed the one on the roster.

    Returns:
        The fingerprint by site.
    """
    statements = list(successions)
    found: dict[str, str] = {}
    for site, seen in rules.verified.items():
        present = roster.keys.get(site)
        if present is None or fingerprint(present) == seen:
            continue
        earlier = {s.old for s in statements if s.site == site and fingerprint(s.old) == seen}
        if any(heir(site, key, statements, roster.federation) == present for key in earlier):
            found[site] = fingerprint(present)
    return found


def verified_peers(policy: Policy, plan: Plan, roster: Roster, own: str) -> VerifiedPeers:
    """The site's rule on peers, for the rounds of one plan.

    Args:
        policy: The site's policy.
        plan: The plan; its cohort is of the roster.
        roster: The pinned roster.
        own: This site, which does not count as its own peer.

    Raises:
        Refusal: ``policy/peer-fingerprint``, or ``policy/verified-peers`` where the cohort has too
            few verified peers for any of its sums to be allowed.
    """
    check_fingerprints(policy.peers, roster)
    least = policy.peers.least(plan.privacy.colluding)
    places = [
        place
        for place, site in enumerate(plan.cohort)
        if site != own and site in policy.peers.verified
    ]
    if len(places) < least:
        raise Refusal(
            "policy/verified-peers",
            f"the cohort has {len(places)} peers whose keys were verified out of band; "
            f"required: {least}",
        )
    return VerifiedPeers(peers=SiteSet.of(len(plan.cohort), places), least=least)
