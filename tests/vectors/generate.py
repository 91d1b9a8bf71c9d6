"""Rebuilds every vector file from the main implementation.

    python -m tests.vectors.generate

From the repository's root. The result depends on nothing but the code: a change of a byte means a
change of the protocol, and belongs with a new protocol version.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.vectors import (
    keys_and_inboxes,
    primitives,
    sets_and_certificates,
    to_coordinator,
)
from tests.vectors.derivations import derivation
from tests.vectors.encodings import messages
from tests.vectors.models import VectorFile
from tests.vectors.play import Play
from tests.vectors.rejections import Maker, rejections
from tests.vectors.scenario import Scenario

__all__ = ["FOLDER", "build", "main"]

FOLDER = Path(__file__).parent

THREE = (
    Scenario(name="three", sites=3, colluding=1, survivors=3, bits=32),
    Scenario(name="three in 64 bits", sites=3, colluding=1, survivors=3, bits=64),
    Scenario(
        name="three, one drops after sharing",
        sites=3,
        colluding=0,
        survivors=2,
        bits=64,
        lost={1: 5},
    ),
    Scenario(
        name="three in 24 bits, one never advertises",
        sites=3,
        colluding=0,
        survivors=2,
        bits=24,
        lost={0: 1},
    ),
    Scenario(
        name="three, one drop too many", sites=3, colluding=1, survivors=3, bits=32, lost={2: 5}
    ),
)
FIVE = (
    Scenario(name="five", sites=5, colluding=1, survivors=4, bits=32, lost={2: 5}),
    Scenario(name="five without one", sites=5, colluding=1, survivors=4, bits=64, lost={4: 1}),
    Scenario(
        name="five, one drops at each of steps 3 and 5",
        sites=5,
        colluding=0,
        survivors=3,
        bits=32,
        lost={0: 3, 3: 5},
    ),
    Scenario(
        name="five, one drops at each of steps 7 and 9",
        sites=5,
        colluding=0,
        survivors=3,
        bits=64,
        lost={1: 7, 4: 9},
    ),
    Scenario(
        name="five, too few sign", sites=5, colluding=1, survivors=4, bits=32, lost={0: 7, 1: 7}
    ),
    Scenario(
        name="five, too few reveal", sites=5, colluding=1, survivors=4, bits=32, lost={0: 7, 1: 9}
    ),
    Scenario(
        name="five, a dealer's polynomial too long",
        sites=5,
        colluding=1,
        survivors=4,
        bits=32,
        long_polynomial=(1,),
    ),
    Scenario(
        name="five, a dropped dealer's polynomial too long",
        sites=5,
        colluding=1,
        survivors=4,
        bits=64,
        lost={2: 5},
        long_polynomial=(2,),
    ),
)
TEN = (
    Scenario(
        name="ten, one drops at each of steps 1, 3 and 5",
        sites=10,
        colluding=2,
        survivors=7,
        bits=32,
        lost={9: 1, 0: 3, 4: 5},
    ),
    Scenario(
        name="ten, one drops at every step",
        sites=10,
        colluding=0,
        survivors=6,
        bits=64,
        lost={2: 1, 3: 3, 6: 5, 0: 9},
    ),
)


def build() -> dict[str, bytes]:
    """Every file's bytes by its name."""
    plays = {s.name: Play(s) for s in (*THREE, *FIVE, *TEN)}
    chosen = [plays[name] for name in ("three", "five without one", TEN[0].name)]
    makers: list[Maker] = [
        keys_and_inboxes.keys,
        keys_and_inboxes.inboxes,
        sets_and_certificates.survivors,
        sets_and_certificates.certificates,
        to_coordinator.uploads,
    ]
    files = {
        "derivation": derivation(chosen),
        "masks": primitives.masks(),
        "shares": primitives.shares(),
        "commitments": primitives.commitments(plays["three"]),
        "parameters": primitives.parameters(),
        "messages": messages(),
        "transcripts-3": _transcripts(THREE, plays),
        "transcripts-5": _transcripts(FIVE, plays),
        "transcripts-10": _transcripts(TEN, plays),
        "rejected": rejections(makers, plays),
    }
    found = {f"{name}.json": _bytes(value) for name, value in files.items()}
    schema = VectorFile.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return found | {"schema.json": _bytes(schema)}


def _transcripts(scenarios: tuple[Scenario, ...], plays: dict[str, Play]) -> dict[str, Any]:
    return {"file": "transcripts", "transcripts": [plays[s.name].to_json() for s in scenarios]}


def _bytes(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def main() -> None:
    """Writes the files."""
    for name, data in build().items():
        (FOLDER / name).write_bytes(data)
        sys.stdout.write(f"{name}: {len(data)} bytes\n")


if __name__ == "__main__":
    main()
