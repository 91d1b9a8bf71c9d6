"""The process that carries out a run, seen from its folder: that it is there, and how far it is.

| file of the run's folder | holds |
|---|---|
| `lock` | is held by the process that carries out the run, for as long as it lives |
| `ledger.lock` | the same, in the folder of the ledger, which other runs go on in too |
| `process.json` | the process and Flower's run it is in; once it has left, how it ended |
| `progress.json` | the last step, replaced whole |
| `progress.jsonl` | every step, one a line |
| `options.json` | deadlines |

Nothing here is believed: what a run has done is read from its ledger.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recommons.common.codes import REMEDIES
from recommons.common.durably import is_disk_fault
from recommons.common.errors import RecommonsError
from recommons.common.locking import is_locked, locked_or_not
from recommons.common.privacy.ledger_forms import TIME
from recommons.server.records.folder import now
from recommons.server.rounds.progress import RoundProgress

__all__ = [
    "HISTORY",
    "LastEnd",
    "LastProgress",
    "ProgressFiles",
    "RunOptions",
    "attended",
    "is_attended",
    "last_end",
    "last_progress",
    "left_in",
]

_LOCK, _PROCESS = "lock", "process.json"
_LEDGER_LOCK = "ledger.lock"
_PROGRESS, HISTORY = "progress.json", "progress.jsonl"
_OPTIONS = "options.json"
_LEAST_ROOM = 1 << 16
"""Bytes free under which a fault without a name is taken for the disk's."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a run is carried out; nothing that concerns privacy.

    Attributes:
        deadline_seconds: How long an exchange waits for the last site.
    """

    deadline_seconds: float = 600.0

    @classmethod
    def read(cls, run: Path) -> "RunOptions":
        """Of a run; the defaults where none were written, or none that make sense."""
        with suppress(ValueError, KeyError, TypeError, OverflowError):
            seconds = float(_read(run / _OPTIONS)["deadline_seconds"])
            if 0 < seconds < inf:
                return cls(deadline_seconds=seconds)
        return cls()

    def write(self, run: Path) -> None:
        """Into the folder of a run."""
        _replace(run / _OPTIONS, asdict(self))


@contextmanager
def attended(
    run: Path, flower_run: int | None = None, *, records: Path | None = None
) -> Iterator[None]:
    """Be the process that carries out the run; how it ended is left behind.

    Args:
        run: The run's folder.
        flower_run: Flower's id of the run in which it is carried out.
        records: The folder of the ledger that the run goes on in; by default the run's own.

    Raises:
        RecommonsError: ``run/ledger-busy``: another process does, or one goes on in the ledger.
    """
    with locked_or_not(run / _LOCK) as alone:
        if not alone:
            raise RecommonsError("run/ledger-busy", f"another process carries out {run.name}")
        _replace(run / _PROCESS, {"pid": os.getpid(), "began": now(), "flower": flower_run})
        code, message = "run/fault", ""
        try:
            # Two runs in one ledger would end the one that came first, in the midst of an attempt.
            with _alone_in(run if records is None else records):
                yield
            code = ""
        except RecommonsError as error:
            code, message = error.code, error.message
            raise
        except Exception as error:
            if not _for_want_of_room(run, error):
                raise
            code, message = "coordinator/disk", f"the disk takes nothing: {type(error).__name__}"
            raise RecommonsError(code, message) from error
        finally:
            end = LastEnd(time=now(), code=code or None, message=message)
            _say_last(run / _PROCESS, {"ended": asdict(end), "flower": flower_run})


@contextmanager
def _alone_in(records: Path) -> Iterator[None]:
    with locked_or_not(records / _LEDGER_LOCK) as alone:
        if not alone:
            raise RecommonsError(
                "run/ledger-busy", "another process carries out a run of this coordinator"
            )
        yield


def _for_want_of_room(run: Path, error: Exception) -> bool:
    """Whether a fault is the disk's: this process's own, or Flower's on the same disk."""
    if isinstance(error, OSError) and is_disk_fault(error):
        return True
    return shutil.disk_usage(run).free < _LEAST_ROOM


def is_attended(run: Path) -> bool:
    """Whether a process carries out the run now."""
    return is_locked(run / _LOCK)


def left_in(run: Path) -> int | None:
    """Flower's run of the last process, where that is gone; None while one lives.

    Flower hears of its end from the process itself, or notices a minute later: not at all where
    the SuperLink was gone first.
    """
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
    match _read(run / _PROCESS).get("ended"):
        case {"time": str(time), "code": None | str() as code, "message": str(message)}:
            if code is None or code in REMEDIES:
                return LastEnd(time=time, code=code, message=message)
    return None


class LastProgress(BaseModel):
    """The last step of a run, as `RoundProgress` has it; what is not there has its default.

    Attributes:
        time: When it began, UTC.
    """

    model_config = ConfigDict(frozen=True)

    time: Annotated[str, Field(pattern=f"^{TIME.pattern}$")] | None = None
    round: int = 0
    attempt: int = 0
    step: str = ""
    dropped: tuple[str, ...] = ()
    bytes_up: int = 0
    bytes_down: int = 0
    refusals: tuple[str, ...] = ()


def last_progress(run: Path) -> LastProgress:
    """The last step; nothing but defaults where there is none that can be read."""
    with suppress(ValidationError):
        return LastProgress.model_validate(_read(run / _PROGRESS))
    return LastProgress()


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


def _say_last(path: Path, fields: dict[str, Any]) -> None:
    """Write a word for whoever comes next, on a full disk in the place that the last one has."""
    try:
        _replace(path, fields)
    except OSError:
        with suppress(OSError), path.open("r+b") as file:
            file.write(json.dumps(fields).encode())
            file.truncate()


def _read(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(path.read_bytes())
        if isinstance(found, dict):
            return found
    return {}
