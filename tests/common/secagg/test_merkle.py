"""The tree against one written out by hand."""

import hashlib

import pytest

from recommons.common.hashing import framed
from recommons.common.secagg.merkle import depth, path, root, tree

LEAVES = [hashlib.sha256(bytes([i])).digest() for i in range(9)]


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(framed("recommons/secagg/1/tree-node", left + right)).digest()


def test_three_leaves_by_hand() -> None:
    a, b, c = LEAVES[:3]
    ab, cd = node(a, b), node(c, bytes(32))
    levels = tree([a, b, c])
    assert levels == (a + b + c + bytes(32), ab + cd, node(ab, cd))
    assert path(levels, 2) == bytes(32) + ab
    assert path(levels, 1) == a + cd


@pytest.mark.parametrize("count", range(1, 10))
def test_every_leaf_leads_to_the_root_and_from_no_other_place(count: int) -> None:
    levels = tree(LEAVES[:count])
    for place in range(count):
        siblings = path(levels, place)
        assert len(siblings) == 32 * depth(count)
        assert root(LEAVES[place], place, siblings) == levels[-1]
        for other in range(count):
            if other != place:
                assert root(LEAVES[place], other, siblings) != levels[-1]
        assert root(LEAVES[place - 1], place, siblings) != levels[-1] or count == 1


@pytest.mark.parametrize(
    ("leaves", "expected"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1000, 10), (1024, 10)]
)
def test_depth(leaves: int, expected: int) -> None:
    assert depth(leaves) == expected
