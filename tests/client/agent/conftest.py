"""A stand-in for the coordinator: Flower's fleet calls over mutual TLS, scripted by the test."""

import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.app.message import make_message, remove_content_from_message
from flwr.app.metadata import Metadata
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.fleet_pb2 import (
    ActivateNodeResponse,
    DeactivateNodeResponse,
    PullMessagesResponse,
    PushMessagesRequest,
    PushMessagesResponse,
)
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatResponse
from flwr.proto.message_pb2 import (
    ObjectTree,
    PullObjectRequest,
    PullObjectResponse,
    PushObjectRequest,
    PushObjectResponse,
)
from flwr.proto.run_pb2 import GetRunResponse, Run
from flwr.supercore.error import ApiErrorCode
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_id,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents

from recommons.client.agent.connection import Connection
from recommons.client.agent.credentials import create_node_key
from recommons.common.bundle import BUNDLE_HASH
from recommons.common.parcel import pack_parcel, unpack_parcel
from recommons.server.certificates.authority import Authority
from recommons.server.gateway.serve import server_tls
from tests.serving import served

NODE = 4711
RUN = 7
TTL = 60.0
"""Seconds for which the coordinator waits for an answer."""


@dataclass
class Coordinator:
    """What the agent meets.

    Attributes:
        bundle: Hash of the run's bundle.
        leases: How many activations are refused before one is granted.
        redirect: Where every call is sent on to, if anywhere.
        spoil: Bytes that are turned around in every object handed out.
        waiting: Messages to hand out.
        objects: Contents of objects by id.
        asked: The calls, in order.
        replies: What came back.
    """

    bundle: str = BUNDLE_HASH
    leases: int = 0
    redirect: str = ""
    spoil: bytes = b""
    waiting: list[Message] = field(default_factory=list)
    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    replies: list[Message] = field(default_factory=list)
    answered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _open: list[Any] = field(default_factory=list)

    def send(self, kind: str, record: ConfigRecord, *, run: int = RUN) -> None:
        """Let a message wait for the site."""
        metadata = Metadata(
            run_id=run,
            message_id="",
            src_node_id=1,
            dst_node_id=NODE,
            reply_to_message_id="",
            group_id="g",
            created_at=datetime.now(UTC).timestamp(),
            ttl=TTL,
            message_type=kind,
        )
        message = make_message(metadata=metadata, content=RecordDict({"recommons": record}))
        message.metadata.__dict__["_message_id"] = message.object_id
        parts = [item.deflate() for item in get_all_nested_objects(message).values()]
        self.objects[message.object_id] = pack_parcel(parts)
        self.waiting.append(message)

    def reply(self) -> Message:
        """The next reply, complete."""
        assert self.answered.acquire(timeout=20)
        return self.replies.pop(0)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body += part["body"]
            more = part.get("more_body", False)
        name = scope["path"].removeprefix("/v1/fleet/")
        self.asked.append(name)
        status, kind, answer = 200, b"application/protobuf", b""
        headers = []
        if self.redirect:
            status, headers = 307, [(b"location", self.redirect.encode())]
        elif name == "activate-node" and self.leases:
            self.leases -= 1
            status, kind = 400, b"application/json"
            code = int(ApiErrorCode.FLEET_NODE_ACTIVATION_FAILED)
            answer = json.dumps({"code": code, "detail": "no"}).encode()
        else:
            answer = getattr(self, "_" + name.replace("-", "_"))(body).SerializeToString()
        headers.append((b"content-type", kind))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _activate_node(self, _body: bytes) -> Any:
        return ActivateNodeResponse(node_id=NODE)

    def _deactivate_node(self, _body: bytes) -> Any:
        return DeactivateNodeResponse()

    def _send_node_heartbeat(self, _body: bytes) -> Any:
        return SendNodeHeartbeatResponse(success=True)

    def _get_run(self, _body: bytes) -> Any:
        return GetRunResponse(run=Run(run_id=RUN, fab_id="x/y", fab_hash=self.bundle))

    def _pull_messages(self, _body: bytes) -> Any:
        if not self.waiting:
            return PullMessagesResponse()
        message = self.waiting.pop(0)
        return PullMessagesResponse(
            messages_list=[message_to_proto(remove_content_from_message(message))],
            message_object_trees=[ObjectTree(object_id=message.metadata.message_id)],
        )

    def _pull_object(self, body: bytes) -> Any:
        content = self.objects.get(PullObjectRequest.FromString(body).object_id)
        if content is not None and self.spoil:
            content = content.replace(self.spoil, self.spoil[::-1])
        return PullObjectResponse(
            object_found=content is not None,
            object_available=content is not None,
            object_content=content or b"",
        )

    def _push_messages(self, body: bytes) -> Any:
        request = PushMessagesRequest.FromString(body)
        (tree,) = request.message_object_trees
        assert not tree.children
        self._open.append(request.messages_list[0])
        return PushMessagesResponse(objects_to_push=[tree.object_id], session_id="s")

    def _push_object(self, body: bytes) -> Any:
        request = PushObjectRequest.FromString(body)
        head = self._open.pop(0)
        assert request.object_id == head.metadata.message_id
        contents = {get_object_id(part): part for part in unpack_parcel(request.object_content)}
        found = inflate_object_from_contents(request.object_id, contents)
        assert isinstance(found, Message)
        self.replies.append(found if found.has_content() else message_from_proto(head))
        self.answered.release()
        return PushObjectResponse(stored=True)


@dataclass
class Stage:
    """A site's folder, enrolled, and the coordinator it knows."""

    folder: Path
    coordinator: Coordinator
    authority: Authority
    port: int


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """An enrolled site without data, in front of the stand-in."""
    now = datetime.now(UTC)
    authority = Authority.create("fruit", now=now)
    pinned = tmp_path / "authority.pem"
    pinned.write_bytes(authority.credentials().certificate)
    issued = authority.issue_server(["127.0.0.1"], now=now)
    (tmp_path / "server.pem").write_bytes(issued.certificate)
    (tmp_path / "server.key").write_bytes(issued.key)
    folder = tmp_path / "site"
    folder.mkdir()
    request = create_node_key(folder, "plum")
    (folder / "node.pem").write_bytes(authority.issue_site("fruit", "plum", request, now=now))
    (folder / "authority.pem").write_bytes(pinned.read_bytes())

    def context(_config: Any, _default: Any) -> ssl.SSLContext:
        return server_tls(tmp_path / "server.pem", tmp_path / "server.key", pinned)

    coordinator = Coordinator()
    config = uvicorn.Config(
        coordinator, lifespan="off", ws="none", log_config=None, ssl_context_factory=context
    )
    with served(uvicorn.Server(config)) as port:
        Connection(address=f"127.0.0.1:{port}").write(folder)
        yield Stage(folder=folder, coordinator=coordinator, authority=authority, port=port)
