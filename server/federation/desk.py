"""The enrolment desk: three calls that need no client certificate, and nothing else.

It is a process of its own on a port of its own. The gateway keeps asking everybody for a
certificate, and a flood here slows enrolment and nothing that members do. What it can cost is
bounded before anything is read or looked up: calls a second for each address and for all, the size
of a body, the time it may take to arrive, connections at once.
"""

import asyncio
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from recommons.common.enrolment import APPLY, AUTHORITY, LARGEST_CALL, OFFER
from recommons.common.errors import RecommonsError, Refusal
from recommons.server.federation.reception import Reception

__all__ = ["Bounds", "Turnstile", "desk_application"]

_STATUS = {
    "enrolment/too-many-calls": 429,
    "enrolment/too-large": 413,
    "enrolment/message": 400,
    "authority/request": 400,
    "federation/policy": 503,
}
_JSON = "application/json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What strangers may ask of the desk.

    Attributes:
        per_second: Calls a second of one address, in the long run.
        burst: Calls at once of one address.
        all_per_second: Calls a second of everybody.
        addresses: Addresses that are remembered.
        body_seconds: Time for a body to arrive.
        connections: Connections at once.
    """

    per_second: float = 1.0
    burst: int = 30
    all_per_second: float = 50.0
    addresses: int = 4096
    body_seconds: float = 10.0
    connections: int = 128


@dataclass
class Turnstile:
    """Buckets of calls that fill with time: one for each address, one for all."""

    bounds: Bounds
    _buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    _all: tuple[float, float] | None = None

    def passes(self, address: str, now: float) -> bool:
        """Whether one more call of this address may be looked at.

        Args:
            address: Whence it comes.
            now: Seconds of any steady clock.
        """
        bounds = self.bounds
        mine = _filled(self._buckets.get(address), now, bounds.per_second, bounds.burst)
        burst = 2 * bounds.all_per_second
        everybodys = _filled(self._all, now, bounds.all_per_second, burst)
        # One address that is over its own bound takes nothing from the others.
        passes = mine >= 1 and everybodys >= 1
        self._buckets[address] = (mine - passes, now)
        self._buckets.move_to_end(address)
        while len(self._buckets) > bounds.addresses:
            self._buckets.popitem(last=False)
        self._all = (everybodys - passes, now)
        return passes


def _filled(
    bucket: tuple[float, float] | None, now: float, per_second: float, burst: float
) -> float:
    if bucket is None:
        return burst
    left, since = bucket
    return min(burst, left + max(0.0, now - since) * per_second)


def desk_application(
    reception: Reception, authority: bytes, bounds: Bounds, clock: Callable[[], float] = time.time
) -> Starlette:
    """The desk as an ASGI application.

    Args:
        reception: Judges the calls.
        authority: The authority's certificate, PEM.
        bounds: What strangers may ask.
        clock: Seconds since 1970; it decides when invitations end.
    """
    turnstile = Turnstile(bounds)

    def answer(judge: Callable[..., bytes]) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            try:
                _pass(turnstile, request)
                body = await _read(request, bounds)
                # The book waits for its turn at the disk: not in the loop that serves everybody.
                told = await asyncio.to_thread(judge, body, now=int(clock()))
            except RecommonsError as error:
                return _refusal(request, error)
            return Response(told, media_type=_JSON)

        return endpoint

    async def certificate(request: Request) -> Response:
        try:
            _pass(turnstile, request)
        except RecommonsError as error:
            return _refusal(request, error)
        return Response(authority, media_type="application/x-pem-file")

    application = Starlette(
        routes=[
            Route(AUTHORITY, certificate, methods=["GET"]),
            Route(OFFER, answer(reception.offer), methods=["POST"]),
            Route(APPLY, answer(reception.apply), methods=["POST"]),
        ]
    )
    application.router.redirect_slashes = False
    return application


def _pass(turnstile: Turnstile, request: Request) -> None:
    address = request.client.host if request.client else "unknown"
    if not turnstile.passes(address, time.monotonic()):
        raise Refusal("enrolment/too-many-calls", "above the rate for strangers")


async def _read(request: Request, bounds: Bounds) -> bytes:
    chunks, size = [], 0
    try:
        async with asyncio.timeout(bounds.body_seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > LARGEST_CALL:
                    raise Refusal("enrolment/too-large", f"a call above {LARGEST_CALL} bytes")
                chunks.append(chunk)
    except (TimeoutError, ClientDisconnect) as error:
        raise Refusal("enrolment/message", "the call did not arrive in time") from error
    return b"".join(chunks)


def _refusal(request: Request, error: RecommonsError) -> Response:
    address = request.client.host if request.client else "unknown"
    _log.warning("%s: %s (from %s)", error.code, error.message, address)
    return Response(
        json.dumps({"code": error.code}),
        status_code=_STATUS.get(error.code, 403),
        media_type=_JSON,
        headers={"connection": "close"},
    )
