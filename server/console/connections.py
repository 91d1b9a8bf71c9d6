"""Who is connected, asked of the SuperLink now and then and never while a page waits for it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Connections"]

_EVERY_SECONDS = 5.0


@dataclass(eq=False)
class Connections:
    """The sites that are connected, as of a few seconds ago.

    Attributes:
        ask: The sites, None where the SuperLink is away; may take long.
        clock: Seconds that never run backwards.
    """

    ask: Callable[[], frozenset[str] | None]
    clock: Callable[[], float] = time.monotonic
    _known: frozenset[str] | None = None
    _asked: float | None = None
    _busy: threading.Lock = field(default_factory=threading.Lock)

    def known(self) -> frozenset[str] | None:
        """What the last answer was; asks again in the background where it is old."""
        old = self._asked is None or self.clock() - self._asked > _EVERY_SECONDS
        if old and self._busy.acquire(blocking=False):
            threading.Thread(target=self._refresh, name="connections", daemon=True).start()
        return self._known

    def _refresh(self) -> None:
        try:
            self._known = self.ask()
            self._asked = self.clock()
        finally:
            self._busy.release()
