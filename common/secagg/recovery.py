"""Step 9 at the coordinator: shares checked and attributed, secrets recovered."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from recommons.common.errors import ProtocolAbort
from recommons.common.secagg.agreement import Agreement
from recommons.common.secagg.context import Context
from recommons.common.secagg.derivation import (
    Kind,
    private_key,
    public_key,
    seed_commitment,
    share_commitment,
)
from recommons.common.secagg.expansion import Expansion
from recommons.common.secagg.sets import SiteSet
from recommons.common.secagg.shamir import PRIME, SHARE_BYTES, combine, lagrange_weights
from recommons.common.secagg.uploads import Reveal, Shares

__all__ = ["Recovery"]

_PRIME_BYTES = PRIME.to_bytes(SHARE_BYTES, "big")


@dataclass(frozen=True, kw_only=True)
class Recovery:
    """What is needed to open one sum.

    Attributes:
        context: The attempt.
        agreement: What was fixed at step 2.
        threshold: t.
        shares: The step-3 messages of U2, by place.
        dealers: U2.
        survivors: U3.
    """

    context: Context
    agreement: Agreement
    threshold: int
    shares: Mapping[int, Shares]
    dealers: SiteSet
    survivors: SiteSet

    def check(self, reveal: Reveal) -> None:
        """Each share against its dealer's commitment.

        The revealer accepted this very commitment at step 4, so a share that does not fit is the
        revealer's fault, whoever dealt it.

        Raises:
            ProtocolAbort: ``secagg/reveal-share``.
        """
        full, holder = self.agreement.full, reveal.site
        rank_of_holder = self.agreement.members.rank(holder)
        for rank, dealer in enumerate(self.dealers):
            kind, opening = self._kind(dealer), reveal.opening(rank)
            found = share_commitment(full, kind, dealer, holder, opening)
            committed = self.shares[dealer].commitment(rank_of_holder, kind)
            if found != committed or opening[:SHARE_BYTES] >= _PRIME_BYTES:
                raise ProtocolAbort(
                    "secagg/reveal-share",
                    f"site {self._name(holder)} revealed another share of site "
                    f"{self._name(dealer)} than it accepted",
                )

    def expansion(self, reveals: Mapping[int, Reveal]) -> Expansion:
        """The masks that are left in the sum of the survivors' vectors.

        Args:
            reveals: Checked messages of step 9, by place.

        Raises:
            ProtocolAbort: Too few shares (``secagg/too-few-shares``), or a dealer whose shares fit
                its commitments but not its secret (``secagg/dealer-fault``).
        """
        secrets = dict(self._secrets(reveals))
        return Expansion(
            full=self.agreement.full,
            seeds={place: secrets[place] for place in self.survivors},
            mask_keys={place: self.agreement.mask_keys[place] for place in self.survivors},
            private_keys={place: secrets[place] for place in self.dealers - self.survivors},
        )

    def _secrets(self, reveals: Mapping[int, Reveal]) -> Iterator[tuple[int, bytes]]:
        responders = sorted(reveals)[: self.threshold]
        if len(responders) < self.threshold:
            raise ProtocolAbort(
                "secagg/too-few-shares",
                f"{len(responders)} sites revealed shares; required: {self.threshold}",
            )
        weights = lagrange_weights([place + 1 for place in responders])
        for rank, dealer in enumerate(self.dealers):
            shares = [_share(reveals[place].opening(rank)) for place in responders]
            yield dealer, self._checked(dealer, combine(weights, shares))

    def _checked(self, dealer: int, secret: bytes | None) -> bytes:
        """Every share was as dealt, so a wrong secret is the dealer's fault."""
        if secret is not None:
            if self._kind(dealer) is Kind.SEED:
                found = seed_commitment(secret, self.agreement.full, dealer)
                correct = found == self.shares[dealer].seed_commitment
            else:
                correct = public_key(private_key(secret)) == self.agreement.mask_keys[dealer]
            if correct:
                return secret
        raise ProtocolAbort(
            "secagg/dealer-fault",
            f"the shares dealt by site {self._name(dealer)} do not give the secret it committed to",
        )

    def _kind(self, dealer: int) -> Kind:
        return Kind.SEED if dealer in self.survivors else Kind.MASK_KEY

    def _name(self, place: int) -> str:
        return self.context.cohort[place]


def _share(opening: bytes) -> int:
    return int.from_bytes(opening[:SHARE_BYTES], "big")
