"""Answers one request in real processes that are killed at the k-th write, for every k.

Run as ``python -m tests.client.killing FOLDER REQUEST.json``. For each k the folder is copied, one
process answers and is killed by SIGKILL at its k-th write, another opens what is left, says what it
finds and is asked again. One JSON line a kill; the last is of a process that lived.
"""

import hashlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from recommons.client.rounds.answering import answer
from recommons.client.site import Site
from recommons.common.errors import RecommonsError
from recommons.common.wire import Envelope

_READING = ("SELECT", "PRAGMA", "BEGIN")


def kill_at(number: int) -> None:
    """Arm this process: it ends at its k-th write, commit or flush of a file, from 0."""
    left = number

    def write(*arguments: Any) -> None:
        nonlocal left
        statement = arguments[2] if len(arguments) > 2 else ""
        if isinstance(statement, str) and statement.lstrip().upper().startswith(_READING):
            return
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    event.listen(Engine, "before_cursor_execute", write)
    event.listen(Engine, "commit", write)
    flush = os.fsync

    def flushing(fd: Any) -> None:
        write()
        flush(fd)
        write()

    os.fsync = flushing


def found(site: Site, run: bytes) -> dict[str, Any]:
    """What the database says of spending."""
    with site.store.transaction() as transaction:
        budgets = site.store.budgets
        sizes = budgets.sizes(transaction)
        groups = budgets.groups(transaction)
        kinds = [json.loads(line)["kind"] for line in _lines(site)]
        return {
            "joined": site.store.run(transaction, run) is not None,
            "charged": any(charge.run == run for charge in budgets.charges(transaction)),
            "users": sum(sizes.get(g.id, 0) for g in groups if run in g.runs),
            "attempts": sum(len(g.attempts) * sizes.get(g.id, 0) for g in groups),
            "committed": len(budgets.committed(transaction)),
            "kinds": {kind: kinds.count(kind) for kind in kinds},
        }


def _lines(site: Site) -> list[bytes]:
    return (site.folder / "ledger.jsonl").read_bytes().splitlines()


def in_a_process(work: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """What it says, or None where it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            os.write(writing, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        data = said.read()
    _, status = os.waitpid(child, 0)
    return None if os.WIFSIGNALED(status) else json.loads(data)


def main(folder: Path, request: dict[str, Any]) -> None:
    run = bytes.fromhex(request["run"])
    envelope = Envelope(run_id=run, exchange=request["exchange"], attempt=request["attempt"])
    body = bytes.fromhex(request["body"])
    copy = folder.with_name("copy")

    def ask(site: Site) -> str:
        try:
            return hashlib.sha256(answer(site, envelope, body)).hexdigest()
        except RecommonsError as error:
            return error.code

    def first(number: int) -> dict[str, Any]:
        kill_at(number)
        with Site.open(copy, clock=lambda: request["now"]) as site:
            return {"reply": ask(site)}

    def again() -> dict[str, Any]:
        with Site.open(copy, clock=lambda: request["now"]) as site:
            before, reply = found(site, run), ask(site)
            return {"before": before, "reply": reply, "after": found(site, run)}

    number, killed = 0, True
    while killed:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        lived = in_a_process(partial(first, number))
        killed = lived is None
        said = in_a_process(again)
        print(json.dumps({"k": number, "lived": lived, **(said or {})}), flush=True)  # noqa: T201
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))
