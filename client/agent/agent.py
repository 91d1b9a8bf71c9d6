"""The agent's life: connect, answer, reconnect, leave."""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from flwr.clientapp import ClientApp

from recommons.client.agent.answering import Answering
from recommons.client.agent.chores import Chore, Chores
from recommons.client.agent.connection import Connection
from recommons.client.agent.credentials import read_node_key, tls_context
from recommons.client.agent.heartbeat import HEARTBEAT_SECONDS, Heartbeat
from recommons.client.agent.link import FleetLink, LinkError
from recommons.client.agent.logs import event
from recommons.client.agent.pace import Backoff, Pace
from recommons.common.errors import InvalidInput

__all__ = ["Agent"]

_NODE_ID = "node.id"
_LOCK = "agent.lock"
# The line is as it was: the next message may well be answered.
_GO_ON = frozenset({"agent/run-over", "agent/message"})
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
        with _alone(self.folder):
            while not self.stop.is_set():
                # Read anew each time: a renewed certificate needs no restart.
                tls = tls_context(self.folder)
                link = FleetLink(connection.address, key, tls, seconds=connection.call_seconds)
                try:
                    self._stay(link, connection, backoff)
                except LinkError as error:
                    pause = backoff.failed()
                    event(
                        _log,
                        "line lost",
                        code=error.code,
                        reason=error.message,
                        pause=round(pause, 2),
                    )
                    self.stop.wait(pause)
                finally:
                    link.close()
        event(_log, "stopped")

    def _stay(self, link: FleetLink, connection: Connection, backoff: Backoff) -> None:
        node_id = self._activate(link)
        event(_log, "connected", node=str(node_id))
        client = httpx.Client(
            base_url=f"https://{connection.address}",
            verify=tls_context(self.folder),
            timeout=connection.call_seconds,
        )
        chores = Chores(self.folder, client, self.chores)
        answering = Answering(
            link=link,
            app=self.app,
            site_dir=self.folder,
            node_id=node_id,
            ended=chores.look_soon,
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
        remembered.write_text(f"{node_id}\n")
        return node_id


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the operating system lets go of it when the process dies.

    Raises:
        InvalidInput: ``agent/running``.
    """
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InvalidInput("agent/running", f"{folder} has a running agent") from error
        yield
    finally:
        os.close(descriptor)
