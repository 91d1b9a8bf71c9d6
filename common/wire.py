"""What travels between coordinator and sites, whatever carries it.

One exchange is one request from the coordinator and one reply from a site. The envelope here only
routes; everything that matters is signed inside the body.

| exchange | body of the request | body of the reply |
|---|---|---|
| join | the signed plan · the cohort's heads that the coordinator holds | a signed acceptance |
| advertise | this site's head that the coordinator holds, or empty | protocol step 1 |
| shares | step 2, with the round's mechanism and public state | step 3 |
| masked | step 4 | step 5 · the site's head |
| sign | step 6 | step 7 |
| reveal | step 8 · the receipt with the survivors' heads | step 9 |
| finish | how the run ended | the site's head |
| anchor | the receipt with the last heads | empty |

Heads and receipts are those of `recommons.common.heads`, signed. A body of several parts (·) holds
each part preceded by its length.
"""

import json
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

from recommons.common.documents import Document
from recommons.common.errors import InvalidInput
from recommons.common.hashing import canonical_json
from recommons.common.privacy.ledger_fields import CODE

__all__ = [
    "EXCHANGES",
    "Envelope",
    "Exchange",
    "Outcome",
    "pack",
    "unpack",
]

Exchange = Literal["join", "advertise", "shares", "masked", "sign", "reveal", "finish", "anchor"]
EXCHANGES: tuple[Exchange, ...] = get_args(Exchange)

_LENGTH_BYTES = 8


def pack(*parts: bytes) -> bytes:
    """A body of several parts: each preceded by its length, 8 bytes, big-endian."""
    return b"".join(len(part).to_bytes(_LENGTH_BYTES, "big") + part for part in parts)


def unpack(body: bytes, count: int) -> list[bytes]:
    """The parts of a body.

    Raises:
        InvalidInput: ``site/message``: not exactly `count` parts.
    """
    parts, place = [], 0
    for _ in range(count):
        start = place + _LENGTH_BYTES
        place = start + int.from_bytes(body[place:start], "big")
        if start > len(body) or place > len(body):
            raise InvalidInput("site/message", f"a body has fewer than its {count} parts")
        parts.append(body[start:place])
    if place != len(body):
        raise InvalidInput("site/message", f"a body has more than its {count} parts")
    return parts


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended: well when there is no code.

    Attributes:
        version: Of these bytes.
        code: Why it failed, a named code.
    """

    version: ClassVar[int] = 1

    code: str | None = None

    @property
    def fields(self) -> dict[str, str]:
        """As both sides' ledgers hold it."""
        if self.code is None:
            return {"outcome": "finished"}
        return {"outcome": "failed", "code": self.code}

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json({"version": self.version, **self.fields})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read `to_bytes`.

        Raises:
            InvalidInput: ``site/message``: anything else.
        """
        try:
            outcome = cls(code=json.loads(data).get("code"))
        except (ValueError, RecursionError, AttributeError) as error:
            raise InvalidInput("site/message", "not the end of a run") from error
        known = outcome.code is None or CODE.holds(outcome.code)
        if not known or outcome.to_bytes() != data:
            raise InvalidInput("site/message", "not the end of a run")
        return outcome


@dataclass(frozen=True, kw_only=True)
class Envelope(Document):
    """Which exchange of which attempt of which round of which run.

    Attributes:
        run_id: Our own run id, 16 bytes; it outlives Flower's runs.
        exchange: The exchange.
        round: Number of the round, from 0.
        attempt: Number of the attempt within the round, from 0.
    """

    version = 1
    refusal = ("site/message", "not an envelope of this version, or out of bounds")

    run_id: bytes
    exchange: Exchange
    round: int = 0
    attempt: int = 0

    def _fields(self) -> dict[str, Any]:
        return {
            "run": self.run_id.hex(),
            "exchange": self.exchange,
            "round": self.round,
            "attempt": self.attempt,
        }

    @classmethod
    def _from_fields(cls, fields: Any) -> Self:  # noqa: ANN401 - parsed JSON
        return cls(
            run_id=bytes.fromhex(fields["run"]),
            exchange=fields["exchange"],
            round=fields["round"],
            attempt=fields["attempt"],
        )

    def _is_sound(self) -> bool:
        return (
            len(self.run_id) == 16
            and self.exchange in EXCHANGES
            and all(type(n) is int and 0 <= n < 1 << 31 for n in (self.round, self.attempt))
        )
