"""What one secure sum releases: blocks of coordinates, each with its bound and its noise.

Notation (one table in `docs/notation.md`): C clip, γ grid, S = C/γ sensitivity in grid units,
B clamp of a site's sum, s standard deviation of one site's share of noise, k bits of the ring.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from recommons.common.errors import InvalidInput
from recommons.common.hashing import canonical_json, digest

__all__ = ["BlockMechanism", "RoundSpec"]


@dataclass(frozen=True, kw_only=True)
class BlockMechanism:
    """A block of integer coordinates released with discrete Gaussian noise.

    One user's integer contribution to the block has Euclidean norm at most `sensitivity`;
    neighbours differ by one user added or removed.

    Attributes:
        name: The block's name, unique in its round.
        size: Number of coordinates.
        clip: C, the largest L2 norm of a user's real-valued contribution. Infinite only where
            no privacy is claimed and contributions are integers already.
        sensitivity: S, the largest L2 norm of a user's integer contribution, in grid units.
        clamp: B, each coordinate of a site's sum is clamped to [-B, B] before noise.
        noise_stddev: s, the parameter of one site's discrete Gaussian share, in grid units;
            0 where no noise is added (ε infinite).
    """

    name: str
    size: int
    clip: float
    sensitivity: int
    clamp: int
    noise_stddev: float

    def __post_init__(self) -> None:
        for field in ("size", "sensitivity", "clamp"):
            value = getattr(self, field)
            if value < 1:
                raise InvalidInput(
                    "input/argument",
                    f"{field} of block {self.name!r} is {value}; required: at least 1",
                )
        if not self.clip > 0:
            raise InvalidInput(
                "input/argument",
                f"clip of block {self.name!r} is {self.clip}; required: a positive number",
            )
        if not 0 <= self.noise_stddev < float("inf"):
            raise InvalidInput(
                "input/argument",
                f"noise_stddev of block {self.name!r} is {self.noise_stddev}; "
                "required: a finite number, zero or more",
            )

    @property
    def grid(self) -> float:
        """γ, the value of one grid unit (1 where contributions are integers already)."""
        return 1.0 if self.clip == float("inf") else self.clip / self.sensitivity

    def to_json(self) -> dict[str, Any]:
        """A JSON object; an infinite clip is written as null."""
        return {
            "name": self.name,
            "size": self.size,
            "clip": None if self.clip == float("inf") else self.clip,
            "sensitivity": self.sensitivity,
            "clamp": self.clamp,
            "noise_stddev": self.noise_stddev,
        }


@dataclass(frozen=True, kw_only=True)
class RoundSpec:
    """One secure sum: its ring and its blocks, in the order in which they lie in the vector.

    Attributes:
        ring_bits: k, coordinates travel in Z modulo 2^k; a multiple of 8 up to 64.
        blocks: The blocks, in order.
        sampling: Probability with which each user takes part, drawn once for all blocks of an
            attempt; None where everybody does.
    """

    ring_bits: int
    blocks: tuple[BlockMechanism, ...]
    sampling: float | None = None

    def __post_init__(self) -> None:
        if self.sampling is not None and not 0 < self.sampling < 1:
            raise InvalidInput(
                "input/argument",
                f"sampling is {self.sampling}; required: between 0 and 1, or none for everybody",
            )

    @property
    def size(self) -> int:
        """Number of coordinates of the whole vector."""
        return sum(block.size for block in self.blocks)

    def slices(self) -> Iterator[tuple[BlockMechanism, slice]]:
        """Each block with its place in the vector."""
        start = 0
        for block in self.blocks:
            yield block, slice(start, start + block.size)
            start += block.size

    def to_json(self) -> dict[str, Any]:
        """A JSON object; ``sampling`` is there only where users are drawn."""
        blocks = [block.to_json() for block in self.blocks]
        drawn = {} if self.sampling is None else {"sampling": self.sampling}
        return {"ring_bits": self.ring_bits, "blocks": blocks, **drawn}

    def hash(self) -> bytes:
        """SHA-256 over the canonical JSON: the `vector spec hash` of the protocol."""
        return digest("recommons/round-spec/1", canonical_json(self.to_json()))
