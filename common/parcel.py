"""One message of Flower's as one object: its parts, the root last, each preceded by its length.

Flower keeps a message as a tree of objects, and each is stored, announced and fetched by itself.
Between the coordinator's app, the gateway and the agent a message travels as one parcel; what is in
it is known by its hashes, as Flower knows it.
"""

from collections.abc import Iterable
from typing import Protocol

from recommons.common.errors import InvalidInput

__all__ = ["MOST_OBJECTS", "pack_parcel", "unpack_parcel", "write_once"]

MOST_OBJECTS = 16
_LENGTH_BYTES = 8


class _Written(Protocol):
    def deflate(self) -> bytes:
        """The object's bytes."""
        ...


def write_once(objects: Iterable[_Written]) -> None:
    """Keep the bytes of these objects with them, from now on; they must not change any more.

    Flower writes an object anew whenever it is asked for its hash or its bytes, a vector too.
    """
    for item in objects:
        written = item.deflate()
        item.__dict__["deflate"] = lambda written=written: written


def pack_parcel(objects: Iterable[bytes]) -> bytes:
    """The parcel of these objects."""
    parts: list[bytes] = []
    for content in objects:
        parts += [len(content).to_bytes(_LENGTH_BYTES, "big"), content]
    return b"".join(parts)


def unpack_parcel(parcel: bytes) -> list[bytes]:
    """The objects of a parcel.

    Raises:
        InvalidInput: ``site/message``: not a parcel of at most 16 objects.
    """
    found: list[bytes] = []
    place = 0
    while place < len(parcel):
        start = place + _LENGTH_BYTES
        place = start + int.from_bytes(parcel[start - _LENGTH_BYTES : start], "big")
        if place > len(parcel) or len(found) == MOST_OBJECTS:
            raise InvalidInput("site/message", f"not a parcel of at most {MOST_OBJECTS} objects")
        found.append(parcel[start:place])
    return found
