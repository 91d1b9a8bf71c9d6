"""Who is connected, asked of the SuperLink now and then and never while a page waits for it."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["Connections"]

_EVERY_SECONDS = 5.0
_FOLLOWED_EVERY_SECONDS = 15.0
_FORGOTTEN_SECONDS = 30.0
_log = logging.getLogger(__name__)


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
        """What the last answer was, None where it is half a minute old.

        Asks again in the background where it is some seconds old.
        """
        age = None if self._asked is None else self.clock() - self._asked
        if (age is None or age > _EVERY_SECONDS) and not self._busy.locked():
            threading.Thread(target=self._refresh, name="connections", daemon=True).start()
        return None if age is None or age > _FORGOTTEN_SECONDS else self._known

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Asked again and again from a thread, for those who look too rarely to be told at once."""
        stop = threading.Event()

        def follow() -> None:
            while True:
                self._refresh()
                if stop.wait(_FOLLOWED_EVERY_SECONDS):
                    return

        threading.Thread(target=follow, name="connections", daemon=True).start()
        try:
            yield
        finally:
            stop.set()

    def _refresh(self) -> None:
        if not self._busy.acquire(blocking=False):
            return  # somebody asks already
        try:
            self._known = self.ask()
        except Exception as error:  # noqa: BLE001 - whatever it is: nobody knows who is connected
            _log.warning("nobody could say who is connected: %s", type(error).__name__)
            self._known = None
        finally:
            self._asked = self.clock()
            self._busy.release()
