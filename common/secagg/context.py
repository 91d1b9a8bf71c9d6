"""What one attempt of one secure sum is bound to.

``ctx = H(protocol version, federation id, run id, round, attempt, cohort and roster hash, plan
hash)`` names the attempt and is known before the round's public state exists, so that the next
round's advertisement can travel with this round's reveal. ``full`` (see `agreement`) adds what is
fixed at step 2. A context is used at most once, ever: keeping that promise across restarts is the
duty of whoever stores a site's state.
"""

from dataclasses import dataclass
from functools import cached_property

from recommons.common.errors import InvalidInput
from recommons.common.hashing import digest, framed
from recommons.common.secagg.identity import is_identifier
from recommons.common.secagg.roster import Roster
from recommons.common.secagg.sets import MAX_COHORT, SiteSet
from recommons.common.secagg.wire import Reader, sized, u8, u16, u32

__all__ = ["PROTOCOL_VERSION", "RUN_ID_BYTES", "Context"]

PROTOCOL_VERSION = 1
RUN_ID_BYTES = 16
_HASH_BYTES = 32
_LAST = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class Context:
    """One attempt of one round.

    Attributes:
        federation: The federation's identifier.
        run: Our own run id, 16 random bytes (never Flower's: a resumed run gets a new one there).
        round_index: The round, from 0.
        attempt: The attempt of this round, from 0; a retry is a new attempt.
        cohort: Identifiers of the sites the plan names, ascending, at least two.
        roster_hash: `Roster.hash`, as pinned at every site.
        plan_hash: 32 bytes; the plan fixes N, M, c, the vector specs and the privacy parameters.
    """

    federation: str
    run: bytes
    round_index: int
    attempt: int
    cohort: tuple[str, ...]
    roster_hash: bytes
    plan_hash: bytes

    def __post_init__(self) -> None:
        if not is_identifier(self.federation) or not all(map(is_identifier, self.cohort)):
            raise _invalid("federation and sites must be named by identifiers")
        if not 2 <= len(self.cohort) <= MAX_COHORT:
            raise _invalid(f"a cohort of {len(self.cohort)} sites; allowed: 2 to {MAX_COHORT}")
        if list(self.cohort) != sorted(set(self.cohort)):
            raise _invalid("the cohort must be ascending and without repetition")
        if len(self.run) != RUN_ID_BYTES:
            raise _invalid(f"run id of {len(self.run)} bytes; required: {RUN_ID_BYTES}")
        if not 0 <= self.round_index <= _LAST or not 0 <= self.attempt <= _LAST:
            raise _invalid("round and attempt must be from 0 to 2^32 - 1")
        if len(self.roster_hash) != _HASH_BYTES or len(self.plan_hash) != _HASH_BYTES:
            raise _invalid(f"roster and plan hashes have {_HASH_BYTES} bytes")

    @cached_property
    def hash(self) -> bytes:
        """``ctx``, 32 bytes."""
        return digest(
            "recommons/secagg/1/context",
            u8(PROTOCOL_VERSION),
            self.federation.encode(),
            self.run,
            u32(self.round_index),
            u32(self.attempt),
            framed("recommons/secagg/1/cohort", *(site.encode() for site in self.cohort)),
            self.roster_hash,
            self.plan_hash,
        )

    @property
    def everyone(self) -> SiteSet:
        """The whole cohort."""
        return SiteSet(len(self.cohort), (1 << len(self.cohort)) - 1)

    def names(self, sites: SiteSet) -> tuple[str, ...]:
        """Identifiers of a set of sites."""
        return tuple(self.cohort[place] for place in sites)

    def public_keys(self, roster: Roster) -> tuple[bytes, ...]:
        """The cohort's signing keys, in the cohort's order.

        Raises:
            InvalidInput: The roster is another than the context's, or lacks a site of the cohort.
        """
        if roster.hash != self.roster_hash or roster.federation != self.federation:
            raise InvalidInput("secagg/roster", "the roster is not the one this context names")
        absent = [site for site in self.cohort if site not in roster.keys]
        if absent:
            raise InvalidInput("secagg/roster", f"not in the roster: {', '.join(absent[:5])}")
        return tuple(roster.keys[site] for site in self.cohort)

    def to_bytes(self) -> bytes:
        """For durable state; `from_bytes` gives the context back."""
        return b"".join(
            (
                sized(self.federation.encode()),
                self.run,
                u32(self.round_index),
                u32(self.attempt),
                u16(len(self.cohort)),
                *(sized(site.encode()) for site in self.cohort),
                self.roster_hash,
                self.plan_hash,
            )
        )

    @classmethod
    def read(cls, reader: Reader) -> "Context":
        """Reads what `to_bytes` wrote."""
        return cls(
            federation=_text(reader),
            run=reader.take(RUN_ID_BYTES),
            round_index=reader.u32(),
            attempt=reader.u32(),
            cohort=tuple(_text(reader) for _ in range(reader.u16())),
            roster_hash=reader.take(_HASH_BYTES),
            plan_hash=reader.take(_HASH_BYTES),
        )


def _text(reader: Reader) -> str:
    # Identifiers are ASCII; anything else becomes a character no identifier has.
    return reader.sized(64).decode("ascii", errors="replace")


def _invalid(message: str) -> InvalidInput:
    return InvalidInput("secagg/context", message)
