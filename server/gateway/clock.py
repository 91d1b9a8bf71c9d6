"""The time that a site's calls carry, which Flower compares with its own clock."""

from datetime import datetime

from flwr.common.constant import SYSTEM_TIME_TOLERANCE, TIMESTAMP_TOLERANCE

from recommons.server.gateway.denial import Denial

__all__ = ["check_clock"]


def check_clock(told: str, now: datetime) -> None:
    """Turn away by name a call that Flower 1.41 would turn away without one.

    Args:
        told: Flower's time header, ISO 8601 with an offset.
        now: The coordinator's time, aware.

    Raises:
        Denial: ``gateway/malformed``: not a time. ``gateway/clock``: 5 s or more ahead of the
            coordinator's, or 305 s or more behind.
    """
    try:
        behind = (now - datetime.fromisoformat(told)).total_seconds()
    except (ValueError, TypeError, OverflowError) as error:
        raise Denial(400, "gateway/malformed", "the node's time is not a time") from error
    if not -SYSTEM_TIME_TOLERANCE < behind < TIMESTAMP_TOLERANCE + SYSTEM_TIME_TOLERANCE:
        way = "behind" if behind > 0 else "ahead of"
        raise Denial(401, "gateway/clock", f"the site's clock is {abs(behind):.0f} s {way} ours")
