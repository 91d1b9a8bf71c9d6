"""The blocks and rings of a round, once it is known how much noise the plan has.

Notation as in `calibration`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from recommons.common.errors import PrivacyError
from recommons.common.models.interface import BlockRequest
from recommons.common.privacy.events import Cohort
from recommons.common.privacy.mechanism import BlockMechanism, RoundSpec
from recommons.common.privacy.noise_table import MAX_STDDEV
from recommons.common.privacy.quantization import MAX_SENSITIVITY
from recommons.common.privacy.rings import finest, narrowest
from recommons.common.privacy.sampled import rate_of_person
from recommons.common.privacy.smoothing import MIN_STDDEV, kernel_variance
from recommons.common.secagg.ring import RING_WIDTHS

__all__ = ["Sizing", "unnoised_round"]

_UNNOISED_SENSITIVITY = 2**20
_LEAST_UNNOISED_SENSITIVITY = 2**10
_STDDEV_STEPS = 2**16  # s is a multiple of 1/65536, exactly a float
_USUAL_RINGS = (32, 64)


@dataclass(frozen=True, kw_only=True)
class Sizing:
    """How blocks are sized once the plan's μ is known.

    Attributes:
        mu: μ of the plan.
        cohort: N, M, c and the sites a person may be at.
        largest: The largest number of users that a site declares.
        target: s aimed at.
        ring_bits: k that was asked for; None for the narrower of 32 and 64 that holds the round.
    """

    mu: float
    cohort: Cohort
    largest: int
    target: float
    ring_bits: int | None

    def round_spec(self, blocks: Sequence[BlockRequest], rate: float | None) -> RoundSpec:
        """The round in the ring asked for, or in the narrower of the usual ones that holds it."""
        widths = (self.ring_bits,) if self.ring_bits else _USUAL_RINGS
        share = math.fsum(request.share for request in blocks)
        mu = self.round_mu(share, rate) / math.sqrt(share)
        made = [self.block(request, mu * math.sqrt(request.share)) for request in blocks]
        return narrowest(made, self.cohort.sites, widths, sampling=rate)

    def round_mu(self, share: float, rate: float | None) -> float:
        """μ of a round, for a user who takes part."""
        if rate is None:
            return self.mu * math.sqrt(share)
        drawn = rate_of_person(rate, self.cohort.max_sites_per_person)
        return math.sqrt(math.log1p(share * (self.mu / drawn) ** 2))

    def block(self, request: BlockRequest, mu: float) -> BlockMechanism:
        """S from the target width and the ring, then s from S: (p·S)²/(n·s² - t²) = μ²."""
        persons = self.cohort.max_sites_per_person
        shares = self.cohort.min_survivors - self.cohort.colluding
        kernel = kernel_variance(request.size)

        def ideal(stddev: float) -> float:
            return mu * math.sqrt(shares * stddev**2 - kernel) / persons

        def made(sensitivity: int) -> BlockMechanism:
            exact = math.sqrt(((persons * sensitivity / mu) ** 2 + kernel) / shares)
            stddev = math.ceil(exact * _STDDEV_STEPS) / _STDDEV_STEPS
            if not MIN_STDDEV <= stddev <= MAX_STDDEV:
                raise PrivacyError(
                    "privacy/epsilon-unreachable",
                    f"block {request.name!r} needs noise of standard deviation {stddev} grid "
                    f"units; required: {MIN_STDDEV} to {MAX_STDDEV}",
                )
            return _mechanism(request, sensitivity, self.largest, stddev)

        least = min(math.ceil(ideal(MIN_STDDEV)), MAX_SENSITIVITY)
        most = min(max(math.floor(ideal(self.target)), least), MAX_SENSITIVITY)
        if self.ring_bits is None:
            return made(most)
        sites = self.cohort.sites
        return finest(made, least=least, most=most, bits=self.ring_bits, sites=sites)


def unnoised_round(
    blocks: Sequence[BlockRequest],
    rate: float | None,
    cohort: Cohort,
    largest: int,
    ring_bits: int | None,
) -> RoundSpec:
    """ε infinite: a grid of C/2^20 or as fine as the ring permits, integers as they are."""

    def block(request: BlockRequest) -> BlockMechanism:
        most = 1 if math.isinf(request.clip) else _UNNOISED_SENSITIVITY
        if ring_bits is None:
            return _mechanism(request, most, largest, 0.0)
        return finest(
            lambda sensitivity: _mechanism(request, sensitivity, largest, 0.0),
            least=min(most, _LEAST_UNNOISED_SENSITIVITY),
            most=most,
            bits=ring_bits,
            sites=cohort.sites,
        )

    integers = all(math.isinf(request.clip) for request in blocks)
    widths = (ring_bits,) if ring_bits else RING_WIDTHS if integers else _USUAL_RINGS
    made = [block(request) for request in blocks]
    return narrowest(made, cohort.sites, widths, sampling=rate)


def _mechanism(
    request: BlockRequest, sensitivity: int, largest: int, stddev: float
) -> BlockMechanism:
    return BlockMechanism(
        name=request.name,
        size=request.size,
        clip=request.clip,
        sensitivity=sensitivity,
        clamp=largest * math.ceil(Fraction(request.user_peak) * sensitivity),
        noise_stddev=stddev,
    )
