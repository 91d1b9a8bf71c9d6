"""The masks that step 9 removes, and how their expansion may be spread over processes.

A site that survived left its self-mask in the sum; one that dropped out after dealing left, in
every survivor's vector, the mask it shares with it: an X25519 exchange, a key and a stream each. A
hundred of a thousand sites leave ninety thousand.

`Expander` is where a caller plugs in more than one process: `common` starts none. A process that
was handed `Expansion.to_bytes` and says which part is its own returns the sum of its masks, and
parts add up in the ring.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Self

from recommons.common.secagg.derivation import pair_mask_key, private_key, self_mask_key
from recommons.common.secagg.envelope import HASH_BYTES
from recommons.common.secagg.masking import pair_sign
from recommons.common.secagg.prg import Mask, add_masks, worthwhile_threads
from recommons.common.secagg.ring import RingVector
from recommons.common.secagg.wire import Reader, u16

__all__ = ["Expander", "Expansion", "in_threads"]

_KEY_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """Secrets recovered at step 9 and what their masks are derived from.

    Attributes:
        full: What was fixed at step 2.
        seeds: b of every survivor, by place.
        mask_keys: A of every survivor, by place.
        private_keys: a of every site of U2 that did not survive, by place.
    """

    full: bytes
    seeds: Mapping[int, bytes]
    mask_keys: Mapping[int, bytes]
    private_keys: Mapping[int, bytes]

    def __repr__(self) -> str:
        """Sizes alone."""
        return f"Expansion({len(self.seeds)} survivors, {len(self.private_keys)} dropped)"

    def __len__(self) -> int:
        """Number of masks."""
        return len(self.seeds) + len(self.private_keys) * len(self.mask_keys)

    def masks(self, start: int = 0, step: int = 1) -> Iterator[Mask]:
        """What undoes the masks of every `step`-th site from `start`.

        Of a survivor that is its self-mask; of a dropped site the masks it shares with survivors.
        """
        for place, seed in islice(self.seeds.items(), start, None, step):
            yield self_mask_key(seed, self.full, place), -1
        for place, secret in islice(self.private_keys.items(), start, None, step):
            private = private_key(secret)
            for survivor, mask_key in self.mask_keys.items():
                key = pair_mask_key(private, mask_key, self.full, place, survivor)
                yield key, -pair_sign(survivor, place)

    def to_bytes(self) -> bytes:
        """For a pipe to a process of this machine; it holds secrets."""
        lists = (self.seeds, self.mask_keys, self.private_keys)
        return self.full + b"".join(
            u16(len(one)) + b"".join(u16(place) + key for place, key in one.items())
            for one in lists
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` wrote.

        Raises:
            ProtocolAbort: ``secagg/malformed``.
        """
        reader = Reader(data, "expansion")
        full = reader.take(HASH_BYTES)
        seeds, mask_keys, private_keys = (
            {reader.u16(): reader.take(_KEY_BYTES) for _ in range(reader.u16())} for _ in range(3)
        )
        reader.end()
        return cls(full=full, seeds=seeds, mask_keys=mask_keys, private_keys=private_keys)


Expander = Callable[[RingVector, Expansion], None]
"""Adds all masks of an expansion to the words, in place."""


def in_threads(words: RingVector, expansion: Expansion, *, threads: int = 1) -> None:
    """The `Expander` of one process.

    Args:
        words: The sum of the survivors' masked vectors.
        expansion: The masks.
        threads: At most.
    """
    useful = worthwhile_threads(words, len(expansion), threads)
    add_masks(words, expansion.masks(), threads=useful)
