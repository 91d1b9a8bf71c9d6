"""Which ring a round's sums are taken in, and how fine a grid a given ring leaves room for.

A coordinate travels in k bits. The wrap rule (`noise.fits_ring`) bounds what fits in them, so a
narrower ring takes a coarser grid: S and s grow smaller together, and the noise in clips stays the
same, but a user's coordinates are truncated to larger steps.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

from recommons.common.errors import PrivacyError
from recommons.common.privacy.mechanism import BlockMechanism, RoundSpec
from recommons.common.privacy.noise import fits_ring
from recommons.common.secagg.ring import RING_WIDTHS

__all__ = ["finest", "narrowest"]


def narrowest(
    blocks: Sequence[BlockMechanism],
    sites: int,
    widths: Iterable[int] = RING_WIDTHS,
    *,
    sampling: float | None = None,
) -> RoundSpec:
    """The round in the first of these widths that holds it.

    Args:
        blocks: The round's blocks.
        sites: N.
        widths: Widths in bits, ascending.
        sampling: The round's rate.

    Raises:
        PrivacyError: ``privacy/ring-too-small``.
    """
    for bits in widths:
        spec = RoundSpec(ring_bits=bits, blocks=tuple(blocks), sampling=sampling)
        if fits_ring(spec, sites):
            return spec
    raise _too_small(bits, blocks, sites)


def finest(
    block: Callable[[int], BlockMechanism], *, least: int, most: int, bits: int, sites: int
) -> BlockMechanism:
    """The block on the finest grid that a ring of this width holds.

    Args:
        block: The block for a sensitivity S; its clamp and its noise grow with S.
        least: The least S permitted.
        most: The largest S of use.
        bits: k.
        sites: N.

    Raises:
        PrivacyError: ``privacy/ring-too-small``: not even the least S fits.
    """

    def wraps(sensitivity: int) -> bool:
        spec = RoundSpec(ring_bits=bits, blocks=(block(sensitivity),))
        return not fits_ring(spec, sites)

    if wraps(least):
        raise _too_small(bits, (block(least),), sites)
    choices = range(least, max(least, most) + 1)
    return block(choices[bisect_left(choices, True, key=wraps) - 1])


def _too_small(bits: int, blocks: Sequence[BlockMechanism], sites: int) -> PrivacyError:
    widths = [k for k in RING_WIDTHS if fits_ring(RoundSpec(ring_bits=k, blocks=(*blocks,)), sites)]
    needed = f"at least {widths[0]}" if widths else "more than there are"
    names = ", ".join(repr(block.name) for block in blocks)
    return PrivacyError(
        "privacy/ring-too-small",
        f"ring_bits is {bits}; required for blocks {names} summed over {sites} sites: {needed}",
    )
