"""Which nodes would not hear that a run is over: its process leaves them for the keeper."""

import json
from collections.abc import Iterable
from pathlib import Path

from recommons.common.durably import write_durably

__all__ = ["note_refusals", "take_refusals"]

_FILE = "refusals.json"


def note_refusals(run: Path, nodes: Iterable[int]) -> None:
    """Leave Flower's ids of these nodes, in the place of what was left before."""
    write_durably(run / _FILE, json.dumps(sorted(nodes)).encode())


def take_refusals(run: Path) -> frozenset[int]:
    """Take what was left; nobody where that is nothing, or cannot be read."""
    try:
        found = json.loads((run / _FILE).read_bytes())
        (run / _FILE).unlink()
        return frozenset(node for node in found if isinstance(node, int))
    except (OSError, ValueError, TypeError, RecursionError):
        return frozenset()
