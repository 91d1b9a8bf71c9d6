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

__all__ = ["Health", "HealthAnswer", "parse_address", "unready"]

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
                found = self.reasons()
                return unready(found) if found else _readiness(200, ())
            case "/metrics":
                text = generate_latest(self.registry)
                return HealthAnswer(status=200, kind=CONTENT_TYPE_LATEST, body=text)
        return HealthAnswer(status=404, kind=_JSON, body=b'{"error": "no such path"}\n')


def unready(reasons: Sequence[str]) -> HealthAnswer:
    """No work can be done just now, or nobody can tell; why, by named codes."""
    return _readiness(503, reasons)


def _readiness(status: int, reasons: Sequence[str]) -> HealthAnswer:
    told = json.dumps({"ready": not reasons, "reasons": list(reasons)}).encode() + b"\n"
    return HealthAnswer(status=status, kind=_JSON, body=told)


def parse_address(text: str) -> tuple[str, int]:
    """``PORT`` on loopback, or ``HOST:PORT``; an address of IPv6 stands in brackets.

    Raises:
        InvalidInput: It is neither.
    """
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]") and ":" in host
    host = host[1:-1] if bracketed else host
    sound = port.isascii() and port.isdecimal() and int(port) <= 65535
    if not sound or set(host) & set("[]" if bracketed else "[]:"):
        raise InvalidInput(
            "input/argument", f"health is {text!r}; required: PORT, HOST:PORT or [IPV6]:PORT"
        )
    return host or "127.0.0.1", int(port)
