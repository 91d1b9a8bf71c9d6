"""Shamir's sharing and the hash tree, by the textbook."""

from tests.naive_secagg.fields import digest

__all__ = ["PRIME", "depth", "path", "recover", "root_from", "root_of", "shares_of"]

PRIME = 2**256 + 297


def shares_of(secret: bytes, threshold: int, points: list[int], randomness: bytes) -> list[int]:
    """f(x) for f(0) = secret; the randomness gives the coefficients from the highest down."""
    chunks = [int.from_bytes(randomness[48 * i : 48 * i + 48], "big") for i in range(threshold - 1)]
    coefficients = [int.from_bytes(secret, "big"), *reversed(chunks)]
    return [sum(c * x**power for power, c in enumerate(coefficients)) % PRIME for x in points]


def recover(points: list[int], shares: list[int]) -> int:
    """f(0) by Lagrange's formula."""
    total = 0
    for i, x in enumerate(points):
        weight = 1
        for j, other in enumerate(points):
            if i != j:
                weight = weight * other * pow(other - x, -1, PRIME) % PRIME
        total += weight * shares[i]
    return total % PRIME


def depth(leaves: int) -> int:
    levels = 0
    while 2**levels < leaves:
        levels += 1
    return levels


def _node(left: bytes, right: bytes) -> bytes:
    return digest("recommons/secagg/1/tree-node", left + right)


def root_of(leaves: list[bytes]) -> bytes:
    padded = leaves + [bytes(32)] * (2 ** depth(len(leaves)) - len(leaves))
    if len(padded) == 1:
        return padded[0]
    half = len(padded) // 2
    return _node(_full_root(padded[:half]), _full_root(padded[half:]))


def _full_root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    half = len(leaves) // 2
    return _node(_full_root(leaves[:half]), _full_root(leaves[half:]))


def path(leaves: list[bytes], place: int) -> list[bytes]:
    """The siblings from the leaf's own up to the one below the root."""
    padded = leaves + [bytes(32)] * (2 ** depth(len(leaves)) - len(leaves))
    siblings = []
    width = 1
    while width < len(padded):
        start = (place // width ^ 1) * width
        siblings.append(_full_root(padded[start : start + width]))
        width *= 2
    return siblings


def root_from(leaf: bytes, place: int, siblings: list[bytes]) -> bytes:
    for level, sibling in enumerate(siblings):
        is_right = place // 2**level % 2 == 1
        leaf = _node(sibling, leaf) if is_right else _node(leaf, sibling)
    return leaf
