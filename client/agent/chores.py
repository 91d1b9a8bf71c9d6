"""What the agent asks of the coordinator beside answering: now and then, and after a run."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx

from recommons.client.agent.logs import event
from recommons.client.records.disk import is_full
from recommons.common.errors import RecommonsError

__all__ = ["Chore", "Chores"]

Chore = Callable[[Path, httpx.Client], object]
"""Given the site's folder and a line to the gateway."""

_EVERY_SECONDS = 30.0
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Chores:
    """A thread that does the chores; a context manager.

    A chore that fails is told by its code and done again at the next time; rounds do not wait for
    any of them.

    Attributes:
        folder: The site's folder.
        client: A line to the gateway, closed when the chores end.
        chores: What there is to do.
        every_seconds: Pause where nothing calls for them.
    """

    folder: Path
    client: httpx.Client
    chores: Sequence[Chore]
    every_seconds: float = _EVERY_SECONDS
    _wanted: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)

    def look_soon(self) -> None:
        """There may be something new."""
        self._wanted.set()

    def do(self) -> None:
        """Do each once."""
        for chore in self.chores:
            try:
                chore(self.folder, self.client)
            except RecommonsError as error:
                event(_log, "chore failed", code=error.code, reason=error.message)
            except Exception as error:  # noqa: BLE001 - one chore's fault is no other's
                code = "site/disk" if is_full(error) else "site/internal"
                event(_log, "chore failed", code=code, reason=type(error).__name__)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._work, name="chores", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._wanted.set()
        self._thread.join(timeout=5)
        self.client.close()

    def _work(self) -> None:
        while not self._over.is_set():
            self._wanted.clear()
            self.do()
            self._wanted.wait(self.every_seconds)
