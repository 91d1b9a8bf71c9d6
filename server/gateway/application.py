"""The gateway's application: admit, bound, check, pass on, remember."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from google.protobuf.message import DecodeError, Message

from recommons.server.gateway.calls import CALLS, Call
from recommons.server.gateway.clock import check_clock
from recommons.server.gateway.denial import Denial
from recommons.server.gateway.limits import Allowance, Limits
from recommons.server.gateway.mailbox import Mailbox
from recommons.server.gateway.members import Member, Members
from recommons.server.gateway.shelf import FilePart, Shelf
from recommons.server.gateway.upstream import Answer, SuperLink
from recommons.server.transport.depot import Depot
from recommons.server.transport.wakeups import Wakeups

__all__ = ["PEER", "Gateway", "Service"]

PEER = "recommons-peer-certificate"
"""Where the connection's client certificate (DER) stands in a request's state."""

_KEY_HEADER = "flwr-public-key"
_TIME_HEADER = "flwr-timestamp"
_NODE_HEADERS = (_KEY_HEADER, "flwr-signature", _TIME_HEADER)

_WAIT_HEADER = b"recommons-wait"
_LONGEST_WAIT = 20
_UNNUDGED_SECONDS = 10.0

_SERVICE_BYTES = 64 << 10

_Event = MutableMapping[str, Any]
_Send = Callable[[_Event], Awaitable[None]]
_log = logging.getLogger(__name__)


class Service(Protocol):
    """Something of Recommons' own that members may ask, beside Flower's calls."""

    @property
    def paths(self) -> frozenset[bytes]:
        """The exact bytes of the paths that it answers, by POST."""
        ...

    async def answer(self, path: bytes, member: Member, body: bytes) -> Answer:
        """Answer one request of at most 64 KiB; a `Denial` is told by its code."""
        ...


@dataclass
class _Desk:
    """What is held for one site while it is connected.

    Attributes:
        allowance: What it may still ask.
        mailbox: What was delivered to it.
        node: The node that is the site's, as Flower says.
        asked: When Flower was last asked for its messages, by a steady clock.
        nothing_since: The nudge awaited since Flower had nothing.
    """

    allowance: Allowance
    mailbox: Mailbox = field(default_factory=Mailbox)
    node: int | None = None
    asked: float = float("-inf")
    nothing_since: asyncio.Event | None = None

    @contextmanager
    def admitted(self) -> Iterator["_Desk"]:
        """While one call of the site is in progress."""
        if not self.allowance.take(time.monotonic()):
            raise Denial(429, "gateway/too-many-calls", "above the rate of one site")
        self.allowance.in_progress += 1
        try:
            yield self
        finally:
            self.allowance.in_progress -= 1


@dataclass(eq=False)
class Gateway:
    """An ASGI application; one for each process.

    Attributes:
        members: Who may pass.
        upstream: Where calls go on to; entered and left with the server's life.
        depot: Where the contents of messages lie.
        limits: Bounds for each site.
        wakeups: Nudges from and to the coordinator's app, where it is on this host.
        shelf: What members may read.
        services: What else members may ask.
    """

    members: Members
    upstream: SuperLink
    depot: Depot
    limits: Limits
    wakeups: Wakeups | None = None
    shelf: Shelf | None = None
    services: Sequence[Service] = ()
    _desks: dict[bytes, _Desk] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(
        self,
        scope: _Event,
        receive: Callable[[], Awaitable[_Event]],
        send: _Send,
    ) -> None:
        """Serve one request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _answer(
        self, scope: _Event, receive: Callable[[], Awaitable[_Event]], send: _Send
    ) -> None:
        site = "unknown"
        try:
            member = self.members.admit(scope["state"].get(PEER))
            site = member.site
            with self._desk(member).admitted() as desk:
                answer = await self._serve(scope, receive, member, desk)
                if isinstance(answer, FilePart):
                    await _give(send, answer)
                else:
                    await _respond(send, answer)
        except Denial as denial:
            _log.warning("%s: %s (site %s)", denial.code, denial.message, site)
            told = Answer(status=denial.status, media_type="application/json", body=denial.body)
            await _respond(send, told)

    async def _serve(
        self,
        scope: _Event,
        receive: Callable[[], Awaitable[_Event]],
        member: Member,
        desk: _Desk,
    ) -> Answer | FilePart:
        # Exact bytes, before any decoding: an encoded, doubled or dotted path is another path.
        path, method = scope["raw_path"], scope["method"]
        if scope["query_string"]:
            raise Denial(404, "gateway/no-such-call", "not a call that a site needs")
        call = CALLS.get(path)
        if call is not None and method == "POST":
            return await self._pass_on(scope, receive, member, desk, call)
        if method == "GET" and self.shelf is not None:
            found = self.shelf.answer(path, dict(scope["headers"]))
            if found is not None:
                return found
        for service in self.services:
            if path in service.paths and method == "POST":
                async with _in_time(self.limits.body_seconds):
                    body = await _read(scope, receive, _SERVICE_BYTES)
                return await service.answer(path, member, body)
        raise Denial(404, "gateway/no-such-call", "not a call that a site needs")

    async def _pass_on(
        self,
        scope: _Event,
        receive: Callable[[], Awaitable[_Event]],
        member: Member,
        desk: _Desk,
        call: Call,
    ) -> Answer:
        headers = _node_headers(scope, member)
        largest = self.limits.object_bytes if call.upload else self.limits.small_bytes
        async with _in_time(self.limits.body_seconds):
            body = await _read(scope, receive, largest)
        request = _parse(call, body)
        call.check(request, member, desk.mailbox)
        if call.serve is not None:
            given = call.serve(request, desk.mailbox, self.depot)
            if call.upload and self.wakeups is not None:
                self.wakeups.nudge()
            return Answer(
                status=200,
                media_type="application/protobuf",
                body=given.SerializeToString(),
            )
        if call.holds:
            answer = await self._held(scope, headers, body, desk, _node_of(request))
        else:
            answer = await self.upstream.post(scope["raw_path"].decode(), headers, body)
        return _noted(call, request, answer, desk.mailbox)

    async def _held(
        self, scope: _Event, headers: dict[str, str], body: bytes, desk: _Desk, node: int
    ) -> Answer:
        """Ask for a site's messages; again, if it is willing to wait, when nudged or now and then.

        Flower is asked where the depot holds what was not delivered yet, but not again before the
        next nudge if it has nothing. That holds for the very node that Flower answered for: whether
        another is the caller's, Flower says.
        """
        path, end = scope["raw_path"].decode(), time.monotonic() + _patience(scope)
        while True:
            news, now = self._news, time.monotonic()
            due = desk.node != node or now - desk.asked >= _UNNUDGED_SECONDS
            hopeful = desk.nothing_since is not news
            if due or (hopeful and desk.mailbox.lacks(self.depot.waiting(node))):
                answer = await self.upstream.post(path, headers, body)
                if answer.status != 200:
                    return answer
                desk.node, desk.asked = node, now
                if answer.body:
                    return answer
                desk.nothing_since = news
            left = end - time.monotonic()
            if left <= 0:
                return Answer(status=200, media_type="application/protobuf", body=b"")
            rest = desk.asked + _UNNUDGED_SECONDS - time.monotonic()
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), max(0.0, min(left, rest)))

    def _nudged(self) -> None:
        """Let everybody who waits look once."""
        if self.wakeups is not None:
            self.wakeups.drain()
        self._news.set()
        self._news = asyncio.Event()

    def _desk(self, member: Member) -> _Desk:
        desk = self._desks.get(member.key_pem)
        if desk is None:
            desk = _Desk(Allowance.full(self.limits, time.monotonic()))
            self._desks[member.key_pem] = desk
        return desk

    async def _live(
        self,
        receive: Callable[[], Awaitable[_Event]],
        send: _Send,
    ) -> None:
        await receive()
        ear = None if self.wakeups is None else self.wakeups.socket
        if ear is not None:
            asyncio.get_running_loop().add_reader(ear, self._nudged)
        async with self.upstream:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        if ear is not None:
            asyncio.get_running_loop().remove_reader(ear)
        await send({"type": "lifespan.shutdown.complete"})


