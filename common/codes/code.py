"""What is known of one named code."""

from typing import NamedTuple

__all__ = ["Code"]


class Code(NamedTuple):
    """One named code.

    Attributes:
        meaning: What happened, one sentence.
        remedy: What to do about it.
    """

    meaning: str
    remedy: str
