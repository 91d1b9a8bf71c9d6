"""The agent's life: connect, answer, reconnect, leave."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from flwr.clientapp import ClientApp

from recommons.client.agent.answering import Answering
from recommons.client.agent.chores import Chore, Chores
from recommons.client.agent.connection import Connection, gateway_client
from recommons.client.agent.credentials import certificate_fault, read_node_key, tls_context
from recommons.client.agent.heartbeat import HEARTBEAT_SECONDS, Heartbeat
from recommons.client.agent.link import FleetLink, LinkError
from recommons.client.agent.logs import event
from recommons.client.agent.pace import Backoff, Pace
from recommons.client.records.database import DATABASE, kept_open
from recommons.common.durably import write_durably
from recommons.common.errors import InvalidInput
from recommons.common.locking import locked_or_not

__all__ = ["Agent"]

_NODE_ID = "node.id"
_LOCK = "agent.lock"
# The line is as it was: the next message may well be answered.
_GO_ON = frozenset({"agent/run-over", "agent/message", "site/disk", "site/locked"})
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Agent:
    """Carries messages between the coordinator and the app until told to stop.

    Attributes:
        folder: The site's folder.
        app: The ClientApp that is installed here.
        chores: What it asks of the coordinator beside answering.
        stop: Set it, from any thread, to leave after the message in hand.
    """

    folder: Path
    app: ClientApp
    chores: Sequence[Chore] = ()
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Stay connected until `stop`; failures of the line are waited out.

        Raises:
            InvalidInput: ``agent/connection`` or ``agent/credentials``: the folder is not that of
                an enrolled site. ``agent/running``: it has an agent already.
        """
        connection, key = Connection.read(self.folder), read_node_key(self.folder)
        backoff = Backoff()
        with _alone(self.folder), kept_open(self.folder / DATABASE):
            while not self.stop.is_set():
                # Read anew each time: a renewed certificate needs no restart.
                tls = tls_context(self.folder)
                link = FleetLink(connection.address, key, tls, seconds=connection.call_seconds)
                try:
                    self._stay(link, connection, backoff)
                except LinkError as error:
                    pause = backoff.failed()
                    self._lost(error, pause)
                    self.stop.wait(pause)
                finally:
                    link.close()
        event(_log, "stopped")

    def _lost(self, error: LinkError, pause: float) -> None:
        """Say why the line was lost: by this site's own certificate, where that is the fault."""
        code, reason = error.code, error.message
        if code == "agent/unreachable":
            fault = certificate_fault(self.folder, datetime.now(UTC))
            code, reason = (code, reason) if fault is None else ("agent/tls", fault)
        event(_log, "line lost", code=code, reason=reason, pause=round(pause, 2))

    def _stay(self, link: FleetLink, connection: Connection, backoff: Backoff) -> None:
        node_id = self._activate(link)
        event(_log, "connected", node=str(node_id))
        chores = Chores(self.folder, gateway_client(self.folder), self.chores)
        answering = Answering(
            link=link,
            app=self.app,
            site_dir=self.folder,
            node_id=node_id,
            ended=chores.look_soon,
            stop=self.stop,
        )
        pace = Pace(
            shortest=connection.shortest_poll_seconds,
            longest=connection.longest_poll_seconds,
            since=time.monotonic(),
        )
        try:
            with Heartbeat(link), chores:
                while not self.stop.is_set():
                    asked = time.monotonic()
                    envelope = link.receive()
                    backoff.succeeded()
                    if envelope is None and time.monotonic() - asked > 1:
                        continue  # the coordinator held the question: it can be put again
                    if envelope is None:
                        self.stop.wait(pace.pause(time.monotonic()))
                        continue
                    try:
                        answering.answer(envelope)
                    except LinkError as error:
                        if error.code not in _GO_ON:
                            raise
                        event(_log, "message dropped", code=error.code, reason=error.message)
                    pace.happened(time.monotonic())
        finally:
            with suppress(LinkError):
                link.deactivate(node_id)

    def _activate(self, link: FleetLink) -> int:
        """Take the lease, also where an earlier agent of this folder was killed while it held it.

        The folder's lock says that the earlier one is gone, so that its lease can be ended here and
        need not be waited for.
        """
        remembered = self.folder / _NODE_ID
        try:
            node_id = link.activate(HEARTBEAT_SECONDS)
        except LinkError as error:
            if error.code != "agent/lease" or not remembered.exists():
                raise
            with suppress(LinkError):
                link.deactivate(int(remembered.read_text()))
            node_id = link.activate(HEARTBEAT_SECONDS)
        # Whole or as it was, also where the disk is full; without it a lease is waited for.
        with suppress(OSError):
            write_durably(remembered, f"{node_id}\n".encode())
        return node_id


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the operating system lets go of it when the process dies.

    Raises:
        InvalidInput: ``agent/running``.
    """
    with locked_or_not(folder / _LOCK) as alone:
        if not alone:
            raise InvalidInput("agent/running", f"{folder} has a running agent")
        yield
