"""Ours and Flower's own functions, in turn, in one process, at the same work.

Flower's are those of `flwr.common.secure_aggregation`, called in the order in which its SecAgg+
client calls them and with the defaults of its workflow: integers modulo 2^32, a clipping range of
8 and 2^22 levels in it.

How the clock is read is in `timings`; the same rule holds for either side.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from flwr.common import ndarray_to_bytes
from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import generate_shared_key
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    factor_combine,
    parameters_addition,
    parameters_mod,
    parameters_subtraction,
)
from flwr.common.secure_aggregation.quantization import quantize
from flwr.common.secure_aggregation.secaggplus_utils import pseudo_rand_gen
from flwr.supercore.primitives.asymmetric import (
    bytes_to_private_key,
    bytes_to_public_key,
    generate_key_pairs,
    private_key_to_bytes,
    public_key_to_bytes,
)

from recommons.common.errors import RecommonsError
from recommons.common.models.neural.integers import truncate
from recommons.common.privacy.mechanism import BlockMechanism
from recommons.common.secagg.agreement import Agreement
from recommons.common.secagg.derivation import private_key, public_key
from recommons.common.secagg.masking import add_site_masks
from recommons.common.secagg.phases import Collected
from recommons.common.secagg.prg import add_masks
from recommons.common.secagg.ring import Ring, RingVector
from recommons.common.secagg.sets import SiteSet
from recommons.common.secagg.shamir import COEFFICIENT_BYTES, combine, lagrange_weights, split
from recommons.simulations.benchmarks.timings import Timings, Work, in_turn

__all__ = ["TARGETS", "Row", "measure_rows"]

TARGETS = {
    "mask_1e6": 8.0,
    "site_step_10_peers_1e6": 10.0,
    "shamir_100": 500.0,
    "raw_aes_fraction_1e7": 0.7,
}
"""The ratio that each row is meant to reach, and its order in the table."""

_SIZE = 10**6
_LONG = 10**7
_PEERS = 10
_SHARES = 100
_THRESHOLD = 51

_RING = Ring(32)
_CLIP = 8.0
_LEVELS = 1 << 22
_MODULUS = 1 << 32


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison.

    Attributes:
        name: One of `TARGETS`.
        ours: Our figure, in `unit`.
        peer: The other's.
        unit: ``ms`` or ``GB/s``.
        ratio: How many times as fast ours is.
        work: What both sides did.
        samples: Every repetition of each side, and of parts that explain the row.
    """

    name: str
    ours: float
    peer: float
    unit: str
    ratio: float
    work: str
    samples: dict[str, Timings]

    def result(self) -> dict[str, str | float]:
        """The row as `secagg.json` lists it."""
        return {
            "name": self.name,
            "ours": self.ours,
            "peer": self.peer,
            "unit": self.unit,
            "ratio": self.ratio,
        }


def measure_rows(repetitions: int, listen: Callable[[str], None]) -> list[Row]:
    """All rows, in the order of `TARGETS`.

    Args:
        repetitions: Of each side of each row.
        listen: Told what comes next.
    """
    rows = []
    for measure in (_mask, _site_step, _shamir, _raw_aes):
        listen(f"{measure.__name__.strip('_').replace('_', ' ')}: {repetitions} repetitions")
        rows.append(measure(repetitions))
    return rows


def _mask(repetitions: int) -> Row:
    key = _drawn("mask")
    words = _RING.zeros(_SIZE)
    vector = [np.zeros(_SIZE, np.int64)]

    def peer() -> object:
        mask = pseudo_rand_gen(key, _MODULUS, [(_SIZE,)])
        return parameters_mod(parameters_addition(vector, mask), _MODULUS)

    samples = in_turn({"ours": lambda: add_masks(words, [(key, 1)]), "peer": peer}, repetitions)
    return _row(
        "mask_1e6",
        f"one mask from a 32-byte seed, added to {_SIZE:,} integers modulo 2^32",
        samples,
    )


def _site_step(repetitions: int) -> Row:
    values = np.random.default_rng(0).normal(size=_SIZE)
    cores = os.cpu_count() or 1
    masks, flower = _ours_with_peers(), _flower_with_peers()

    block = BlockMechanism(
        name="update",
        size=_SIZE,
        clip=_CLIP,
        sensitivity=_LEVELS // 2,  # so the grid is the peer's: 2 · clip / levels
        clamp=_LEVELS // 2,
        noise_stddev=0.0,
    )

    def quantized() -> RingVector:
        words = _RING.zeros(_SIZE)
        truncate(values, block, words.view(np.int32))
        return words

    def ours(workers: int) -> memoryview:
        words = quantized()
        masks(words, workers)
        return _RING.encode(words)

    samples = in_turn(
        {
            "ours": lambda: ours(cores),
            "peer": lambda: flower([values]),
            "ours, one thread": lambda: ours(1),
            "ours, quantise alone": quantized,
            "peer, quantise alone": lambda: quantize([values], _CLIP, _LEVELS),
        },
        repetitions,
    )
    return _row(
        "site_step_10_peers_1e6",
        f"{_SIZE:,} float64 clipped and quantised, one own mask, {_PEERS} key agreements and the "
        f"masks they give, modulo 2^32, as bytes; ours on {cores} threads",
        samples,
    )


