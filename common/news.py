"""What a member asks the coordinator now and then, and what it is told.

One call, `POST /v1/recommons/news`, under the site's certificate. All of it may be repeated.
Nothing is believed for having come this way: rosters carry the federation's signature, approvals
and statements the sites', and a certificate opens connections and no more.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from recommons.common.epochs import Epoch
from recommons.common.errors import InvalidInput
from recommons.common.hashing import canonical_json
from recommons.common.secagg.identity import SIGNATURE_BYTES
from recommons.common.succession import Succession

__all__ = ["LARGEST_REPORT", "MOST_EPOCHS", "NEWS", "News", "Report"]

NEWS = "/v1/recommons/news"

LARGEST_REPORT = 32 << 10
"""Bytes of the largest report."""

MOST_EPOCHS = 8
"""How many of the latest epochs are told at once."""

_VERSION = 1
_LARGEST_REQUEST = 4000
_MOST_APPROVALS = 32


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a site says.

    Attributes:
        epoch: The epoch it has pinned.
        approvals: Its signatures over later epochs, by number.
        succession: Its statement that replaces its signing key.
        request: A signing request for its present node key, PEM, where the certificate ends soon.
    """

    epoch: int
    approvals: Mapping[int, bytes] = field(default_factory=dict)
    succession: Succession | None = None
    request: str | None = None

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(
            {
                "version": _VERSION,
                "epoch": self.epoch,
                "approvals": {str(n): given.hex() for n, given in self.approvals.items()},
                "succession": None if self.succession is None else self.succession.fields(),
                "request": self.request,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read `to_bytes`; no signature is checked yet.

        Raises:
            InvalidInput: ``enrolment/message``: anything else.
        """
        try:
            fields: Any = json.loads(data)
            said = fields["succession"]
            found = cls(
                epoch=fields["epoch"],
                approvals={int(n): bytes.fromhex(h) for n, h in fields["approvals"].items()},
                succession=None if said is None else Succession.from_fields(said),
                request=fields["request"],
            )
            request = found.request
            sound = (
                type(found.epoch) is int
                and 0 <= found.epoch < 1 << 53
                and len(found.approvals) <= _MOST_APPROVALS
                and all(len(given) == SIGNATURE_BYTES for given in found.approvals.values())
                and (request is None or (isinstance(request, str) and request.isascii()))
                and len(request or "") <= _LARGEST_REQUEST
                and found.to_bytes() == data
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            sound = False
        if not sound:
            raise InvalidInput("enrolment/message", "not a member's report") from None
        return found


@dataclass(frozen=True, kw_only=True)
class News:
    """What it is told.

    Attributes:
        time: The coordinator's clock, seconds since 1970.
        epochs: The latest epochs after the one it has pinned, ascending, with their approvals.
        certificate: The certificate it asked for, PEM.
    """

    time: int
    epochs: Sequence[Epoch] = ()
    certificate: str | None = None

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(
            {
                "version": _VERSION,
                "time": self.time,
                "epochs": [json.loads(epoch.to_bytes()) for epoch in self.epochs],
                "certificate": self.certificate,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read `to_bytes`; rosters and certificate are not checked yet.

        Raises:
            InvalidInput: ``enrolment/message``: anything else.
        """
        try:
            fields: Any = json.loads(data)
            found = cls(
                time=fields["time"],
                epochs=tuple(Epoch.from_bytes(canonical_json(e)) for e in fields["epochs"]),
                certificate=fields["certificate"],
            )
            sound = (
                type(found.time) is int
                and len(found.epochs) <= MOST_EPOCHS
                and isinstance(found.certificate, str | None)
                and found.to_bytes() == data
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            sound = False
        if not sound:
            raise InvalidInput("enrolment/message", "the coordinator's news is not readable")
        return found
