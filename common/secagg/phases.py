"""Where a site stands in a round, and which secrets it still needs there.

Each phase holds what later steps need and nothing else: private keys and the seed are gone once
the vector is masked, shares once they are revealed. The two last phases hold no secret at all.
"""

from dataclasses import dataclass
from typing import ClassVar

from recommons.common.secagg.agreement import Agreement
from recommons.common.secagg.dealing import Secrets
from recommons.common.secagg.derivation import OPENING_BYTES
from recommons.common.secagg.envelope import HASH_BYTES
from recommons.common.secagg.sets import SiteSet
from recommons.common.secagg.wire import Reader, sized, u8

__all__ = [
    "Aborted",
    "Advertised",
    "Collected",
    "Dealt",
    "Keyed",
    "Masked",
    "Phase",
    "Revealed",
    "Signed",
    "read_phase",
    "write_phase",
]

_SECRET_BYTES = 32
_HELD_BYTES = 2 * OPENING_BYTES


@dataclass(frozen=True, kw_only=True, repr=False)
class Advertised:
    """After step 1: keys drawn."""

    name: ClassVar[str] = "advertised"

    entropy: bytes
    advertisement: bytes

    def to_bytes(self) -> bytes:
        """For durable state."""
        return self.entropy + sized(self.advertisement)

    @classmethod
    def read(cls, reader: Reader) -> "Advertised":
        """Reads what `to_bytes` wrote."""
        return cls(entropy=reader.take(_SECRET_BYTES), advertisement=reader.sized(1 << 10))


@dataclass(frozen=True, kw_only=True, repr=False)
class Keyed:
    """After step 2: keys, spec and public state agreed."""

    name: ClassVar[str] = "keyed"

    entropy: bytes
    agreement: Agreement

    def to_bytes(self) -> bytes:
        """For durable state."""
        return self.entropy + self.agreement.to_bytes()

    @classmethod
    def read(cls, reader: Reader) -> "Keyed":
        """Reads what `to_bytes` wrote."""
        return cls(entropy=reader.take(_SECRET_BYTES), agreement=Agreement.read(reader))


@dataclass(frozen=True, kw_only=True, repr=False)
class Dealt:
    """After step 3: own secrets dealt; `held` are the openings of the site's shares of them."""

    name: ClassVar[str] = "dealt"

    agreement: Agreement
    secrets: Secrets
    held: bytes

    def to_bytes(self) -> bytes:
        """For durable state."""
        s = self.secrets
        return b"".join(
            (
                self.agreement.to_bytes(),
                s.mask_private,
                s.encryption_private,
                s.seed,
                self.held,
            )
        )

    @classmethod
    def read(cls, reader: Reader) -> "Dealt":
        """Reads what `to_bytes` wrote."""
        return cls(
            agreement=Agreement.read(reader),
            secrets=Secrets(
                mask_private=reader.take(_SECRET_BYTES),
                encryption_private=reader.take(_SECRET_BYTES),
                seed=reader.take(_SECRET_BYTES),
            ),
            held=reader.take(_HELD_BYTES),
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class Collected:
    """After step 4: a share of every dealer's secrets, `held` in ascending order of U2."""

    name: ClassVar[str] = "collected"

    agreement: Agreement
    mask_private: bytes
    seed: bytes
    dealers: SiteSet
    held: bytes

    def to_bytes(self) -> bytes:
        """For durable state."""
        return b"".join(
            (
                self.agreement.to_bytes(),
                self.mask_private,
                self.seed,
                self.dealers.to_bytes(),
                self.held,
            )
        )

    @classmethod
    def read(cls, reader: Reader) -> "Collected":
        """Reads what `to_bytes` wrote."""
        agreement = Agreement.read(reader)
        mask_private, seed = reader.take(_SECRET_BYTES), reader.take(_SECRET_BYTES)
        dealers = reader.sites()
        return cls(
            agreement=agreement,
            mask_private=mask_private,
            seed=seed,
            dealers=dealers,
            held=reader.take(_HELD_BYTES * len(dealers)),
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class Masked:
    """After step 5: the vector is masked; of the secrets, others' shares (and own) remain."""

    name: ClassVar[str] = "masked"

    full: bytes
    dealers: SiteSet
    held: bytes
    vector_hash: bytes

    def to_bytes(self) -> bytes:
        """For durable state."""
        return self.full + self.dealers.to_bytes() + self.held + self.vector_hash

    @classmethod
    def read(cls, reader: Reader) -> "Masked":
        """Reads what `to_bytes` wrote."""
        full, dealers = reader.take(HASH_BYTES), reader.sites()
        held = reader.take(_HELD_BYTES * len(dealers))
        return cls(full=full, dealers=dealers, held=held, vector_hash=reader.take(HASH_BYTES))


@dataclass(frozen=True, kw_only=True, repr=False)
class Signed:
    """After step 7: one set of survivors signed."""

    name: ClassVar[str] = "signed"

    masked: Masked
    survivors: SiteSet

    def to_bytes(self) -> bytes:
        """For durable state."""
        return self.masked.to_bytes() + self.survivors.to_bytes()

    @classmethod
    def read(cls, reader: Reader) -> "Signed":
        """Reads what `to_bytes` wrote."""
        return cls(masked=Masked.read(reader), survivors=reader.sites())


@dataclass(frozen=True, kw_only=True)
class Revealed:
    """After step 9: done; no secret left."""

    name: ClassVar[str] = "revealed"

    vector_hash: bytes
    certificate_hash: bytes
    survivors: SiteSet

    def to_bytes(self) -> bytes:
        """For durable state."""
        return self.vector_hash + self.certificate_hash + self.survivors.to_bytes()

    @classmethod
    def read(cls, reader: Reader) -> "Revealed":
        """Reads what `to_bytes` wrote."""
        return cls(
            vector_hash=reader.take(HASH_BYTES),
            certificate_hash=reader.take(HASH_BYTES),
            survivors=reader.sites(),
        )


@dataclass(frozen=True, kw_only=True)
class Aborted:
    """Given up under a code; no secret left."""

    name: ClassVar[str] = "aborted"

    code: str

    def to_bytes(self) -> bytes:
        """For durable state."""
        return sized(self.code.encode())

    @classmethod
    def read(cls, reader: Reader) -> "Aborted":
        """Reads what `to_bytes` wrote."""
        return cls(code=reader.sized(100).decode("ascii", errors="replace"))


Phase = Advertised | Keyed | Dealt | Collected | Masked | Signed | Revealed | Aborted
_TAGS: tuple[type[Phase], ...] = (
    Advertised,
    Keyed,
    Dealt,
    Collected,
    Masked,
    Signed,
    Revealed,
    Aborted,
)


def write_phase(phase: Phase) -> bytes:
    """A byte for the phase, then what it holds."""
    return u8(_TAGS.index(type(phase))) + phase.to_bytes()


def read_phase(reader: Reader) -> Phase:
    """Reads what `write_phase` wrote."""
    tag = reader.u8()
    if tag >= len(_TAGS):
        raise reader.wrong(f"unknown phase {tag}")
    return _TAGS[tag].read(reader)
