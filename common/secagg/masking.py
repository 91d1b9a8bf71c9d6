"""Steps 5 and 9 at a site: the masks on its vector, and the choice of shares to reveal."""

from collections.abc import Iterator

from recommons.common.secagg.derivation import (
    OPENING_BYTES,
    Kind,
    pair_mask_key,
    private_key,
    self_mask_key,
)
from recommons.common.secagg.phases import Collected, Signed
from recommons.common.secagg.prg import Mask, add_masks, worthwhile_threads
from recommons.common.secagg.ring import RingVector

__all__ = ["add_site_masks", "chosen_openings", "pair_sign"]


def pair_sign(own: int, other: int) -> int:
    """The sign with which `own` applies the mask it shares with `other`: + for the lower place."""
    return 1 if own < other else -1


def add_site_masks(words: RingVector, *, phase: Collected, own: int, workers: int) -> None:
    """Adds ``PRG(b) + Σ_{j ∈ U2} ±PRG(s_ij)`` in place."""
    threads = worthwhile_threads(words, len(phase.dealers), workers)
    add_masks(words, _site_masks(phase, own), threads=threads)


def _site_masks(phase: Collected, own: int) -> Iterator[Mask]:
    """The mask that `own` shares with each dealer; with itself, its self-mask."""
    full, mask_keys = phase.agreement.full, phase.agreement.mask_keys
    private = private_key(phase.mask_private)
    for j in phase.dealers:
        if j == own:
            yield self_mask_key(phase.seed, full, own), 1
        else:
            yield pair_mask_key(private, mask_keys[j], full, own, j), pair_sign(own, j)


def chosen_openings(phase: Signed) -> bytes:
    """For each dealer its seed's share if it survived, else its mask key's; never both."""
    chosen = []
    for rank, dealer in enumerate(phase.masked.dealers):
        kind = Kind.SEED if dealer in phase.survivors else Kind.MASK_KEY
        start = (2 * rank + kind) * OPENING_BYTES
        chosen.append(phase.masked.held[start : start + OPENING_BYTES])
    return b"".join(chosen)
