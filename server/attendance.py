"""The process that carries out a run, seen from its folder: that it is there, and how far it is.

| file of the run's folder | holds |
|---|---|
| `lock` | is held by the process that carries out the run, for as long as it lives |
| `process.json` | the process and Flower's run it is in; once it has left, how it ended |
| `progress.json` | the last step, replaced whole |
| `progress.jsonl` | every step, one a line |
| `options.json` | deadlines |

Nothing here is believed: what a run has done is read from its ledger.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recommons.common.errors import RecommonsError
from recommons.server.folder import now
from recommons.server.progress import RoundProgress

__all__ = [
    "HISTORY",
    "LastEnd",
    "ProgressFiles",
    "RunOptions",
    "attended",
    "is_attended",
    "killed_in",
    "last_end",
    "last_progress",
]

_LOCK, _PROCESS = "lock", "process.json"
_PROGRESS, HISTORY = "progress.json", "progress.jsonl"
_OPTIONS = "options.json"


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a run is carried out; nothing that concerns privacy.

    Attributes:
        deadline_seconds: How long an exchange waits for the last site.
    """

    deadline_seconds: float = 600.0

    @classmethod
    def read(cls, run: Path) -> "RunOptions":
        """Of a run; the defaults where none were written."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            fields = json.loads((run / _OPTIONS).read_bytes())
            return cls(deadline_seconds=float(fields["deadline_seconds"]))
        return cls()

    def write(self, run: Path) -> None:
        """Into the folder of a run."""
        _replace(run / _OPTIONS, asdict(self))


@contextmanager
def attended(run: Path, flower_run: int | None = None) -> Iterator[None]:
    """Be the process that carries out the run; how it ended is left behind.

    Args:
        run: The run's folder.
        flower_run: Flower's id of the run in which it is carried out.

    Raises:
        RecommonsError: ``run/ledger-busy``: another process does.
    """
    descriptor = os.open(run / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _locked(descriptor):
            raise RecommonsError("run/ledger-busy", f"another process carries out {run.name}")
        _replace(run / _PROCESS, {"pid": os.getpid(), "began": now(), "flower": flower_run})
        code, message = "run/fault", ""
        try:
            yield
            code = ""
        except RecommonsError as error:
            code, message = error.code, error.message
            raise
        finally:
            end = LastEnd(time=now(), code=code or None, message=message)
            _replace(run / _PROCESS, {"ended": asdict(end)})
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Take the lock; whoever only looks at it lets go within an instant."""
    for _ in range(20):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


def is_attended(run: Path) -> bool:
    """Whether a process carries out the run now."""
    try:
        descriptor = os.open(run / _LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        # A shared lock, so that two who look do not take each other for the process.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def killed_in(run: Path) -> int | None:
    """Flower's run whose process ended without a word; None where it lives or has said why."""
    flower_run = _read(run / _PROCESS).get("flower")
    # Looked at afterwards: a process that begins meanwhile is another one, in a later run.
    return flower_run if isinstance(flower_run, int) and not is_attended(run) else None


@dataclass(frozen=True, kw_only=True)
class LastEnd:
    """How the last process that carried out a run ended.

    Attributes:
        time: When, UTC.
        code: Why, a named code; None where it was done.
        message: In words.
    """

    time: str
    code: str | None
    message: str


def last_end(run: Path) -> LastEnd | None:
    """How the last process ended; None where it lives, was killed, or none began."""
    with suppress(TypeError):
        return LastEnd(**_read(run / _PROCESS).get("ended", {}))
    return None


def last_progress(run: Path) -> dict[str, Any]:
    """The last step, empty where there is none."""
    return _read(run / _PROGRESS)


@dataclass(frozen=True)
class ProgressFiles:
    """Writes down every step of a run.

    Attributes:
        run: The run's folder.
    """

    run: Path

    def listen(self, progress: RoundProgress) -> None:
        """One step has begun."""
        event = {"time": now(), **asdict(progress), "dropped": list(progress.dropped)}
        with (self.run / HISTORY).open("ab") as file:
            file.write(json.dumps(event).encode() + b"\n")
        _replace(self.run / _PROGRESS, event)


def _replace(path: Path, fields: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(fields) + "\n")
    temporary.replace(path)


def _read(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(path.read_bytes())
        if isinstance(found, dict):
            return found
    return {}
