"""The site's line to the coordinator: Flower's fleet calls, over mutual TLS, outbound only.

Flower's `FleetHttpClient` and node signatures are used as they are; the connection around them is
not (`http_request_response` takes no client certificate, interrupts the whole process when a call
is refused, and follows redirects). What goes wrong comes out as a `LinkError` with a named code.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    DeactivateNodeRequest,
    PullMessagesRequest,
    PushMessagesRequest,
)
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest
from flwr.proto.message_pb2 import (
    Message,
    ObjectTree,
    PullObjectRequest,
    PushObjectRequest,
)
from flwr.proto.node_pb2 import Node
from flwr.proto.run_pb2 import GetRunRequest, Run
from flwr.supercore.error import ApiErrorCode, FlowerError
from flwr.supercore.inflatable.inflatable_utils import ObjectPullError, ObjectUnavailableError
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supercore.protobuf.client import ProtobufCall, ProtobufRequestContext
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from recommons.common.errors import RecommonsError

__all__ = [
    "MOST_REFUSAL_BYTES",
    "Envelope",
    "FleetLink",
    "LinkError",
    "check_status",
    "named",
    "refusal",
]

WAIT_SECONDS = 5
"""How long the coordinator may hold a question for messages while there are none."""

MOST_REFUSAL_BYTES = 4096
"""As much is read of why a call was refused."""

_IDLE_SECONDS = 60.0  # the gateway gives a line up after 120

_T = TypeVar("_T")
_BUSY = {408, 425, 429, 500, 502, 503, 504}


class LinkError(RecommonsError):
    """A call to the coordinator failed."""


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A message that waits for the site.

    Attributes:
        message: Its metadata.
        tree: The objects it consists of.
    """

    message: Message
    tree: ObjectTree


class _Patience:
    """Tells the gateway how long the site waits for messages; anything else does not read it."""

    def intercept(self, context: ProtobufRequestContext, call_next: ProtobufCall) -> httpx.Response:
        if context.rpc_method.endswith("/PullMessages"):
            context.request.headers["recommons-wait"] = str(WAIT_SECONDS)
        return call_next(context)


class FleetLink:
    """One agent's line; safe to use from several threads.

    Args:
        address: ``host:port`` of the coordinator.
        key: The node key.
        tls: From `credentials.tls_context`.
        seconds: How long to wait for a call.
    """

    def __init__(
        self,
        address: str,
        key: ec.EllipticCurvePrivateKey,
        tls: ssl.SSLContext,
        *,
        seconds: float = 60.0,
    ) -> None:
        self._public_key = public_key_to_bytes(key.public_key())
        self._client = FleetHttpClient(
            f"https://{address}",
            interceptors=[NodeAuthHttpInterceptor(key, key.public_key()), _Patience()],
            verify=tls,
            timeout=seconds,
        )
        # Flower's own follows redirects, which could lead a masked vector out of TLS or to another
        # host, and drops a line after 5 s, so that every heartbeat shakes hands anew.
        self._client._client.close()
        self._client._client = httpx.Client(
            verify=tls,
            timeout=seconds,
            follow_redirects=False,
            limits=httpx.Limits(keepalive_expiry=_IDLE_SECONDS),
        )
        self._node = Node()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def activate(self, heartbeat_seconds: float) -> int:
        """Announce that the site is here; returns Flower's id of its node.

        Args:
            heartbeat_seconds: The lease is twice as long.

        Raises:
            LinkError: ``agent/lease`` where the coordinator holds an earlier agent's lease.
        """
        request = ActivateNodeRequest(
            public_key=self._public_key, heartbeat_interval=heartbeat_seconds
        )
        response = named(lambda: self._client.ActivateNode(request))
        self._node = Node(node_id=response.node_id)
        return int(response.node_id)

    def deactivate(self, node_id: int) -> None:
        """Announce that the site leaves, or that an earlier agent of it is gone."""
        request = DeactivateNodeRequest(node_id=node_id)
        named(lambda: self._client.DeactivateNode(request))

    def heartbeat(self, heartbeat_seconds: float) -> None:
        """Keep the lease."""
        request = SendNodeHeartbeatRequest(node=self._node, heartbeat_interval=heartbeat_seconds)
        named(lambda: self._client.SendNodeHeartbeat(request))

    def receive(self) -> Envelope | None:
        """The next message for this site, if there is one."""
        request = PullMessagesRequest(node=self._node)
        response = named(lambda: self._client.PullMessages(request))
        if not response.messages_list:
            return None
        return Envelope(message=response.messages_list[0], tree=response.message_object_trees[0])

    def run(self, run_id: int) -> Run:
        """What Flower says about a run."""
        request = GetRunRequest(node=self._node, run_id=run_id)
        return named(lambda: self._client.GetRun(request)).run

    def download(self, run_id: int, object_id: str) -> bytes:
        """One object of a message.

        Raises:
            ObjectUnavailableError: It is on its way; ask again.
            ObjectPullError: There is none.
        """
        request = PullObjectRequest(node=self._node, run_id=run_id, object_id=object_id)
        response = named(lambda: self._client.PullObject(request))
        if not response.object_found:
            raise ObjectPullError(object_id, "not found")
        if not response.object_available:
            raise ObjectUnavailableError(object_id)
        return bytes(response.object_content)

    def announce(self, reply: Message, tree: ObjectTree) -> tuple[str, frozenset[str]]:
        """Announce a reply; returns the upload session and the objects that are wanted."""
        request = PushMessagesRequest(
            node=self._node, messages_list=[reply], message_object_trees=[tree]
        )
        response = named(lambda: self._client.PushMessages(request))
        return response.session_id, frozenset(response.objects_to_push)

    def upload(self, run_id: int, session: str, object_id: str, content: bytes) -> None:
        """One object of a reply.

        Raises:
            LinkError: ``agent/run-over``: it is not wanted any more.
        """
        request = PushObjectRequest(
            node=self._node,
            run_id=run_id,
            session_id=session,
            object_id=object_id,
            object_content=content,
        )
        if not named(lambda: self._client.PushObject(request)).stored:
            raise LinkError("agent/run-over", "the coordinator no longer wants this reply")