def _node_headers(scope: _Event, member: Member) -> dict[str, str]:
    """Flower's three headers and no other, once each, and of the caller's own key."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1")
        if name in _NODE_HEADERS:
            if name in found:
                raise Denial(400, "gateway/malformed", f"the header {name} stands twice")
            if not raw_value.isascii():
                raise Denial(400, "gateway/malformed", f"the header {name} is not ASCII")
            found[name] = raw_value.decode()
    if len(found) != len(_NODE_HEADERS):
        raise Denial(400, "gateway/malformed", "Flower's node headers are missing")
    if found[_KEY_HEADER] != member.header:
        raise Denial(403, "gateway/other-node", "the node key is not the certificate's")
    check_clock(found[_TIME_HEADER], datetime.now(UTC))
    return found


def _patience(scope: _Event) -> int:
    """How many seconds the site is willing to wait for a message."""
    asked = dict(scope["headers"]).get(_WAIT_HEADER, b"")
    return min(_LONGEST_WAIT, int(asked)) if asked.isdigit() and len(asked) < 4 else 0


async def _read(scope: _Event, receive: Callable[[], Awaitable[_Event]], largest: int) -> bytes:
    declared = dict(scope["headers"]).get(b"content-length", b"")
    if declared.isdigit() and int(declared) > largest:
        raise Denial(413, "gateway/too-large", f"a body above {largest} bytes")
    chunks, size = [], 0
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise Denial(400, "gateway/malformed", "the body broke off")
        chunk = event.get("body", b"")
        size += len(chunk)
        if size > largest:
            raise Denial(413, "gateway/too-large", f"a body above {largest} bytes")
        chunks.append(chunk)
        if not event.get("more_body"):
            return b"".join(chunks)


def _node_of(request: Any) -> int:  # noqa: ANN401 - any call that names its node
    return int(request.node.node_id)


def _parse(call: Call, body: bytes) -> Message:
    request = call.request()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise Denial(400, "gateway/malformed", "the body is not this call's message") from error
    return request


def _noted(call: Call, request: Message, answer: Answer, mailbox: Mailbox) -> Answer:
    if call.note is None or answer.status != 200:
        return answer
    response = call.response()
    response.ParseFromString(answer.body)
    if not call.note(request, response, mailbox):
        return answer
    return Answer(
        status=answer.status, media_type=answer.media_type, body=response.SerializeToString()
    )


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    """Turn a body away that does not arrive in time."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise Denial(408, "gateway/slow-body", "the body did not arrive in time") from error


async def _give(send: _Send, part: FilePart) -> None:
    """A file, read as fast as it is taken."""
    start = {"type": "http.response.start", "status": part.status, "headers": part.headers}
    await send(start)
    for chunk in part.chunks():
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _respond(send: _Send, answer: Answer) -> None:
    headers = [
        (b"content-type", answer.media_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
    ]
    if answer.status in {400, 408, 413}:  # what is left of the body is not read
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
