"""Who is logged in, and how often somebody may try. All of it is lost when the console ends.

A session is 32 random bytes in a cookie; here only its hash is kept. A form carries a token that
is an HMAC of the cookie it was made for, so that no other site's page can post to the console.
"""

import hashlib
import hmac
import threading
from collections import OrderedDict, deque
from collections.abc import Callable

__all__ = ["SESSION_SECONDS", "LoginLimit", "Sessions"]

SESSION_SECONDS = 8 * 3600
"""A session ends a working day after the login, used or not."""

_MOST_SESSIONS = 16
_TOKEN_BYTES = 32


class Sessions:
    """The sessions of one console; safe to use from several threads.

    Args:
        draw: So many bytes from the operating system's generator, e.g. `secrets.token_bytes`.
        clock: Seconds that never run backwards, e.g. `time.monotonic`.
    """

    def __init__(self, draw: Callable[[int], bytes], clock: Callable[[], float]) -> None:
        self._draw, self._clock = draw, clock
        self._form_key = draw(_TOKEN_BYTES)
        self._ends: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def fresh(self) -> str:
        """A random cookie that opens nothing: what a visitor has before the login."""
        return self._draw(_TOKEN_BYTES).hex()

    def open(self) -> str:
        """Begin a session; returns its cookie. Beyond sixteen, the oldest ends."""
        cookie = self.fresh()
        with self._lock:
            self._ends[_hashed(cookie)] = self._clock() + SESSION_SECONDS
            while len(self._ends) > _MOST_SESSIONS:
                self._ends.popitem(last=False)
        return cookie

    def holds(self, cookie: str | None) -> bool:
        """Whether this cookie is of a session that goes on."""
        if not cookie:
            return False
        with self._lock:
            end = self._ends.get(_hashed(cookie))
        return end is not None and self._clock() < end

    def close(self, cookie: str | None) -> None:
        """End a session."""
        if cookie:
            with self._lock:
                self._ends.pop(_hashed(cookie), None)

    def form_token(self, cookie: str) -> str:
        """What a form shown under this cookie must carry."""
        return hmac.digest(self._form_key, cookie.encode(), "sha256").hex()

    def form_fits(self, cookie: str | None, token: str | None) -> bool:
        """Whether a posted form was shown under this cookie."""
        if not cookie or not token:
            return False
        return hmac.compare_digest(self.form_token(cookie).encode(), token.encode())


class LoginLimit:
    """At most so many tries to log in within a window, whoever tries.

    All of them count together: on loopback everybody has the same address.

    Args:
        clock: Seconds that never run backwards.
        tries: Most tries in a window.
        seconds: Length of the window.
    """

    def __init__(
        self, clock: Callable[[], float], *, tries: int = 8, seconds: float = 60.0
    ) -> None:
        self._clock, self._tries, self._seconds = clock, tries, seconds
        self._times: deque[float] = deque()
        self._lock = threading.Lock()

    def try_again_in(self) -> float:
        """Count one try: 0 where it may be made, else the seconds until one may be."""
        now = self._clock()
        with self._lock:
            while self._times and now - self._times[0] >= self._seconds:
                self._times.popleft()
            if len(self._times) >= self._tries:
                return self._seconds - (now - self._times[0])
            self._times.append(now)
        return 0.0


def _hashed(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).digest()