def named(call: Callable[[], _T]) -> _T:
    """Do a call; whatever fails becomes a named code.

    Raises:
        LinkError: ``agent/…``.
    """
    try:
        return call()
    except httpx.HTTPStatusError as error:
        raise refusal(error.response, error.response.content) from error
    except httpx.TransportError as error:
        text = str(error).lower()
        if "certificate" in text or "ssl" in text or "tls" in text:
            raise LinkError("agent/tls", f"TLS failed: {type(error).__name__}") from error
        said = f"no answer{_whence(error)}: {type(error).__name__}"
        raise LinkError("agent/unreachable", said) from error
    except ssl.SSLError as error:  # at a read: httpx's asynchronous client lets it through
        raise LinkError("agent/tls", f"TLS failed: {type(error).__name__}") from error
    except ValueError as error:
        raise LinkError("agent/message", "the coordinator's answer is not readable") from error


def _whence(error: httpx.TransportError) -> str:
    """Whom the call went to, as `` from host:port``."""
    try:
        url = error.request.url
    except RuntimeError:  # httpx has not said
        return ""
    return f" from {url.host}:{url.port or 443}"


_BY_FLOWER: Mapping[int, str] = {
    ApiErrorCode.FLEET_NODE_ACTIVATION_FAILED: "agent/lease",
    ApiErrorCode.FLEET_RUN_STATUS_NOT_ALLOWED: "agent/run-over",
    ApiErrorCode.FLEET_GET_RUN_FAILED: "agent/run-over",
}
_BY_GATEWAY: Mapping[str, str] = {
    "gateway/not-a-member": "agent/turned-away",
    "gateway/clock": "agent/clock",
    "gateway/other-node": "agent/turned-away",
    "gateway/not-yours": "agent/run-over",
}


def check_status(response: httpx.Response) -> None:
    """As `raise_for_status`, for an answer that is being streamed and has not been read.

    Raises:
        LinkError: ``agent/…``: the coordinator refused.
    """
    if response.is_success:
        return
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > MOST_REFUSAL_BYTES:
            break
    raise refusal(response, bytes(body))


def refusal(response: httpx.Response, body: bytes) -> LinkError:
    """What a refused call is called here.

    Args:
        response: The answer.
        body: The beginning of what it says.
    """
    status, text = response.status_code, body.decode(errors="replace")
    found = "agent/unreachable" if status in _BUSY else "agent/turned-away"
    told = ""
    if "json" in response.headers.get("content-type", ""):
        flower = _flower_error(text)
        if flower is not None:
            found = _BY_FLOWER.get(flower.code, found)
        else:
            told = next((code for code in _BY_GATEWAY if code in text), "")
            found = _BY_GATEWAY.get(told, found)
    return LinkError(found, f"the coordinator answered {status} {told}".rstrip())


def _flower_error(text: str) -> FlowerError | None:
    try:
        return FlowerError.from_json(text)
    except (ValueError, RecursionError):
        return None
