"""Sets of sites of one cohort, by their places in it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from recommons.common.errors import InvalidInput

__all__ = ["MAX_COHORT", "SiteSet"]

MAX_COHORT = 4096


@dataclass(frozen=True)
class SiteSet:
    """A subset of a cohort, as a bit for every place.

    Attributes:
        size: Number of sites of the cohort, 1 to `MAX_COHORT`.
        bits: Bit i is set when the cohort's site i (from 0, in the cohort's order) is a member.
    """

    size: int
    bits: int

    def __post_init__(self) -> None:
        if not 1 <= self.size <= MAX_COHORT or not 0 <= self.bits < 1 << self.size:
            raise InvalidInput("input/argument", f"no subset of {self.size} sites")

    @classmethod
    def of(cls, size: int, members: Iterable[int]) -> "SiteSet":
        """The set of these places."""
        bits = 0
        for member in members:
            if not 0 <= member < size:
                raise InvalidInput("input/argument", f"place {member} in a cohort of {size}")
            bits |= 1 << member
        return cls(size, bits)

    def __len__(self) -> int:
        return self.bits.bit_count()

    def __iter__(self) -> Iterator[int]:
        """Members in ascending order."""
        return (place for place in range(self.size) if self.bits >> place & 1)

    def __contains__(self, place: int) -> bool:
        return 0 <= place < self.size and bool(self.bits >> place & 1)

    def __le__(self, other: "SiteSet") -> bool:
        """Whether this is a subset of the other set of the same cohort."""
        return self.size == other.size and not self.bits & ~other.bits

    def __sub__(self, other: "SiteSet") -> "SiteSet":
        return SiteSet(self.size, self.bits & ~other.bits)

    def without(self, place: int) -> "SiteSet":
        """The set without this place."""
        return SiteSet(self.size, self.bits & ~(1 << place))

    def rank(self, place: int) -> int:
        """How many members come before this place."""
        return (self.bits & ((1 << place) - 1)).bit_count()

    def to_bytes(self) -> bytes:
        """The size as 2 bytes, big-endian; then the bits, place 0 in the lowest bit, first byte."""
        return self.size.to_bytes(2, "big") + self.bits.to_bytes(-(-self.size // 8), "little")
