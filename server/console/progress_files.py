"""`progress.json` and `progress.jsonl` of a run's folder, as the coordinator's app leaves them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recommons.common.console.following import LinesFollowed

__all__ = ["Live", "ProgressFollowed", "SiteBytes", "Traffic", "traffic_of"]


class SiteBytes(BaseModel):
    """Bytes received from a site and sent to it."""

    model_config = ConfigDict(frozen=True)

    up: int = 0
    down: int = 0


class Live(BaseModel):
    """Where a run stands: the last event of `RoundProgress`; fields not named here are let be."""

    model_config = ConfigDict(frozen=True)

    time: str
    round: int
    rounds: int
    attempt: int
    step: str
    sites_in: int
    sites_total: int
    dropped: tuple[str, ...] = ()
    bytes_up: int = 0
    bytes_down: int = 0
    message: str = ""
    refusals: tuple[str, ...] = ()
    by_site: Mapping[str, SiteBytes] = Field(default_factory=dict)


@dataclass
class Traffic:
    """Bytes of one attempt."""

    up: int = 0
    down: int = 0


@dataclass
class ProgressFollowed:
    """One run's progress, read again and again.

    Attributes:
        folder: The run's folder.
    """

    folder: Path
    _events: list[Live] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lines = LinesFollowed(self.folder / "progress.jsonl")

    def live(self) -> Live | None:
        """The last event, None where there is none to be read."""
        try:
            return Live.model_validate_json((self.folder / "progress.json").read_bytes())
        except (OSError, ValidationError):
            return self._events[-1] if self._events else None

    def events(self) -> list[Live]:
        """All events so far; a line that is none is passed over."""
        fresh = self._lines.fresh()
        if fresh is None:
            self._events.clear()
            fresh = self._lines.fresh() or []
        self._events += filter(None, map(_event, fresh))
        return self._events


def traffic_of(events: Iterable[Live]) -> dict[tuple[int, int], Traffic]:
    """Bytes by (round, attempt), from counts that only grow within one process of the app.

    A count that falls shows that another process took the run up: it begins at nothing.
    """
    found: dict[tuple[int, int], Traffic] = {}
    up = down = 0
    for event in events:
        if event.bytes_up < up or event.bytes_down < down:
            up = down = 0
        traffic = found.setdefault((event.round, event.attempt), Traffic())
        traffic.up += event.bytes_up - up
        traffic.down += event.bytes_down - down
        up, down = event.bytes_up, event.bytes_down
    return found


def _event(line: bytes) -> Live | None:
    try:
        document: dict[str, Any] = json.loads(line)
        return Live.model_validate(document)
    except (ValueError, TypeError, RecursionError):
        return None
