"""Steps 5 and 9 at a site: the masks on its vector, and the choice of shares to reveal."""

from recommons.common.secagg.derivation import (
    OPENING_BYTES,
    Kind,
    pair_mask_key,
    private_key,
    self_mask_key,
)
from recommons.common.secagg.phases import Collected, Signed
from recommons.common.secagg.prg import add_masks
from recommons.common.secagg.ring import RingVector

__all__ = ["add_site_masks", "chosen_openings", "pair_sign"]


def pair_sign(own: int, other: int) -> int:
    """The sign with which `own` applies the mask it shares with `other`: + for the lower place."""
    return 1 if own < other else -1


def add_site_masks(words: RingVector, *, phase: Collected, own: int, workers: int) -> None:
    """Adds ``PRG(b) + Σ_{j ∈ U2} ±PRG(s_ij)`` in place."""
    full = phase.agreement.full
    private = private_key(phase.mask_private)
    peers = list(phase.dealers.without(own))
    keys = [self_mask_key(phase.seed, full, own)]
    keys += [pair_mask_key(private, phase.agreement.mask_keys[j], full, own, j) for j in peers]
    signs = [1, *(pair_sign(own, j) for j in peers)]
    add_masks(words, keys, signs, workers=workers)


def chosen_openings(phase: Signed) -> bytes:
    """For each dealer its seed's share if it survived, else its mask key's; never both."""
    chosen = []
    for rank, dealer in enumerate(phase.masked.dealers):
        kind = Kind.SEED if dealer in phase.survivors else Kind.MASK_KEY
        start = (2 * rank + kind) * OPENING_BYTES
        chosen.append(phase.masked.held[start : start + OPENING_BYTES])
    return b"".join(chosen)
