"""What every request passes before any page sees it, and what every answer carries.

| check | against |
|---|---|
| the Host header names this console | an attacker's name for loopback (DNS rebinding) |
| GET and POST alone, a POST small and of a stated length | floods of memory |
| a POST's Origin, and what the browser says of its initiator, are this console | forged requests |
| the answer's headers | injected scripts and styles, framing, caches, foreign readers |
"""

from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["LOOPBACK_NAMES", "MOST_BODY_BYTES", "SECURITY_HEADERS", "Guard", "is_loopback"]

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
MOST_BODY_BYTES = 4096

SECURITY_HEADERS: tuple[tuple[str, str], ...] = (
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    # "same-origin" and not "no-referrer": with the latter browsers post with "Origin: null".
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine alone."""
    return host in {"127.0.0.1", "::1", "localhost"}


class Guard:
    """An ASGI application around another one.

    Args:
        inner: The pages.
        names: Host names, besides those of loopback, by which this console is reached.
    """

    def __init__(self, inner: ASGIApp, *, names: Iterable[str] = ()) -> None:
        self._inner = inner
        self._names = {name.lower() for name in (*LOOPBACK_NAMES, *names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
            return
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS:
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refused = self._refusal(scope, Headers(scope=scope))
        app = self._inner if refused is None else PlainTextResponse(refused[1], refused[0])
        await app(scope, receive, send_guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or _name_of(hosts[0]) not in self._names:
            return 421, "This console does not answer under that name (console/host).\n"
        if scope["method"] not in {"GET", "POST"}:
            return 405, "Only GET and POST are answered.\n"
        if scope["method"] == "GET":
            return None
        length = headers.get("content-length", "")
        if not length.isdecimal() or "transfer-encoding" in headers:
            return 411, "A form must state its length.\n"
        if int(length[:12]) > MOST_BODY_BYTES:
            return 413, "The form is too large.\n"
        own = f"{scope['scheme']}://{hosts[0]}".lower()
        origin = headers.get("origin", own).lower()
        initiator = headers.get("sec-fetch-site", "same-origin")
        if origin != own or initiator not in {"same-origin", "none"}:
            return 403, "The form was not sent from this console (console/form).\n"
        return None


def _name_of(host: str) -> str:
    """A Host header without its port, in small letters."""
    name, colon, port = host.lower().rpartition(":")
    if colon and (port.isdecimal() or not port) and not (name.count(":") and name[:1] != "["):
        return name
    return host.lower()
