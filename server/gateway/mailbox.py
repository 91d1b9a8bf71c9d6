"""What was delivered to one site, and so what it may fetch and answer.

Held in memory: after the gateway restarts, messages under way count as not delivered; their sites
are silent in that attempt, and the round's own deadline decides.
"""

import secrets
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from flwr.proto.message_pb2 import Metadata, ObjectTree

from recommons.server.gateway.denial import Denial

__all__ = ["Mailbox"]

_KEPT = 256
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class _Delivery:
    run_id: int
    node_id: int
    sender: int
    objects: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class _Session:
    run_id: int
    node_id: int
    object_id: str
    reply_to: str


@dataclass
class Mailbox:
    """The latest messages delivered to one site and its latest uploads (256 of each)."""

    _delivered: OrderedDict[str, _Delivery] = field(default_factory=OrderedDict)
    _sessions: OrderedDict[str, _Session] = field(default_factory=OrderedDict)

    def deliver(self, metadata: Metadata, tree: ObjectTree, node_id: int) -> None:
        """A message was handed to the site."""
        delivery = _Delivery(
            run_id=metadata.run_id,
            node_id=node_id,
            sender=metadata.src_node_id,
            objects=frozenset(_object_ids(tree)),
        )
        _keep(self._delivered, metadata.message_id, delivery)

    def open_session(self, run_id: int, object_id: str, *, reply_to: str) -> str:
        """The site announces its reply to a message that was checked; returns its session."""
        session_id, asked = secrets.token_hex(16), self._delivered[reply_to]
        session = _Session(
            run_id=run_id, node_id=asked.node_id, object_id=object_id, reply_to=reply_to
        )
        _keep(self._sessions, session_id, session)
        return session_id

    def take_reply(self, session_id: str) -> tuple[int, str]:
        """The reply of a session that was checked is here; returns node and message it answers.

        No message is answered twice: what a site can lay down is bounded by what it was asked.
        """
        session = self._sessions.pop(session_id)
        self._delivered.pop(session.reply_to, None)
        return session.node_id, session.reply_to

    def lacks(self, message_ids: Iterable[str]) -> bool:
        """Whether one of these messages was not delivered to the site."""
        return any(message_id not in self._delivered for message_id in message_ids)

    def check_run(self, run_id: int) -> None:
        """Refuse a run of which the site has seen no message."""
        if all(delivery.run_id != run_id for delivery in self._delivered.values()):
            raise Denial(403, "gateway/not-yours", "a run of which nothing was delivered")

    def check_download(self, run_id: int, object_id: str) -> None:
        """Refuse an object that is not part of a message delivered to the site."""
        if not any(d.run_id == run_id and object_id in d.objects for d in self._delivered.values()):
            raise Denial(403, "gateway/not-yours", "an object of no message that was delivered")

    def check_reply(self, metadata: Metadata, node_id: int) -> None:
        """Refuse anything but the answer, in the site's own name, to a message it was given."""
        delivery = self._delivered.get(metadata.reply_to_message_id)
        if (
            delivery is None
            or delivery.run_id != metadata.run_id
            or delivery.node_id != node_id
            or metadata.src_node_id != node_id
            or metadata.dst_node_id != delivery.sender
        ):
            raise Denial(403, "gateway/not-yours", "not a reply to a message that was delivered")

    def check_upload(self, session_id: str, run_id: int, object_id: str) -> None:
        """Refuse an object that the site's own reply does not call for."""
        session = self._sessions.get(session_id)
        if session is None or session.run_id != run_id or object_id != session.object_id:
            raise Denial(403, "gateway/not-yours", "an object that no reply of the site calls for")


def _keep(kept: OrderedDict[str, _T], key: str, value: _T) -> None:
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > _KEPT:
        kept.popitem(last=False)


def _object_ids(tree: ObjectTree) -> Iterator[str]:
    stack = [tree]
    while stack:
        node = stack.pop()
        yield node.object_id
        stack.extend(node.children)
