"""Two ways to carry messages to nodes and back: Flower's own, and with contents in the depot."""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from flwr.app import Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import ObjectTree
from flwr.proto.runtime_pb2 import PullAppMessagesRequest, PushAppMessagesRequest
from flwr.serverapp import Grid
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_id,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.superlink.grid.http_grid import HttpGrid

from recommons.common.parcel import pack_parcel, unpack_parcel, write_once
from recommons.server.transport.depot import Depot

__all__ = ["DepotMail", "GridMail", "Mail", "mail_of"]

_LOOK_SECONDS = 5.0


class Mail(Protocol):
    """Carries messages.

    Attributes:
        pause_seconds: How long to wait for a nudge before one looks without.
    """

    pause_seconds: float

    def push(self, messages: Sequence[Message]) -> list[str]:
        """Send; returns an id for each message, empty where it could not be sent."""
        ...

    def pull(self, ids: Collection[str]) -> Mapping[str, Message | None]:
        """What has come in reply to these; None where what came cannot be read."""
        ...

    def close(self, ids: Collection[str]) -> None:
        """Nobody waits for replies to these any more."""
        ...


def mail_of(grid: Grid) -> Mail:
    """The quick way where there is a depot, Flower's own anywhere else."""
    depot = Depot.of_environment()
    if depot is None or not isinstance(grid, HttpGrid):
        return GridMail(grid)
    depot.clear_stale()
    return DepotMail(grid, depot)


class GridMail:
    """Flower's own way: a grid is asked now and then, and rarely if asking costs it something."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self.pause_seconds = 0.1 if isinstance(grid, HttpGrid) else 0.005

    def push(self, messages: Sequence[Message]) -> list[str]:
        """See `Mail`."""
        return [sent or "" for sent in self._grid.push_messages(messages)]

    def pull(self, ids: Collection[str]) -> Mapping[str, Message | None]:
        """See `Mail`."""
        replies = self._grid.pull_messages(list(ids))
        return {reply.metadata.reply_to_message_id: reply for reply in replies}

    def close(self, ids: Collection[str]) -> None:
        """Flower forgets them with the run."""


class DepotMail:
    """Flower knows of every request; its content, and the reply, are parcels in the depot.

    Which reply belongs to which request is what the gateway has checked, and not what stands in the
    reply.
    """

    pause_seconds = 0.25

    def __init__(self, grid: HttpGrid, depot: Depot) -> None:
        self._client = grid._runtime_client
        self._depot = depot
        self._looked = time.monotonic()
        self._nodes: dict[str, int] = {}

    def push(self, messages: Sequence[Message]) -> list[str]:
        """See `Mail`."""
        before = set(self._nodes)
        try:
            request = self._laid(messages)
            self._looked = time.monotonic()
            sent = list(self._client.PushMessages(request).message_ids)
        except BaseException:
            # Nobody will fetch them, and a full disk would stay full.
            self.close(set(self._nodes) - before)
            raise
        laid = [head.metadata.message_id for head in request.messages_list]
        self.close([own for own, known in zip(laid, sent, strict=True) if not known])
        return sent

    def _laid(self, messages: Sequence[Message]) -> PushAppMessagesRequest:
        """Lay the contents of messages ready; what Flower is to know of them."""
        heads, trees = [], []
        contents: dict[str, bytes] = {}
        with no_object_id_recompute():
            written = {id(record): record for m in messages for record in m.content.values()}
            write_once(written.values())
            for message in messages:
                message.metadata.__dict__["_message_id"] = message.object_id
                objects = get_all_nested_objects(message)
                for object_id, item in objects.items():
                    if object_id not in contents:
                        contents[object_id] = item.deflate()
                parcel = pack_parcel(contents[object_id] for object_id in objects)
                node = message.metadata.dst_node_id
                self._nodes[message.object_id] = node
                self._depot.send(node, message.object_id, parcel)
                heads.append(message_to_proto(remove_content_from_message(message)))
                trees.append(ObjectTree(object_id=message.object_id))
        return PushAppMessagesRequest(messages_list=heads, message_object_trees=trees)

    def pull(self, ids: Collection[str]) -> Mapping[str, Message | None]:
        """See `Mail`."""
        found: dict[str, Message | None] = {}
        for message_id in ids:
            parcel = self._depot.answered(message_id)
            if parcel is not None:
                found[message_id] = _message(parcel)
        if not found and time.monotonic() - self._looked > _LOOK_SECONDS:
            return self._failed(ids)
        return found

    def close(self, ids: Collection[str]) -> None:
        """See `Mail`."""
        for message_id in ids:
            if message_id in self._nodes:
                self._depot.withdraw(self._nodes.pop(message_id), message_id)
            self._depot.answered(message_id)

    def _failed(self, ids: Collection[str]) -> dict[str, Message | None]:
        """What Flower itself answers for nodes that it counts as gone."""
        self._looked = time.monotonic()
        response = self._client.PullMessages(PullAppMessagesRequest(message_ids=ids))
        replies = map(message_from_proto, response.messages_list)
        return {r.metadata.reply_to_message_id: r for r in replies if r.has_error()}


def _message(parcel: bytes) -> Message | None:
    """The message in a parcel, whose root comes last; None where there is none."""
    try:
        contents = {get_object_id(content): content for content in unpack_parcel(parcel)}
        found = inflate_object_from_contents(next(reversed(contents)), contents)
    except Exception:  # noqa: BLE001 - one site's garbage, whatever Flower makes of it, ends no run
        return None
    if not isinstance(found, Message):
        return None
    readable = found.has_error() or isinstance(found.content, RecordDict)
    return found if readable else None
