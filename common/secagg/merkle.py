"""A hash tree, so that one signature vouches for many leaves and a receiver needs only its own.

Leaves are padded with zeros to a power of two, so every path has the same length. Leaves are
digests under a domain of their own (never the node domain), so no leaf passes for a node; places
are part of the leaves' own digests and of the order in which a path is folded.
"""

from collections.abc import Sequence

from recommons.common.hashing import digest

__all__ = ["HASH_BYTES", "depth", "path", "root", "tree"]

HASH_BYTES = 32
_NODE = "recommons/secagg/1/tree-node"
_EMPTY = bytes(HASH_BYTES)


def depth(leaves: int) -> int:
    """Length of a path, in digests."""
    return max(leaves - 1, 0).bit_length()


def tree(leaves: Sequence[bytes]) -> tuple[bytes, ...]:
    """Every level from the leaves to the root, each as its digests joined."""
    padded = [*leaves, *([_EMPTY] * ((1 << depth(len(leaves))) - len(leaves)))]
    levels = [b"".join(padded)]
    while len(levels[-1]) > HASH_BYTES:
        below = levels[-1]
        pairs = range(0, len(below), 2 * HASH_BYTES)
        levels.append(b"".join(digest(_NODE, below[p : p + 2 * HASH_BYTES]) for p in pairs))
    return tuple(levels)


def path(levels: Sequence[bytes], place: int) -> bytes:
    """The siblings from the leaf at `place` up to below the root, joined."""
    siblings = []
    for level in levels[:-1]:
        start = (place ^ 1) * HASH_BYTES
        siblings.append(level[start : start + HASH_BYTES])
        place >>= 1
    return b"".join(siblings)


def root(leaf: bytes, place: int, siblings: bytes) -> bytes:
    """The root that a leaf at `place` and its path lead to."""
    node = leaf
    for start in range(0, len(siblings), HASH_BYTES):
        sibling = siblings[start : start + HASH_BYTES]
        node = digest(_NODE, sibling + node if place & 1 else node + sibling)
        place >>= 1
    return node
