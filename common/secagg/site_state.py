"""A site's round as bytes for durable storage."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from recommons.common.errors import InvalidInput, ProtocolAbort
from recommons.common.secagg.context import Context
from recommons.common.secagg.envelope import HASH_BYTES, MessageKind
from recommons.common.secagg.parameters import RoundParameters, VerifiedPeers
from recommons.common.secagg.phases import Phase, read_phase, write_phase
from recommons.common.secagg.ring import VectorShape
from recommons.common.secagg.wire import Reader, u8, u16, u64

__all__ = ["Setting", "read", "write"]

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What does not change in an attempt.

    Attributes:
        context: The attempt.
        parameters: N, c and M.
        shape: The vector's.
        own: The site's place in the cohort.
        verified: The site's rule on verified peers, or None.
    """

    context: Context
    parameters: RoundParameters
    shape: VectorShape
    own: int
    verified: VerifiedPeers | None

    def __post_init__(self) -> None:
        if self.parameters.sites != len(self.context.cohort):
            raise InvalidInput(
                "secagg/context",
                f"the cohort has {len(self.context.cohort)} sites, "
                f"the parameters are for {self.parameters.sites}",
            )
        if self.verified is not None and self.verified.peers.size != self.parameters.sites:
            raise InvalidInput("secagg/context", "the verified peers are of another cohort")


def write(setting: Setting, answered: Mapping[MessageKind, bytes], phase: Phase) -> bytes:
    """The bytes, ending in a checksum against damage (not against an enemy)."""
    parameters, shape, verified = setting.parameters, setting.shape, setting.verified
    body = b"".join(
        (
            u8(_VERSION),
            setting.context.to_bytes(),
            u16(parameters.colluding),
            u16(parameters.survivors),
            u64(shape.size),
            u8(shape.bits),
            u16(setting.own),
            u8(verified is not None),
            b"" if verified is None else verified.peers.to_bytes() + u16(verified.least),
            u8(len(answered)),
            *(u8(kind) + answered[kind] for kind in sorted(answered)),
            write_phase(phase),
        )
    )
    return body + hashlib.sha256(body).digest()


def read(data: bytes) -> tuple[Setting, dict[MessageKind, bytes], Phase]:
    """Reads what `write` wrote.

    Raises:
        InvalidInput: Anything else (``secagg/state``).
    """
    body, checksum = data[:-HASH_BYTES], data[-HASH_BYTES:]
    if hashlib.sha256(body).digest() != checksum:
        raise InvalidInput("secagg/state", "the stored round is damaged")
    try:
        return _read(Reader(body, "stored round"))
    except (ProtocolAbort, ValueError) as error:
        raise InvalidInput("secagg/state", f"the stored round is not readable: {error}") from error


def _read(reader: Reader) -> tuple[Setting, dict[MessageKind, bytes], Phase]:
    if reader.u8() != _VERSION:
        raise reader.wrong(f"not version {_VERSION}")
    context = Context.read(reader)
    parameters = RoundParameters(
        sites=len(context.cohort), colluding=reader.u16(), survivors=reader.u16()
    )
    shape = VectorShape(size=reader.u64(), bits=reader.u8())
    own = reader.u16()
    verified = VerifiedPeers(peers=reader.sites(), least=reader.u16()) if reader.u8() else None
    answered = {MessageKind(reader.u8()): reader.take(HASH_BYTES) for _ in range(reader.u8())}
    phase = read_phase(reader)
    reader.end()
    setting = Setting(
        context=context, parameters=parameters, shape=shape, own=own, verified=verified
    )
    return setting, answered, phase
