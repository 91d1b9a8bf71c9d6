"""An operator's word that a run is to stop, left in the run's folder for its process to find."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from recommons.common.durably import write_durably

__all__ = ["StopRequest", "ask_to_stop", "stop_asked", "take_back"]

_FILE = "stop.json"


@dataclass(frozen=True, kw_only=True)
class StopRequest:
    """How to stop.

    Attributes:
        now: Give up the attempt in hand; otherwise it is carried to its end.
        for_good: End the run at the sites, so that it cannot be resumed.
    """

    now: bool = False
    for_good: bool = False


def ask_to_stop(run: Path, request: StopRequest) -> None:
    """Leave the word; durable when this returns."""
    write_durably(run / _FILE, json.dumps(asdict(request)).encode())


def stop_asked(run: Path) -> StopRequest | None:
    """The word, if there is one; one that cannot be read stops the run all the same."""
    try:
        fields = json.loads((run / _FILE).read_bytes())
        return StopRequest(now=fields["now"] is True, for_good=fields["for_good"] is True)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return StopRequest()


def take_back(run: Path) -> None:
    """The run may go on."""
    (run / _FILE).unlink(missing_ok=True)
