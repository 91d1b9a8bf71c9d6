"""One message, from its objects to the objects of its reply; only code installed here is run.

Where another process holds the site's database, a message waits for as long as its sender does: a
step that could not be written down has not been taken, and is taken again.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from flwr.app import Context, Error, Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode
from flwr.common.serde import message_to_proto
from flwr.proto.message_pb2 import Metadata, ObjectTree
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_id,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import (
    ObjectPullError,
    ObjectUnavailableError,
    inflate_object_from_contents,
)
from flwr.supercore.task_identity import TaskIdentity
from sqlalchemy.exc import SQLAlchemyError

from recommons.client.agent.link import Envelope, FleetLink, LinkError
from recommons.client.agent.logs import event
from recommons.client.records.disk import is_full
from recommons.client.records.outbox import note_outbound
from recommons.common.bundle import BUNDLE_HASH
from recommons.common.errors import RecommonsError
from recommons.common.parcel import pack_parcel, unpack_parcel, write_once
from recommons.common.wire import EXCHANGES

__all__ = ["Answering"]

_ALLOWED = frozenset(f"train.{exchange}" for exchange in EXCHANGES)
_LAST = "train.anchor"
_DRAWN = "train.masked"
"""Where users may have been drawn: how long it takes tells how many, which nobody may know."""

_MOST_RUNS = 64
_LOCKED = "site/locked"
_PAUSE_SECONDS = 0.5
"""Between two tries, each of which has waited for the database."""

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Answering:
    """Answers the messages of one connection.

    Attributes:
        link: The line.
        app: The ClientApp that is installed here.
        site_dir: The site's folder, which the app is told.
        node_id: Flower's id of this node.
        ended: Told when a run has ended: there may be a release.
        stop: Set where nothing is to be waited for any more.
    """

    link: FleetLink
    app: ClientApp
    site_dir: Path
    node_id: int
    ended: Callable[[], None] = lambda: None
    stop: threading.Event = field(default_factory=threading.Event)
    _runs: dict[int, bool] = field(default_factory=dict)

    def answer(self, envelope: Envelope) -> None:
        """Fetch a message, let the app answer it, send the answer.

        Raises:
            LinkError: The message or the line was lost, the disk is full (``site/disk``), or
                another process held the database until the message was over (``site/locked``).
                The coordinator's deadline decides.
        """
        start = time.perf_counter()
        until = time.monotonic() + envelope.message.metadata.ttl
        metadata, run_id = envelope.message.metadata, envelope.message.metadata.run_id
        message, received = self._fetch(envelope)
        fetched = time.perf_counter()
        refusal = self._refusal(metadata)
        reply = self._patient_reply(message, until) if refusal is None else _error(message, refusal)
        computed = time.perf_counter()
        kind = metadata.message_type if metadata.message_type in _ALLOWED else "other"
        sent = self._send(run_id, reply, kind, refusal, until)
        event(
            _log,
            "answered" if refusal is None else "refused",
            code=refusal,
            kind=kind,
            failed=reply.has_error(),
            bytes_in=received,
            bytes_out=sent,
            reply=reply.metadata.message_id,
            seconds_fetching=round(fetched - start, 4),
            seconds_computing=None if kind == _DRAWN else round(computed - fetched, 4),
            seconds_sending=round(time.perf_counter() - computed, 4),
        )
        if metadata.message_type == _LAST:
            self.ended()

    def _fetch(self, envelope: Envelope) -> tuple[Message, int]:
        metadata = envelope.message.metadata
        run_id, message_id = metadata.run_id, metadata.message_id
        if envelope.tree.object_id != message_id or envelope.tree.children:
            raise LinkError("agent/message", "not a message in one parcel")
        try:
            parcel = self.link.download(run_id, message_id)
        except (ObjectPullError, ObjectUnavailableError) as error:
            raise LinkError("agent/message", "the message is not there any more") from error
        try:
            # Known by their hashes: what is not the announced message is not found among them.
            contents = {get_object_id(content): content for content in unpack_parcel(parcel)}
            message = inflate_object_from_contents(message_id, contents)
        except Exception as error:  # noqa: BLE001 - whatever Flower makes of garbage, the agent goes on
            kind = type(error).__name__
            raise LinkError("agent/message", f"it could not be put together: {kind}") from None
        if not isinstance(message, Message) or not message.has_content():
            raise LinkError("agent/message", "not a message with content")
        message.metadata.__dict__["_message_id"] = message_id
        if message.metadata.run_id != run_id or message.metadata.dst_node_id != self.node_id:
            raise LinkError("agent/message", "a message for another run or node")
        if message.metadata.message_type != metadata.message_type:
            raise LinkError("agent/message", "announced as another type")
        return message, len(parcel)

    def _refusal(self, metadata: Metadata) -> str | None:
        """Why a message is not the app's to answer."""
        if not self._own_bundle(metadata.run_id):
            return "agent/bundle"
        if metadata.message_type not in _ALLOWED:
            return "agent/message-type"
        return None

    def _own_bundle(self, run_id: int) -> bool:
        """Whether the run came with the empty bundle, by its hash: bundles are never fetched."""
        if run_id not in self._runs:
            run = self.link.run(run_id)
            sound = run.fab_hash == BUNDLE_HASH
            if not sound:
                event(_log, "bundle refused", code="agent/bundle", bundle=run.fab_hash[:64])
            if len(self._runs) >= _MOST_RUNS:
                self._runs.pop(next(iter(self._runs)))
            self._runs[run_id] = sound
        return self._runs[run_id]

    def _waits(self, until: float) -> bool:
        """Whether what the database was held for is tried again."""
        event(_log, "database locked", code=_LOCKED)
        return time.monotonic() < until and not self.stop.wait(_PAUSE_SECONDS)

    def _patient_reply(self, message: Message, until: float) -> Message:
        """The app's reply; that the database is locked is none, as long as it can be waited for."""
        while True:
            reply = self._reply(message)
            if not _is_refused(reply, _LOCKED) or not self._waits(until):
                return reply

    def _reply(self, message: Message) -> Message:
        TaskIdentity.run_id = message.metadata.run_id
        TaskIdentity.node_id, TaskIdentity.task_id = self.node_id, 0
        context = Context(
            run_id=message.metadata.run_id,
            node_id=self.node_id,
            node_config={"site-dir": str(self.site_dir)},
            state=RecordDict(),
            run_config={},
        )
        try:
            return self.app(message, context)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - Flower ends processes on some
            event(_log, "fault", error=type(error).__name__)
            return _error(message, type(error).__name__)

    def _send(
        self, run_id: int, reply: Message, kind: str, refusal: str | None, until: float
    ) -> int:
        """Note an answer in the outbox, then send it; returns its bytes."""
        with no_object_id_recompute():  # a vector is written and hashed once
            if reply.has_content():
                write_once(reply.content.values())
            reply.metadata.__dict__["_message_id"] = reply.object_id
            objects = get_all_nested_objects(reply).values()
            parcel = pack_parcel(item.deflate() for item in objects)
            head = remove_content_from_message(reply) if reply.has_content() else reply
            self._note(kind, len(parcel), reply.object_id, refusal, until)
            tree = ObjectTree(object_id=reply.object_id)
            session, wanted = self.link.announce(message_to_proto(head), tree)
        if reply.object_id in wanted:
            self.link.upload(run_id, session, reply.object_id, parcel)
        return len(parcel)

    def _note(self, kind: str, size: int, sha256: str, code: str | None, until: float) -> None:
        """Write an answer down, durably, before it leaves.

        Raises:
            LinkError: ``site/disk`` or ``site/locked``: it cannot be, so the answer stays.
        """
        said = "the answer cannot be noted, so it stays"
        note = partial(note_outbound, self.site_dir, kind=kind, size=size, sha256=sha256, code=code)
        while True:
            try:
                note(now=time.time())
            except RecommonsError as error:
                if error.code != _LOCKED:
                    raise
                if not self._waits(until):
                    raise LinkError(_LOCKED, said) from error
            except (OSError, SQLAlchemyError) as error:
                if not is_full(error):
                    raise
                raise LinkError("site/disk", said) from error
            else:
                return


def _is_refused(reply: Message, code: str) -> bool:
    """Whether a reply is the app's refusal under this code."""
    if not reply.has_content():
        return False
    return any(record.get("refusal") == code for record in reply.content.config_records.values())


def _error(message: Message, reason: str) -> Message:
    """An answer that says what kind of thing went wrong and not a word more."""
    return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason), reply_to=message)