def _ours_with_peers() -> Callable[[RingVector, int], None]:
    everyone = SiteSet(_PEERS + 1, (1 << (_PEERS + 1)) - 1)
    secrets = {place: _drawn("key", place) for place in everyone}
    keys = {place: public_key(private_key(secret)) for place, secret in secrets.items()}
    own = _PEERS // 2
    phase = Collected(
        agreement=Agreement(
            full=_drawn("full"), members=everyone, mask_keys=keys, encryption_keys=keys
        ),
        mask_private=secrets[own],
        seed=_drawn("seed"),
        dealers=everyone,
        held=b"",
    )
    return lambda words, workers: add_site_masks(words, phase=phase, own=own, workers=workers)


def _flower_with_peers() -> Callable[[list[npt.NDArray[np.float64]]], object]:
    private, _ = generate_key_pairs()
    own_key = private_key_to_bytes(private)
    peer_keys = [public_key_to_bytes(generate_key_pairs()[1]) for _ in range(_PEERS)]
    seed = _drawn("seed")

    def step(parameters: list[npt.NDArray[np.float64]]) -> object:
        vector = factor_combine(1, quantize(parameters, _CLIP, _LEVELS))
        shapes = [part.shape for part in vector]
        vector = parameters_addition(vector, pseudo_rand_gen(seed, _MODULUS, shapes))
        for place, peer_key in enumerate(peer_keys):
            shared = generate_shared_key(
                bytes_to_private_key(own_key), bytes_to_public_key(peer_key)
            )
            mask = pseudo_rand_gen(shared, _MODULUS, shapes)
            combined = parameters_addition if place % 2 else parameters_subtraction
            vector = combined(vector, mask)
        return [ndarray_to_bytes(part) for part in parameters_mod(vector, _MODULUS)]

    return step


def _shamir(repetitions: int) -> Row:
    secret = _drawn("secret")
    randomness = b"".join(
        _drawn("coefficient", i) for i in range((_THRESHOLD - 1) * COEFFICIENT_BYTES // 32)
    )
    points = range(1, _SHARES + 1)

    def ours() -> bytes | None:
        shares = split(secret, threshold=_THRESHOLD, points=points, randomness=randomness)
        return combine(lagrange_weights(points[:_THRESHOLD]), shares[:_THRESHOLD])

    def peer() -> bytes:
        return combine_shares(create_shares(secret, _THRESHOLD, _SHARES)[:_THRESHOLD])

    if ours() != secret or peer() != secret:
        raise RecommonsError("bench/wrong", "a secret did not come back from its shares")
    samples = in_turn({"ours": ours, "peer": peer}, repetitions)
    return _row(
        "shamir_100",
        f"a 32-byte secret to {_SHARES} shares and back from {_THRESHOLD}, Lagrange weights "
        "included",
        samples,
    )


def _raw_aes(repetitions: int) -> Row:
    key, length = _drawn("raw"), _LONG * _RING.width
    words = _RING.zeros(_LONG)
    masks = [(_drawn("mask", i), 1) for i in range(_PEERS + 1)]
    reused = (1 << 17, -(-length // (1 << 17)))
    samples = in_turn(
        {
            "ours": lambda: add_masks(words, masks),
            "ours, one mask": lambda: add_masks(words, masks[:1]),
            "raw, one call": _raw(key, length, 1),
            "raw, 128 KiB buffer": _raw(key, *reused),
        },
        repetitions,
    )
    ours = len(masks) * length / samples["ours"].least / 1e9
    peer = max(
        length / samples["raw, one call"].least / 1e9,
        reused[0] * reused[1] / samples["raw, 128 KiB buffer"].least / 1e9,
    )
    return Row(
        name="raw_aes_fraction_1e7",
        ours=ours,
        peer=peer,
        unit="GB/s",
        ratio=ours / peer,
        work=f"keystream added to {_LONG:,} coordinates of 32 bits, {len(masks)} masks; the raw "
        "cipher alone, the faster of one call on a buffer that long and calls on one of 128 KiB",
        samples=samples,
    )


def _raw(key: bytes, length: int, calls: int) -> Work:
    zeros, room = np.zeros(length, np.uint8), np.empty(length + 16, np.uint8)

    def run() -> None:
        cipher = Cipher(algorithms.AES256(key), modes.CTR(bytes(16))).encryptor()
        for _ in range(calls):
            cipher.update_into(zeros.data, room.data)

    return run


def _row(name: str, work: str, samples: dict[str, Timings]) -> Row:
    ours, peer = samples["ours"].least, samples["peer"].least
    return Row(
        name=name,
        ours=ours * 1e3,
        peer=peer * 1e3,
        unit="ms",
        ratio=peer / ours,
        work=work,
        samples=samples,
    )


def _drawn(*labels: object) -> bytes:
    """32 repeatable bytes."""
    return hashlib.sha256(repr(labels).encode()).digest()
