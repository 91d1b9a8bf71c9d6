"""The process that `recommons bench site` measures: ``python -m … FOLDER``; prints JSON.

It holds the large site, two small ones and the coordinator, so that its memory bounds that of the
site from above. The time of an exchange is that of the large site alone, from its request to its
reply, both written to the wire and read back.
"""

import json
import logging
import resource
import sys
import time
from collections import defaultdict
from pathlib import Path

from flwr.app import Message

from recommons.client.site import Site
from recommons.common.wire import Envelope
from recommons.server.records.folder import CoordinatorFolder
from recommons.simulations.training_run import run_in_process

__all__ = ["main"]

_LARGE = "site-0"
_NODE = 101  # of the first site of the cohort, in the grid


def main() -> None:
    """Read the data, take part in every round, print what each took."""
    folder = Path(sys.argv[1])
    logging.disable(logging.WARNING)
    steps: list[dict[str, object]] = [_step("start of the process", 0.0)]
    began = time.perf_counter()
    with Site.open(folder / "sites" / _LARGE) as site:
        manifest = site.own_users().manifest
    steps.append(_step("read the events into the compact copy", time.perf_counter() - began))
    sent: dict[str, float] = {}
    taken: dict[tuple[int, str], float] = defaultdict(float)

    def asked(node: int, message: Message) -> None:
        if node == _NODE:
            sent[message.metadata.message_id] = time.perf_counter()

    def answered(_config: object, request: Message, _reply: Message) -> None:
        begun = sent.pop(request.metadata.message_id, None)
        if begun is not None:
            place = _envelope(request)
            taken[(place.round, place.exchange)] += time.perf_counter() - begun

    began = time.perf_counter()
    run_in_process(
        folder, CoordinatorFolder.open(folder / "coordinator"), outage=asked, witness=answered
    )
    whole = time.perf_counter() - began
    steps += [
        {"step": f"round {number}: {exchange}", "seconds": seconds}
        for (number, exchange), seconds in taken.items()
    ]
    steps.append(_step("the whole run, coordinator included", whole))
    document = {
        "users": manifest.users,
        "events": manifest.rows,
        "pairs": manifest.pairs,
        "steps": steps,
        "peak_bytes": _peak(),
    }
    print(json.dumps(document))  # noqa: T201 - read by the process that started this one


def _envelope(request: Message) -> Envelope:
    header = request.content.config_records["recommons"]["envelope"]
    return Envelope.from_bytes(header if isinstance(header, bytes) else b"")


def _step(name: str, seconds: float) -> dict[str, object]:
    return {"step": name, "seconds": seconds, "peak_bytes": _peak()}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
