"""The eight calls that a site may make, and what each must look like.

Flower checks that the node id in a call belongs to the node key in its header, and the gateway that
this key is the caller's own. Beyond that Flower 1.41 checks little: any node may fetch any object
whose hash it knows, push objects without a session, confirm (and so delete) any message, and send a
reply in another node's name; `Mailbox` closes these.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    ActivateNodeResponse,
    DeactivateNodeRequest,
    DeactivateNodeResponse,
    PullMessagesRequest,
    PullMessagesResponse,
    PushMessagesRequest,
    PushMessagesResponse,
)
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest, SendNodeHeartbeatResponse
from flwr.proto.message_pb2 import (
    PullObjectRequest,
    PullObjectResponse,
    PushObjectRequest,
    PushObjectResponse,
)
from flwr.proto.run_pb2 import GetRunRequest, GetRunResponse
from google.protobuf.message import Message

from recommons.server.gateway.denial import Denial
from recommons.server.gateway.mailbox import Mailbox
from recommons.server.gateway.members import Member
from recommons.server.transport.depot import Depot

__all__ = ["CALLS", "Call"]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call.

    Attributes:
        request: Its type.
        response: Its answer's type.
        check: Refuses a request (`Denial`) that is not the caller's to make.
        note: Remembers, or cleans, what the answer hands out; true where it changed the answer.
        serve: Answers it from the depot; None where it goes on to Flower.
        upload: Whether it carries an object.
        holds: Whether an empty answer may wait for something to say.
    """

    request: type[Message]
    response: type[Message]
    check: Callable[[Any, Member, Mailbox], None]
    note: Callable[[Any, Any, Mailbox], bool] | None = None
    serve: Callable[[Any, Mailbox, Depot], Message] | None = None
    upload: bool = False
    holds: bool = False


def _anything(_request: Message, _member: Member, _mailbox: Mailbox) -> None:
    """Flower's own check of the node id is all that is needed."""


def _own_key(request: ActivateNodeRequest, member: Member, _mailbox: Mailbox) -> None:
    if request.public_key != member.key_pem:
        raise Denial(403, "gateway/other-node", "activates a node of another key")


def _known_run(request: GetRunRequest, _member: Member, mailbox: Mailbox) -> None:
    mailbox.check_run(request.run_id)


def _own_replies(request: PushMessagesRequest, _member: Member, mailbox: Mailbox) -> None:
    if len(request.messages_list) != 1 or len(request.message_object_trees) != 1:
        raise Denial(400, "gateway/malformed", "not one reply with its objects")
    message, tree = request.messages_list[0], request.message_object_trees[0]
    if tree.object_id != message.metadata.message_id or tree.children:
        raise Denial(400, "gateway/malformed", "not a reply in one parcel")
    mailbox.check_reply(message.metadata, request.node.node_id)


def _own_upload(request: PushObjectRequest, _member: Member, mailbox: Mailbox) -> None:
    mailbox.check_upload(request.session_id, request.run_id, request.object_id)


def _own_download(request: PullObjectRequest, _member: Member, mailbox: Mailbox) -> None:
    mailbox.check_download(request.run_id, request.object_id)


def _note_deliveries(
    request: PullMessagesRequest, response: PullMessagesResponse, mailbox: Mailbox
) -> bool:
    for message, tree in zip(response.messages_list, response.message_object_trees, strict=True):
        mailbox.deliver(message.metadata, tree, request.node.node_id)
    return False


def _await_reply(
    request: PushMessagesRequest, mailbox: Mailbox, _depot: Depot
) -> PushMessagesResponse:
    metadata = request.messages_list[0].metadata
    session = mailbox.open_session(
        metadata.run_id, metadata.message_id, reply_to=metadata.reply_to_message_id
    )
    return PushMessagesResponse(session_id=session, objects_to_push=[metadata.message_id])


def _give(request: PullObjectRequest, _mailbox: Mailbox, depot: Depot) -> PullObjectResponse:
    # Under another node's number nothing lies that was delivered to this site.
    parcel = depot.sent(request.node.node_id, request.object_id)
    there = parcel is not None
    return PullObjectResponse(
        object_found=there, object_available=there, object_content=parcel or b""
    )


def _take(request: PushObjectRequest, mailbox: Mailbox, depot: Depot) -> PushObjectResponse:
    depot.answer(*mailbox.take_reply(request.session_id), request.object_content)
    return PushObjectResponse(stored=True)


def _clean_run(_request: GetRunRequest, response: GetRunResponse, _mailbox: Mailbox) -> bool:
    """The run's settings are the coordinator's own: folders of its disk stand in them."""
    response.run.override_config.clear()
    return True


CALLS: dict[bytes, Call] = {
    b"/v1/fleet/activate-node": Call(
        request=ActivateNodeRequest, response=ActivateNodeResponse, check=_own_key
    ),
    b"/v1/fleet/deactivate-node": Call(
        request=DeactivateNodeRequest, response=DeactivateNodeResponse, check=_anything
    ),
    b"/v1/fleet/send-node-heartbeat": Call(
        request=SendNodeHeartbeatRequest, response=SendNodeHeartbeatResponse, check=_anything
    ),
    b"/v1/fleet/pull-messages": Call(
        request=PullMessagesRequest,
        response=PullMessagesResponse,
        check=_anything,
        note=_note_deliveries,
        holds=True,
    ),
    b"/v1/fleet/push-messages": Call(
        request=PushMessagesRequest,
        response=PushMessagesResponse,
        check=_own_replies,
        serve=_await_reply,
    ),
    b"/v1/fleet/get-run": Call(
        request=GetRunRequest, response=GetRunResponse, check=_known_run, note=_clean_run
    ),
    b"/v1/fleet/push-object": Call(
        request=PushObjectRequest,
        response=PushObjectResponse,
        check=_own_upload,
        serve=_take,
        upload=True,
    ),
    b"/v1/fleet/pull-object": Call(
        request=PullObjectRequest, response=PullObjectResponse, check=_own_download, serve=_give
    ),
}
