"""Reading and writing fixed and length-prefixed fields, strictly.

Integers are big-endian and unsigned. A reader refuses anything it did not expect: too short, too
long, out of bounds, or left over.
"""

from recommons.common.errors import ProtocolAbort
from recommons.common.secagg.sets import MAX_COHORT, SiteSet

__all__ = ["Reader", "sized", "u8", "u16", "u32", "u64"]


def u8(value: int) -> bytes:
    """One byte."""
    return value.to_bytes(1, "big")


def u16(value: int) -> bytes:
    """Two bytes."""
    return value.to_bytes(2, "big")


def u32(value: int) -> bytes:
    """Four bytes."""
    return value.to_bytes(4, "big")


def u64(value: int) -> bytes:
    """Eight bytes."""
    return value.to_bytes(8, "big")


def sized(data: bytes) -> bytes:
    """Bytes preceded by their length as eight bytes."""
    return u64(len(data)) + data


class Reader:
    """Takes fields one after another from bytes of a stranger."""

    def __init__(self, data: bytes, what: str) -> None:
        """Starts at the beginning of `data`; `what` names it in messages."""
        self._data = memoryview(data).toreadonly()
        self._place = 0
        self._what = what

    def view(self, length: int) -> memoryview:
        """The next `length` bytes without copying."""
        end = self._place + length
        if end > len(self._data):
            raise self.wrong(f"{end - len(self._data)} bytes are missing")
        part = self._data[self._place : end]
        self._place = end
        return part

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        return bytes(self.view(length))

    def _number(self, width: int) -> int:
        return int.from_bytes(self.view(width), "big")

    def u8(self) -> int:
        """One byte."""
        return self._number(1)

    def u16(self) -> int:
        """Two bytes."""
        return self._number(2)

    def u32(self) -> int:
        """Four bytes."""
        return self._number(4)

    def u64(self) -> int:
        """Eight bytes."""
        return self._number(8)

    def sized(self, limit: int) -> bytes:
        """Bytes preceded by their length, at most `limit`."""
        length = self.u64()
        if length > limit:
            raise self.wrong(f"a field of {length} bytes; allowed: {limit}")
        return self.take(length)

    def sites(self) -> SiteSet:
        """A set of sites in its one form: no bit beyond the cohort."""
        size = self.u16()
        if not 1 <= size <= MAX_COHORT:
            raise self.wrong(f"a cohort of {size} sites; allowed: 1 to {MAX_COHORT}")
        bits = int.from_bytes(self.view(-(-size // 8)), "little")
        if bits >> size:
            raise self.wrong("a set of sites has a member outside its cohort")
        return SiteSet(size, bits)

    def end(self) -> None:
        """Refuses bytes left over."""
        if self._place != len(self._data):
            raise self.wrong(f"{len(self._data) - self._place} bytes too many")

    def wrong(self, reason: str) -> ProtocolAbort:
        """The error to raise."""
        return ProtocolAbort("secagg/malformed", f"{self._what}: {reason}")
