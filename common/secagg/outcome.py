"""Where a coordinator's round stands, and what it ends with."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from recommons.common.secagg.ring import RingVector, VectorShape

__all__ = ["RoundResult", "Step"]


class Step(IntEnum):
    """Which messages of the sites the coordinator is collecting."""

    ADVERTISE = 1
    SHARES = 3
    MASKED = 5
    SIGNATURE = 7
    REVEAL = 9
    DONE = 10
    ABORTED = 11


@dataclass(frozen=True, kw_only=True)
class RoundResult:
    """An opened sum.

    Attributes:
        words: The sum over the survivors in the ring's words, shape ``(size,)``.
        shape: Its size and ring.
        survivors: Whose vectors are in it.
        certificate: Bytes of the `Certificate`: the evidence that a quorum agreed to open it.
        vector_hashes: Hash of each survivor's masked vector, as it signed it.
        excluded: Sites set aside, with the code of what they sent.
        missing: Sites that had not answered when a step was closed.
    """

    words: RingVector
    shape: VectorShape
    survivors: tuple[str, ...]
    certificate: bytes
    vector_hashes: Mapping[str, bytes]
    excluded: Mapping[str, str]
    missing: Mapping[Step, tuple[str, ...]]

    @property
    def values(self) -> npt.NDArray[np.int64]:
        """The sum as signed integers, shape ``(size,)``, right where the wrap rule holds."""
        return self.shape.ring.centre(self.words)
