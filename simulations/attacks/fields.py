"""Where each field of a message lies, read off the written grammar and not off the parser.

Used to flip single bits in every field of every message; see the grammar in
`recommons.common.secagg.messages`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Field", "fields", "flipped"]

_KEY, _DIGEST, _SIGNATURE, _CIPHERTEXT, _OPENING = 32, 32, 64, 114, 49


@dataclass(frozen=True, kw_only=True)
class Field:
    """One field: its name, and its place in the message."""

    name: str
    start: int
    end: int


class _Walk:
    """Goes through a message and notes where fields begin and end."""

    def __init__(self, message: bytes) -> None:
        self.message, self.place = message, 0
        self.found: list[Field] = []

    def take(self, name: str, length: int) -> bytes:
        start, self.place = self.place, self.place + length
        if length:
            self.found.append(Field(name=name, start=start, end=self.place))
        return self.message[start : self.place]

    def number(self, name: str, length: int) -> int:
        return int.from_bytes(self.take(name, length), "big")

    def set(self, name: str) -> int:
        """Returns the number of members."""
        size = self.number(f"{name} size", 2)
        return int.from_bytes(self.take(name, -(-size // 8)), "big").bit_count()

    def sized(self, name: str) -> None:
        self.take(name, self.number(f"{name} length", 8))


def _advertise(walk: _Walk) -> None:
    walk.take("site", 2)
    _pair(walk, "own")


def _pair(walk: _Walk, whose: str) -> None:
    walk.take(f"{whose} mask key", _KEY)
    walk.take(f"{whose} encryption key", _KEY)
    walk.take(f"{whose} signature", _SIGNATURE)


def _keys(walk: _Walk) -> None:
    for k in range(walk.set("U1")):
        _pair(walk, f"entry {k}")
    walk.sized("spec")
    walk.sized("public state")


def _shares(walk: _Walk) -> None:
    walk.take("site", 2)
    holders = walk.set("U1")
    walk.take("seed commitment", _DIGEST)
    for k in range(holders):
        walk.take(f"commitments {k}", 2 * _DIGEST)
    for k in range(holders - 1):
        walk.take(f"ciphertext {k}", _CIPHERTEXT)
    walk.take("signature", _SIGNATURE)


def _inbox(walk: _Walk) -> None:
    walk.take("site", 2)
    dealers = walk.set("U2")
    levels = walk.number("levels", 1)
    for k in range(dealers - 1):
        walk.take(f"entry {k} seed commitment", _DIGEST)
        walk.take(f"entry {k} commitments", 2 * _DIGEST)
        walk.take(f"entry {k} ciphertext", _CIPHERTEXT)
        walk.take(f"entry {k} path", levels * _DIGEST)
        walk.take(f"entry {k} signature", _SIGNATURE)


def _masked(walk: _Walk) -> None:
    walk.take("site", 2)
    walk.set("U2")
    bits = walk.number("bits", 1)
    size = walk.number("size", 8)
    walk.take("signature", _SIGNATURE)
    walk.take("vector", size * bits // 8)


def _survivors(walk: _Walk) -> None:
    walk.set("U2")
    walk.set("U3")


def _signature(walk: _Walk) -> None:
    walk.take("site", 2)
    walk.take("signature", _SIGNATURE)


def _certificate(walk: _Walk) -> None:
    walk.take("full", _DIGEST)
    walk.set("U2")
    walk.set("U3")
    for k in range(walk.set("signers")):
        walk.take(f"signature {k}", _SIGNATURE)


def _reveal(walk: _Walk) -> None:
    walk.take("site", 2)
    for k in range(_sets(walk)):
        walk.take(f"opening {k}", _OPENING)
    walk.take("signature", _SIGNATURE)


def _sets(walk: _Walk) -> int:
    dealers = walk.set("U2")
    walk.set("U3")
    return dealers


_BODIES: tuple[Callable[[_Walk], None], ...] = (
    _advertise,
    _keys,
    _shares,
    _inbox,
    _masked,
    _survivors,
    _signature,
    _certificate,
    _reveal,
)


def fields(message: bytes) -> tuple[Field, ...]:
    """Every field of a well-formed message, in order; together they are the whole message.

    Raises:
        ValueError: The grammar and the message do not have the same length.
    """
    walk = _Walk(message)
    walk.take("version", 1)
    kind = walk.number("kind", 1)
    walk.take("ctx", 32)
    _BODIES[kind - 1](walk)
    if walk.place != len(message):
        raise ValueError(f"the grammar accounts for {walk.place} of {len(message)} bytes")
    return tuple(walk.found)


def flipped(message: bytes, bits: int, field: Field) -> Iterator[tuple[int, bytes]]:
    """The message with one bit flipped: the field's first and last, and so many spread between.

    Yields:
        (number of the bit in the field, the message).
    """
    last = 8 * (field.end - field.start) - 1
    chosen = sorted({0, last, *(last * (k + 1) // (bits + 1) for k in range(bits))})
    for bit in chosen:
        changed = bytearray(message)
        changed[field.start + bit // 8] ^= 1 << bit % 8
        yield bit, bytes(changed)
