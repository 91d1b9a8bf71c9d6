"""Keeping the lease while the site computes."""

import threading
from typing import Self

from recommons.client.agent.link import FleetLink, LinkError

__all__ = ["HEARTBEAT_SECONDS", "Heartbeat"]

HEARTBEAT_SECONDS = 10.0
"""The shortest that Flower 1.41 accepts: the lease is 20 s, for stock agents 60 s."""


class Heartbeat:
    """A thread that keeps the lease; a context manager.

    Rounds do not rest on it: they have their own deadlines. It only says which sites are there when
    a run begins. A failure is left to the calls that matter.
    """

    def __init__(self, link: FleetLink) -> None:
        self._link = link
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join(timeout=HEARTBEAT_SECONDS)

    def _beat(self) -> None:
        pause = HEARTBEAT_SECONDS * 0.6
        while not self._stop.wait(pause):
            try:
                self._link.heartbeat(HEARTBEAT_SECONDS)
                pause = HEARTBEAT_SECONDS * 0.6
            except LinkError:
                pause = HEARTBEAT_SECONDS * 0.2
