"""What travels between coordinator and sites, whatever carries it.

One exchange is one request from the coordinator and one reply from a site. The envelope here only
routes; everything that matters is signed inside the body.

| exchange | body of the request | body of the reply |
|---|---|---|
| join | the signed plan | the site's id and its ledger's head |
| advertise | empty | protocol step 1 |
| shares | step 2, with the round's mechanism and public state | step 3 |
| masked | step 4 | step 5 |
| sign | step 6 | step 7 |
| reveal | step 8 | step 9 |
| finish | the run's last words: what was released | the site's ledger's head |
"""

import json
from dataclasses import dataclass
from typing import Literal, Self, get_args

from recommons.common.errors import InvalidInput
from recommons.common.hashing import canonical_json

__all__ = ["EXCHANGES", "Envelope", "Exchange"]

Exchange = Literal["join", "advertise", "shares", "masked", "sign", "reveal", "finish"]
EXCHANGES: tuple[Exchange, ...] = get_args(Exchange)

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """Which exchange of which attempt of which round of which run.

    Attributes:
        run_id: Our own run id, 16 bytes; it outlives Flower's runs.
        exchange: The exchange.
        round: Number of the round, from 0.
        attempt: Number of the attempt within the round, from 0.
    """

    run_id: bytes
    exchange: Exchange
    round: int = 0
    attempt: int = 0

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(
            {
                "version": _VERSION,
                "run": self.run_id.hex(),
                "exchange": self.exchange,
                "round": self.round,
                "attempt": self.attempt,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read an envelope, strictly.

        Raises:
            InvalidInput: Anything but the canonical bytes of an envelope of this version.
        """
        try:
            fields = json.loads(data)
            envelope = cls(
                run_id=bytes.fromhex(fields["run"]),
                exchange=fields["exchange"],
                round=fields["round"],
                attempt=fields["attempt"],
            )
            numbers = (envelope.round, envelope.attempt)
            sound = (
                len(envelope.run_id) == 16
                and envelope.exchange in EXCHANGES
                and all(type(n) is int and 0 <= n < 1 << 31 for n in numbers)
                and envelope.to_bytes() == data
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput("site/message", "envelope is not readable") from error
        if not sound:
            raise InvalidInput("site/message", "envelope is not of this version or out of bounds")
        return envelope
