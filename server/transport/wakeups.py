"""Saying "look now" between the gateway and the coordinator's app, so that neither need poll often.

Flower's interfaces are asked, they do not tell. Asking every few milliseconds costs the SuperLink
more than the work itself; asking rarely makes every step of a round wait. Both processes are on one
host, so they nudge each other over datagram sockets in the home's ``superlink/wake`` folder: the
app when it has sent messages, the gateway when a site's reply is complete.

A nudge carries nothing and promises nothing. One that is lost, or too many, change when somebody
looks and never what they find: whoever waits also looks by themselves from time to time.
"""

import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

__all__ = ["WAKE_FOLDER", "Wakeups"]

WAKE_FOLDER = "RECOMMONS_WAKE_FOLDER"
"""The environment variable by which the supervisor tells its processes the folder."""


class Wakeups:
    """One process's ear and voice.

    Args:
        folder: The folder of sockets, or None where there is nobody to talk to.
        own: Name of this process's socket.
        others: Pattern of the names of those it nudges.
    """

    def __init__(self, folder: Path | None, own: str, others: str) -> None:
        self._folder, self._others = folder, others
        self.socket: socket.socket | None = None
        self._path: Path | None = None
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path = folder / own
            self._path.unlink(missing_ok=True)
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.socket.bind(str(self._path))
            self.socket.setblocking(False)

    @classmethod
    def of_app(cls) -> Self:
        """Of the coordinator's app: nudges the gateway."""
        return cls(_folder(), f"app-{os.getpid()}", "gateway")

    @classmethod
    def of_nobody(cls) -> Self:
        """Where there is nobody to talk to: a wait is a pause."""
        return cls(None, "", "")

    @classmethod
    def of_gateway(cls) -> Self:
        """Of the gateway: nudges the apps."""
        return cls(_folder(), "gateway", "app-*")

    def close(self) -> None:
        """Stop listening."""
        if self.socket is not None and self._path is not None:
            self.socket.close()
            self._path.unlink(missing_ok=True)

    def nudge(self) -> None:
        """Tell the others to look."""
        if self._folder is None or self.socket is None:
            return
        for path in self._folder.glob(self._others):
            try:
                self.socket.sendto(b"", str(path))
            except BlockingIOError:
                pass  # it has nudges enough
            except OSError:
                with suppress(OSError):
                    path.unlink()  # its process is gone

    def drain(self) -> None:
        """Forget the nudges that have come."""
        with suppress(BlockingIOError):
            while self.socket is not None:
                self.socket.recv(1)

    def wait(self, seconds: float) -> None:
        """Wait for a nudge, for the time at most."""
        if self.socket is None:
            time.sleep(seconds)
            return
        self.socket.settimeout(seconds)
        with suppress(TimeoutError):
            self.socket.recv(1)
        self.socket.setblocking(False)
        self.drain()


def _folder() -> Path | None:
    named = os.environ.get(WAKE_FOLDER)
    return Path(named) if named else None
