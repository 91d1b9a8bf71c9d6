"""Integers, lists of fields, sets of sites: how bytes are written and read."""

import hashlib
from typing import NamedTuple

__all__ = ["Cursor", "Refused", "SiteSet", "digest", "framed", "sized", "write_set"]


class Refused(Exception):
    """A check failed; the code names it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class SiteSet(NamedTuple):
    """Places, ascending, in a cohort of `size`."""

    size: int
    members: tuple[int, ...]


def framed(domain: str, *fields: bytes) -> bytes:
    out = b""
    for field in [domain.encode("utf-8"), *fields]:
        out += len(field).to_bytes(8, "big")
        out += field
    return out


def digest(domain: str, *fields: bytes) -> bytes:
    return hashlib.sha256(framed(domain, *fields)).digest()


def sized(data: bytes) -> bytes:
    return len(data).to_bytes(8, "big") + data


def write_set(sites: SiteSet) -> bytes:
    octets = [0] * ((sites.size + 7) // 8)
    for place in sites.members:
        octets[place // 8] += 2 ** (place % 8)
    return sites.size.to_bytes(2, "big") + bytes(octets)


class Cursor:
    """Reads a message from its start to its end."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def take(self, length: int) -> bytes:
        if len(self.rest) < length:
            raise Refused("secagg/malformed")
        found, self.rest = self.rest[:length], self.rest[length:]
        return found

    def many(self, length: int, times: int) -> list[bytes]:
        return [self.take(length) for _ in range(times)]

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def sized(self, limit: int) -> bytes:
        length = self.number(8)
        if length > limit:
            raise Refused("secagg/malformed")
        return self.take(length)

    def site_set(self) -> SiteSet:
        size = self.number(2)
        if not 1 <= size <= 4096:
            raise Refused("secagg/malformed")
        octets = self.take((size + 7) // 8)
        bits = [place for place in range(8 * len(octets)) if octets[place // 8] >> place % 8 & 1]
        if any(place >= size for place in bits):
            raise Refused("secagg/malformed")
        return SiteSet(size, tuple(bits))

    def end(self) -> None:
        if self.rest:
            raise Refused("secagg/malformed")
