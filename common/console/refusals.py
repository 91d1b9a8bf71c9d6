"""What the consoles' lists of refusals show; `refusals` in `parts.html.j2` draws it."""

from dataclasses import dataclass

__all__ = ["Refused"]


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Something that was refused, given up or stopped.

    Attributes:
        time: When, RFC 3339.
        place: Run, round and attempt.
        code: Its named code.
        said: What was wrong; about plans and messages, never about users.
    """

    time: str
    place: str
    code: str
    said: str
