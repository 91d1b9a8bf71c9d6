"""Vectors of single operations: masks, shares, commitments, parameters."""

from typing import Any

import numpy as np

from recommons.common.errors import InvalidInput
from recommons.common.secagg.dealing import leaves
from recommons.common.secagg.derivation import (
    Kind,
    seed_commitment,
    share_commitment,
)
from recommons.common.secagg.merkle import path, tree
from recommons.common.secagg.messages import Shares
from recommons.common.secagg.parameters import RoundParameters
from recommons.common.secagg.prg import add_masks
from recommons.common.secagg.ring import Ring
from recommons.common.secagg.shamir import PRIME, combine, lagrange_weights, split
from tests.vectors.play import Play
from tests.vectors.scenario import drawn

__all__ = ["commitments", "masks", "parameters", "shares"]


def masks() -> dict[str, Any]:
    """The file `masks.json`."""
    found = [_mask(bits, sign) for bits in range(8, 65, 8) for sign in (1, -1)]
    return {"file": "masks", "masks": found, "long": [_long(bits) for bits in (24, 32, 64)]}


def _mask(bits: int, sign: int) -> dict[str, Any]:
    ring, key = Ring(bits), drawn("mask", bits)
    before = [0, 1, -1, (1 << (bits - 1)) - 1, -(1 << (bits - 1))]
    words = ring.wrap(np.array(before, np.int64))
    add_masks(words, [(key, sign)])
    return {
        "key": key.hex(),
        "bits": bits,
        "sign": sign,
        "before": [str(value) for value in before],
        "after": [str(value) for value in ring.reduce(words).tolist()],
        "wire": ring.encode(words).hex(),
        "centred": [str(value) for value in ring.centre(words).tolist()],
    }


def _long(bits: int) -> dict[str, Any]:
    ring, key, size = Ring(bits), drawn("long mask", bits), 40_000
    words = ring.zeros(size)
    add_masks(words, [(key, 1)])
    # Around 2^16 bytes of keystream, where an implementation in chunks goes over to the next.
    edge = (1 << 16) // ring.dtype.itemsize
    chosen = (0, 1, edge - 1, edge, edge + 1, 2 * edge, size - 1)
    reduced = ring.reduce(words)
    return {
        "key": key.hex(),
        "bits": bits,
        "size": size,
        "words": {str(place): str(int(reduced[place])) for place in chosen},
    }


def shares() -> dict[str, Any]:
    """The file `shares.json`."""
    cases = [
        (drawn("secret"), 1, [1, 2]),
        (drawn("secret"), 2, [1, 2, 3]),
        (bytes(32), 3, [1, 2, 3, 4, 5]),
        (b"\xff" * 32, 3, [1, 3, 4096]),
        (drawn("secret", 7), 7, list(range(1, 11))),
    ]
    above = (1 << 256).to_bytes(33, "big").hex()
    rows = [_split(*case) for case in cases]
    combined = [_combine(row, chosen) for row in rows for chosen in _subsets(row)]
    too_large = {"points": [5], "shares": [above], "secret": None}
    if combine(lagrange_weights([5]), [1 << 256]) is not None:
        raise AssertionError
    return {
        "file": "shares",
        "prime": str(PRIME),
        "split": rows,
        "combine": [*combined, too_large],
    }


def _split(secret: bytes, threshold: int, points: list[int]) -> dict[str, Any]:
    blocks = -(-(threshold - 1) * 48 // 32)
    drawn_bytes = b"".join(drawn("coefficients", threshold, i) for i in range(blocks))
    randomness = drawn_bytes[: (threshold - 1) * 48]
    dealt = split(secret, threshold=threshold, points=points, randomness=randomness)
    return {
        "secret": secret.hex(),
        "threshold": threshold,
        "points": points,
        "randomness": randomness.hex(),
        "shares": [share.to_bytes(33, "big").hex() for share in dealt],
    }


def _subsets(row: dict[str, Any]) -> list[list[int]]:
    """The first and the last `threshold` shares, by their index."""
    count, threshold = len(row["points"]), row["threshold"]
    return [list(range(threshold)), list(range(count - threshold, count))]


def _combine(row: dict[str, Any], chosen: list[int]) -> dict[str, Any]:
    points = [row["points"][i] for i in chosen]
    values = [row["shares"][i] for i in chosen]
    secret = combine(lagrange_weights(points), [int(value, 16) for value in values])
    return {"points": points, "shares": values, "secret": secret.hex() if secret else None}


def commitments(play: Play) -> dict[str, Any]:
    """The file `commitments.json`."""
    full = drawn("full")
    opening = drawn("share")[:1] + drawn("share") + drawn("salt")[:16]
    some = [drawn("leaf", i) for i in range(9)]
    return {
        "file": "commitments",
        "seeds": [
            {
                "seed": drawn("b", i).hex(),
                "full": full.hex(),
                "site": i,
                "commitment": seed_commitment(drawn("b", i), full, i).hex(),
            }
            for i in (0, 258)
        ],
        "shares": [
            {
                "full": full.hex(),
                "kind": int(kind),
                "dealer": dealer,
                "holder": holder,
                "opening": opening.hex(),
                "commitment": share_commitment(full, kind, dealer, holder, opening).hex(),
            }
            for kind in Kind
            for dealer, holder in ((0, 1), (258, 7))
        ],
        "leaves": _leaves(play),
        "trees": [_tree(some[:count]) for count in (1, 2, 3, 5, 8, 9)],
    }


def _leaves(play: Play) -> list[dict[str, Any]]:
    message = Shares.from_bytes(play.uploads["site-1"][3])
    return [
        {
            "holder": holder,
            "commitments": message.commitment_pair(rank).hex(),
            "ciphertext": message.ciphertext(rank).hex(),
            "leaf": leaves(message)[rank].hex(),
        }
        for rank, holder in enumerate(message.holders)
    ]


def _tree(some: list[bytes]) -> dict[str, Any]:
    levels = tree(some)
    paths = [path(levels, place) for place in range(len(some))]
    return {
        "leaves": [leaf.hex() for leaf in some],
        "root": levels[-1].hex(),
        "paths": [[p[at : at + 32].hex() for at in range(0, len(p), 32)] for p in paths],
    }


def parameters() -> dict[str, Any]:
    """The file `parameters.json`."""
    numbers = [(n, c, m) for n in range(1, 8) for c in range(n) for m in range(1, n + 2)]
    numbers += [(10, 2, 7), (10, 9, 10), (100, 20, 61), (100, 20, 60), (1000, 100, 551)]
    numbers += [(4096, 0, 2049), (4097, 0, 4097)]
    return {"file": "parameters", "rows": [_row(*row) for row in numbers]}


def _row(sites: int, colluding: int, survivors: int) -> dict[str, Any]:
    row: dict[str, Any] = {"sites": sites, "colluding": colluding, "survivors": survivors}
    try:
        found = RoundParameters(sites=sites, colluding=colluding, survivors=survivors)
    except InvalidInput as error:
        return row | {"code": error.code}
    return row | {"quorum": found.quorum, "dropouts": found.tolerated}
