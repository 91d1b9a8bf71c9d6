"""What a member asks the coordinator now and then, and what it is told.

One call, `POST /v1/recommons/news`, under the site's certificate. All of it may be repeated.
Nothing is believed for having come this way: rosters carry the federation's signature, approvals
and statements the sites', and a certificate opens connections and no more.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from recommons.common.documents import Document
from recommons.common.epochs import Epoch
from recommons.common.hashing import canonical_json
from recommons.common.secagg.identity import SIGNATURE_BYTES
from recommons.common.succession import Succession

__all__ = ["LARGEST_REPORT", "MOST_EPOCHS", "NEWS", "News", "Report"]

NEWS = "/v1/recommons/news"

LARGEST_REPORT = 32 << 10
"""Bytes of the largest report."""

MOST_EPOCHS = 8
"""How many of the latest epochs are told at once."""

_LARGEST_REQUEST = 4000
_MOST_APPROVALS = 32


@dataclass(frozen=True, kw_only=True)
class Report(Document):
    """What a site says.

    Reading one checks no signature.

    Attributes:
        epoch: The epoch it has pinned.
        approvals: Its signatures over later epochs, by number.
        succession: Its statement that replaces its signing key.
        request: A signing request for its present node key, PEM, where the certificate ends soon.
    """

    version = 1
    refusal = ("enrolment/message", "not a member's report")

    epoch: int
    approvals: Mapping[int, bytes] = field(default_factory=dict)
    succession: Succession | None = None
    request: str | None = None

    def _fields(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "approvals": {str(n): given.hex() for n, given in self.approvals.items()},
            "succession": None if self.succession is None else self.succession.fields(),
            "request": self.request,
        }

    @classmethod
    def _from_fields(cls, fields: Any) -> Self:  # noqa: ANN401 - parsed JSON
        said = fields["succession"]
        return cls(
            epoch=fields["epoch"],
            approvals={int(n): bytes.fromhex(h) for n, h in fields["approvals"].items()},
            succession=None if said is None else Succession.from_fields(said),
            request=fields["request"],
        )

    def _is_sound(self) -> bool:
        request = self.request
        return (
            type(self.epoch) is int
            and 0 <= self.epoch < 1 << 53
            and len(self.approvals) <= _MOST_APPROVALS
            and all(len(given) == SIGNATURE_BYTES for given in self.approvals.values())
            and (request is None or (isinstance(request, str) and request.isascii()))
            and len(request or "") <= _LARGEST_REQUEST
        )


@dataclass(frozen=True, kw_only=True)
class News(Document):
    """What it is told.

    Reading it checks neither rosters nor certificate.

    Attributes:
        time: The coordinator's clock, seconds since 1970.
        epochs: The latest epochs after the one it has pinned, ascending, with their approvals.
        certificate: The certificate it asked for, PEM.
    """

    version = 1
    refusal = ("enrolment/message", "the coordinator's news is not readable")

    time: int
    epochs: Sequence[Epoch] = ()
    certificate: str | None = None

    def _fields(self) -> dict[str, Any]:
        return {
            "time": self.time,
            "epochs": [json.loads(epoch.to_bytes()) for epoch in self.epochs],
            "certificate": self.certificate,
        }

    @classmethod
    def _from_fields(cls, fields: Any) -> Self:  # noqa: ANN401 - parsed JSON
        return cls(
            time=fields["time"],
            epochs=tuple(Epoch.from_bytes(canonical_json(e)) for e in fields["epochs"]),
            certificate=fields["certificate"],
        )

    def _is_sound(self) -> bool:
        return (
            type(self.time) is int
            and len(self.epochs) <= MOST_EPOCHS
            and isinstance(self.certificate, str | None)
        )
