"""Child processes that are started again when they end, and end with their parent."""

import ctypes
import json
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

__all__ = ["Child", "Supervisor", "forget_processes", "process_states"]

_STATES = "processes.json"

_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_STEADY_SECONDS = 30.0
_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Child:
    """A process to keep running.

    Attributes:
        name: For logs.
        command: What to run; absolute paths, no shell.
        environment: Added to this process's own.
        log: Its output, appended.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    failures: int = field(default=0, init=False)
    started: float = field(default=0.0, init=False)
    due: float = field(default=0.0, init=False)
    since: str = field(default="", init=False)
    starts: int = field(default=0, init=False)

    def start(self) -> None:
        """Start it; it is killed by the kernel when this process dies."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - commands of our own, no shell
                self.command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,
            )
        self.started, self.starts = time.monotonic(), self.starts + 1
        self.since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        _log.info("started %s (pid %d)", self.name, self.process.pid)

    def ended(self) -> bool:
        """Whether it has ended."""
        return self.process is not None and self.process.poll() is not None

    def stop(self, seconds: float) -> None:
        """Ask it to end; kill it if it does not within the time."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass(eq=False)
class Supervisor:
    """Keeps children running.

    Attributes:
        children: In the order in which they are started; they are stopped in reverse.
        stop: Set it to end.
        stop_seconds: How long a child may take to end.
        record: A folder in which the children's states are kept for others to read.
    """

    children: Sequence[Child]
    stop: threading.Event = field(default_factory=threading.Event)
    stop_seconds: float = 10.0
    record: Path | None = None

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Start the children and keep them up until `stop`.

        Args:
            ready: Called once they are started.
        """
        try:
            for child in self.children:
                child.start()
            self._tell()
            ready()
            while not self.stop.wait(0.2):
                for child in self.children:
                    if self._tend(child, time.monotonic()):
                        self._tell()
        finally:
            for child in reversed(self.children):
                child.stop(self.stop_seconds)
            self._tell()

    def _tell(self) -> None:
        """Write down how the children are."""
        if self.record is None:
            return
        states = [
            {
                "name": child.name,
                "pid": child.process.pid if child.process else None,
                "up": child.process is not None and not child.ended(),
                "since": child.since,
                "starts": child.starts,
            }
            for child in self.children
        ]
        temporary = self.record / f".{_STATES}.{os.getpid()}"
        temporary.write_text(json.dumps({"supervisor": os.getpid(), "processes": states}) + "\n")
        temporary.replace(self.record / _STATES)

    def _tend(self, child: Child, now: float) -> bool:
        """Look after one; whether something changed."""
        if not child.ended():
            return False
        if child.due == 0.0:
            lived = now - child.started
            child.failures = 0 if lived > _STEADY_SECONDS else child.failures + 1
            child.due = now + min(30.0, 0.25 * 2**child.failures)
            status = child.process.returncode if child.process else None
            _log.warning("%s ended with %s", child.name, status)
            return True
        if now >= child.due:
            child.due = 0.0
            child.start()
            return True
        return False


def process_states(folder: Path) -> list[dict[str, Any]]:
    """What a supervisor wrote of its children: none is up where the supervisor itself is gone."""
    try:
        found = json.loads((folder / _STATES).read_bytes())
        alive = Path(f"/proc/{int(found['supervisor'])}").exists()
        return [_state(state, alive=alive) for state in found["processes"]]
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return []


def _state(told: Mapping[str, Any], *, alive: bool) -> dict[str, Any]:
    """What was written of one child; raises whatever reading garbage raises."""
    since = str(told["since"])
    if since:  # empty before it was first started
        datetime.fromisoformat(since).timestamp()
    return {
        "name": str(told["name"]),
        "pid": None if told["pid"] is None else int(told["pid"]),
        "up": told["up"] is True and alive,
        "since": since,
        "starts": int(told["starts"]),
    }


def forget_processes(folder: Path) -> None:
    """Remove what the last supervisor wrote, before anybody takes it for the next one's."""
    (folder / _STATES).unlink(missing_ok=True)


def _die_with_parent() -> None:
    _LIBC.prctl(_PDEATHSIG, signal.SIGTERM)
