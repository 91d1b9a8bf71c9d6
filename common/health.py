"""What health endpoints answer, without any network: both rooms put a small server around it.

| path | answers |
|---|---|
| `/livez` | 200 as long as the process answers |
| `/readyz` | 200 where work can be done; 503 with the reasons, as JSON, where it cannot |
| `/metrics` | Prometheus text |
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from recommons.common.errors import InvalidInput

__all__ = ["Health", "HealthAnswer", "parse_address"]

_JSON = "application/json"


@dataclass(frozen=True, kw_only=True)
class HealthAnswer:
    """An answer over HTTP.

    Attributes:
        status: Of HTTP.
        kind: Content type.
        body: The body.
    """

    status: int
    kind: str
    body: bytes


@dataclass(frozen=True, kw_only=True, eq=False)
class Health:
    """The three pages.

    Attributes:
        reasons: Why no work can be done just now, by named codes; empty where it can.
        registry: The metrics.
    """

    reasons: Callable[[], Sequence[str]]
    registry: CollectorRegistry

    def answer(self, path: str) -> HealthAnswer:
        """To one GET; any other path is 404."""
        match path:
            case "/livez":
                return HealthAnswer(status=200, kind=_JSON, body=b'{"alive": true}\n')
            case "/readyz":
                found = list(self.reasons())
                told = json.dumps({"ready": not found, "reasons": found}).encode() + b"\n"
                return HealthAnswer(status=503 if found else 200, kind=_JSON, body=told)
            case "/metrics":
                text = generate_latest(self.registry)
                return HealthAnswer(status=200, kind=CONTENT_TYPE_LATEST, body=text)
        return HealthAnswer(status=404, kind=_JSON, body=b'{"error": "no such path"}\n')


def parse_address(text: str) -> tuple[str, int]:
    """``PORT`` on loopback, or ``HOST:PORT``.

    Raises:
        InvalidInput: It is neither.
    """
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise InvalidInput("input/argument", f"health is {text!r}; required: PORT or HOST:PORT")
    return host.strip("[]") or "127.0.0.1", int(port)
