"""The ring Z/2^k in which vectors are summed: width, wrapping, centring and wire bytes.

A vector of n coordinates lives in memory as unsigned words (32-bit words for k ≤ 32, 64-bit words
above) and travels as n·k/8 bytes, each coordinate little-endian. Because 2^k divides the words'
own modulus, sums may be taken in whole words and cut to k bits when they leave: the cut is a ring
homomorphism.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from recommons.common.errors import InvalidInput

__all__ = ["RING_WIDTHS", "Ring", "RingVector", "VectorShape"]

RingVector = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]

RING_WIDTHS = tuple(range(8, 65, 8))
"""Whole bytes a coordinate, in bits."""

_MAX_SIZE = 1 << 31


@dataclass(frozen=True)
class Ring:
    """Z/2^k for a width k of whole bytes.

    Attributes:
        bits: k, one of 8, 16, …, 64.
    """

    bits: int

    def __post_init__(self) -> None:
        if self.bits not in RING_WIDTHS:
            raise InvalidInput(
                "input/argument", f"ring bits is {self.bits}; required: a multiple of 8 up to 64"
            )

    @property
    def width(self) -> int:
        """Bytes of one coordinate on the wire."""
        return self.bits // 8

    @property
    def dtype(self) -> np.dtype[Any]:
        """The word a coordinate is held in, little-endian as on the wire."""
        return np.dtype("<u4") if self.bits <= 32 else np.dtype("<u8")

    def zeros(self, size: int) -> RingVector:
        """The neutral vector, shape ``(size,)``."""
        return np.zeros(size, self.dtype)

    def wrap(self, values: npt.NDArray[Any]) -> RingVector:
        """A fresh copy of exact integers as ring words, each reduced modulo the word.

        Args:
            values: Shape ``(n,)``, int64, or already words of this ring. Any other type is
                refused: a float that was rounded by accident would be masked silently.

        Raises:
            InvalidInput: Wrong type or not one-dimensional (``secagg/vector``).
        """
        if not isinstance(values, np.ndarray) or values.ndim != 1:
            raise InvalidInput("secagg/vector", "the vector must be a one-dimensional numpy array")
        if values.dtype not in (np.dtype(np.int64), self.dtype):
            raise InvalidInput(
                "secagg/vector",
                f"the vector's type is {values.dtype}; required: int64 or {self.dtype.name}",
            )
        return values.astype(self.dtype, copy=True)

    def reduce(self, words: RingVector) -> RingVector:
        """The words modulo 2^k."""
        if self.width == self.dtype.itemsize:
            return words
        reduced: RingVector = words & self.dtype.type((1 << self.bits) - 1)
        return reduced

    def centre(self, words: RingVector) -> npt.NDArray[np.int64]:
        """The representatives in [-2^(k-1), 2^(k-1)), as int64, shape unchanged."""
        spare = np.uint8(words.dtype.itemsize * 8 - self.bits)
        signed = np.dtype(f"<i{words.dtype.itemsize}")
        centred: npt.NDArray[np.int64] = ((words << spare).view(signed) >> spare).astype(np.int64)
        return centred

    def encode(self, words: RingVector) -> memoryview:
        """The wire bytes: k/8 bytes a coordinate, little-endian.

        Where the widths agree they are a read-only view on the words, not a copy.
        """
        data = np.ascontiguousarray(words, self.dtype).view(np.uint8)
        if self.width != self.dtype.itemsize:
            data = data.reshape(-1, self.dtype.itemsize)[:, : self.width].ravel()
        return data.data.toreadonly()

    def decode(self, data: bytes | memoryview) -> RingVector:
        """Words from wire bytes (a read-only view on them where the widths agree).

        Raises:
            InvalidInput: The length is not a whole number of coordinates.
        """
        if len(data) % self.width:
            raise InvalidInput(
                "input/argument",
                f"{len(data)} bytes are not whole coordinates of {self.width} bytes",
            )
        if self.width == self.dtype.itemsize:
            return np.frombuffer(data, self.dtype)
        size = len(data) // self.width
        words = np.zeros((size, self.dtype.itemsize), np.uint8)
        words[:, : self.width] = np.frombuffer(data, np.uint8).reshape(size, self.width)
        return words.view(self.dtype).reshape(size)


@dataclass(frozen=True, kw_only=True)
class VectorShape:
    """What a masked vector must look like.

    Attributes:
        size: Number of coordinates, 1 to 2^31.
        bits: k, the width of the ring.
    """

    size: int
    bits: int

    def __post_init__(self) -> None:
        Ring(self.bits)
        if not 1 <= self.size <= _MAX_SIZE:
            raise InvalidInput(
                "input/argument", f"vector size is {self.size}; required: 1 to {_MAX_SIZE}"
            )

    @property
    def ring(self) -> Ring:
        """The ring of the coordinates."""
        return Ring(self.bits)

    @property
    def wire_bytes(self) -> int:
        """Length of the vector on the wire."""
        return self.size * self.ring.width
