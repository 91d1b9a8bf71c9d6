"""Vectors of single operations: derivations, masks, shares, commitments, parameters."""

from typing import Any

import numpy as np

from recommons.common.errors import InvalidInput
from recommons.common.secagg.agreement import agree, spec_hash, state_hash
from recommons.common.secagg.dealing import key_pair, leaves
from recommons.common.secagg.derivation import (
    Kind,
    expand,
    pair_mask_key,
    private_key,
    public_key,
    seal_shares,
    seed_commitment,
    self_mask_key,
    share_commitment,
    usable_point,
)
from recommons.common.secagg.merkle import path, tree
from recommons.common.secagg.messages import Keys, Shares
from recommons.common.secagg.parameters import RoundParameters
from recommons.common.secagg.prg import add_masks
from recommons.common.secagg.ring import Ring
from recommons.common.secagg.shamir import PRIME, combine, lagrange_weights, split
from tests.vectors.play import Play, drawn

__all__ = ["commitments", "derivation", "masks", "parameters", "shares"]

FIELD = 2**255 - 19


def derivation(plays: list[Play]) -> dict[str, Any]:
    """The file `derivation.json`."""
    full, ctx = drawn("full"), drawn("ctx")
    purposes = {
        "mask-key": 32,
        "encryption-key": 32,
        "seed": 32,
        "seed-coefficients": 144,
        "mask-key-coefficients": 48,
        "salts": 64,
    }
    return {
        "file": "derivation",
        "contexts": [play.to_json()["context"] for play in plays],
        "expansions": [
            {
                "entropy": drawn("expand").hex(),
                "purpose": purpose,
                "context": ctx.hex(),
                "bytes": expand(drawn("expand"), purpose, ctx, length).hex(),
            }
            for purpose, length in purposes.items()
        ],
        "key_pairs": [_key_pairs(drawn("key pair", i), ctx) for i in range(3)],
        "fulls": [_full(play) for play in plays],
        "pair_masks": [_pair(full, i, j) for i, j in ((0, 1), (2, 300), (4094, 4095))],
        "self_masks": [
            {
                "seed": drawn("b", i).hex(),
                "full": full.hex(),
                "site": i,
                "key": self_mask_key(drawn("b", i), full, i).hex(),
            }
            for i in (0, 1, 4095)
        ],
        "sealed": [_sealed(full, i, j) for i, j in ((0, 1), (1, 0), (300, 2))],
        "points": [_point(point, why) for point, why in _points()],
    }


def _key_pairs(entropy: bytes, ctx: bytes) -> dict[str, str]:
    a, e = key_pair(entropy, ctx)
    return {
        "entropy": entropy.hex(),
        "ctx": ctx.hex(),
        "mask_private": a.hex(),
        "mask_public": _public(a).hex(),
        "encryption_private": e.hex(),
        "encryption_public": _public(e).hex(),
    }


def _public(private: bytes) -> bytes:
    return public_key(private_key(private))


def _full(play: Play) -> dict[str, Any]:
    keys = Keys.from_bytes(play.broadcasts[2])
    return {
        "ctx": keys.ctx.hex(),
        "spec": keys.spec.hex(),
        "spec_hash": spec_hash(keys.spec).hex(),
        "public_state": keys.public_state.hex(),
        "state_hash": state_hash(keys.public_state).hex(),
        "members": {"size": keys.members.size, "members": list(keys.members)},
        "keys": [[entry.mask_key.hex(), entry.encryption_key.hex()] for entry in keys.entries],
        "full": agree(keys).full.hex(),
    }


def _pair(full: bytes, i: int, j: int) -> dict[str, Any]:
    mine, theirs = drawn("a", i), drawn("a", j)
    key = pair_mask_key(private_key(mine), _public(theirs), full, i, j)
    return {
        "full": full.hex(),
        "sites": [i, j],
        "privates": [mine.hex(), theirs.hex()],
        "publics": [_public(mine).hex(), _public(theirs).hex()],
        "key": key.hex(),
    }


def _sealed(full: bytes, dealer: int, holder: int) -> dict[str, Any]:
    private, public = drawn("e", dealer), _public(drawn("e", holder))
    openings = bytes([dealer % 256]) * 98
    sealed = seal_shares(private_key(private), public, full, dealer, holder, openings)
    return {
        "private": private.hex(),
        "public": public.hex(),
        "full": full.hex(),
        "dealer": dealer,
        "holder": holder,
        "openings": openings.hex(),
        "ciphertext": sealed.hex(),
    }


def _points() -> list[tuple[bytes, str]]:
    low = {
        0: "of order 2 (and of order 1)",
        1: "of order 4",
        FIELD - 1: "of order 4 on the twist",
        325606250916557431795983626356110631294008115727848805560023387167927233504: "of order 8",
        39382357235489614581723060781553021112529911719440698176882885853963445705823: "of order 8",
    }
    points = [(u.to_bytes(32, "little"), f"low order: {why}") for u, why in low.items()]
    fresh = _public(drawn("point"))
    high = fresh[:31] + bytes([fresh[31] | 0x80])
    beyond = {FIELD: "the field's prime", FIELD + 9: "9 beyond the field's prime"}
    return [
        *points,
        *((u.to_bytes(32, "little"), f"not canonical: {why}") for u, why in beyond.items()),
        (high, "not canonical: the top bit is set"),
        (fresh, "an honest key"),
        ((9).to_bytes(32, "little"), "the base point"),
    ]


def _point(point: bytes, why: str) -> dict[str, Any]:
    return {"point": point.hex(), "usable": usable_point(point), "why": why}


def masks() -> dict[str, Any]:
    """The file `masks.json`."""
    found = [_mask(bits, sign) for bits in range(8, 65, 8) for sign in (1, -1)]
    return {"file": "masks", "masks": found, "long": [_long(bits) for bits in (24, 32, 64)]}


def _mask(bits: int, sign: int) -> dict[str, Any]:
    ring, key = Ring(bits), drawn("mask", bits)
    before = [0, 1, -1, (1 << (bits - 1)) - 1, -(1 << (bits - 1))]
    words = ring.wrap(np.array(before, np.int64))
    add_masks(words, [key], [sign])
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
    add_masks(words, [key], [1])
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
