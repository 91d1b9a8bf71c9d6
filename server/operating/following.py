"""A run's steps as they are written, shown until it is over."""

import json
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from recommons.common.errors import InvalidInput
from recommons.server.operating.attendance import HISTORY, is_attended
from recommons.server.operating.control import Control
from recommons.server.operating.display import Display
from recommons.server.records.home import CoordinatorHome
from recommons.server.records.runs import flower_runs
from recommons.server.rounds.progress import RoundProgress

__all__ = ["follow", "written_steps"]

_LOOK_SECONDS = 0.2
_FIELDS = frozenset(field.name for field in fields(RoundProgress))


def follow(home: CoordinatorHome, run: Path, display: Display) -> None:
    """Show each step that is written from now on, until no process carries the run out."""
    events, begun = written_steps(run), False
    with Control(home) as control:
        while True:
            for event in iter(lambda: next(events), None):
                if not begun:
                    display.stage(f"run {run.name}: training")
                begun = True
                display.round(event)
            if not is_attended(run) and control.run_state(flower_runs(run)[-1]).over:
                return
            time.sleep(_LOOK_SECONDS)


def written_steps(run: Path) -> Iterator[RoundProgress | None]:
    """The steps as they are written from now on; None where there is none yet."""
    place = (run / HISTORY).stat().st_size if (run / HISTORY).exists() else 0
    while True:
        data = b""
        if (run / HISTORY).exists():
            with (run / HISTORY).open("rb") as file:
                file.seek(place)
                data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        place += len(whole)
        yield from filter(None, map(_progress, whole.splitlines()))
        yield None


def _progress(line: bytes) -> RoundProgress | None:
    """One step; None where a process that was killed, or a full disk, left a piece of a line."""
    try:
        event = json.loads(line)
        known = {name: value for name, value in event.items() if name in _FIELDS}
        return RoundProgress(
            **known | {"dropped": tuple(event["dropped"]), "refusals": tuple(event["refusals"])}
        )
    except (ValueError, KeyError, TypeError, AttributeError, InvalidInput):
        return None
