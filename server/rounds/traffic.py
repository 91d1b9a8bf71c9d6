"""What a run has sent and how long its steps took, over all the processes that carried it out.

A process counts its own; the total up to its last step lies in `traffic.json` of the run's folder.
"""

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from recommons.common.durably import write_durably

__all__ = ["Traffic"]

_FILE = "traffic.json"


@dataclass
class Traffic:
    """Bytes, seconds and refusals.

    Attributes:
        bytes_up: Bytes of replies by (site, step).
        bytes_down: Bytes of requests by (site, step).
        seconds: Wall-clock seconds by step.
        refusals: Sites that declined a step, each as ``site: code``.
    """

    bytes_up: Counter[tuple[str, str]] = field(default_factory=Counter)
    bytes_down: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, run: Path) -> Self:
        """The total so far of the run in a folder; nothing where that is not there or damaged."""
        try:
            fields = json.loads((run / _FILE).read_bytes())
            return cls(
                bytes_up=_counted(fields["bytes_up"]),
                bytes_down=_counted(fields["bytes_down"]),
                seconds={str(step): float(spent) for step, spent in fields["seconds"].items()},
                refusals=[str(refusal) for refusal in fields["refusals"]],
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def write(self, run: Path) -> None:
        """Leave it as the run's total; durable when this returns."""
        fields = {
            "bytes_up": _nested(self.bytes_up),
            "bytes_down": _nested(self.bytes_down),
            "seconds": self.seconds,
            "refusals": self.refusals,
        }
        write_durably(run / _FILE, json.dumps(fields).encode())

    def plus(self, later: "Traffic") -> "Traffic":
        """This and what came after it."""
        steps = (*self.seconds, *later.seconds)
        return Traffic(
            bytes_up=self.bytes_up + later.bytes_up,
            bytes_down=self.bytes_down + later.bytes_down,
            seconds={
                step: self.seconds.get(step, 0.0) + later.seconds.get(step, 0.0) for step in steps
            },
            refusals=[*self.refusals, *later.refusals],
        )

    def clock(self, step: str, since: float) -> None:
        """Add the time since `since` (of `time.perf_counter`) to a step."""
        self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - since

    def by_site(self) -> dict[str, dict[str, int]]:
        """Bytes received from each site (``up``) and sent to it (``down``)."""
        found: dict[str, dict[str, int]] = {}
        for way, counted in (("up", self.bytes_up), ("down", self.bytes_down)):
            for (site, _step), count in counted.items():
                ways = found.setdefault(site, {"up": 0, "down": 0})
                ways[way] += count
        return found


def _nested(counted: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (site, step), count in counted.items():
        found.setdefault(site, {})[step] = count
    return found


def _counted(nested: Mapping[str, Mapping[str, Any]]) -> Counter[tuple[str, str]]:
    return Counter(
        {(site, step): int(n) for site, steps in nested.items() for step, n in steps.items()}
    )
