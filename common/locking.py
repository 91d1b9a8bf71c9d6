"""A file whose lock says that a process is at work; the system lets go of it when that dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["is_locked", "locked", "locked_or_not"]

_PATIENCE = 1.0
_PAUSE = 0.05


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock, however long another process keeps it; the file is made if need be."""
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked_or_not(path: Path) -> Iterator[bool]:
    """Hold a file's lock unless another process keeps it; whether it is held.

    Raises:
        OSError: The file cannot be locked at all, e.g. on a network's disk without locks.
    """
    descriptor = _opened(path)
    try:
        yield _taken(descriptor)
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a process holds a file's lock; False where there is no such file.

    Raises:
        OSError: It cannot be told, e.g. on a network's disk without locks.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        # A shared lock, so that two who look do not take each other for the process.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _taken(descriptor: int) -> bool:
    """Whoever only looks at the lock lets go of it within an instant."""
    last = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > last:
                return False
            time.sleep(_PAUSE)
        else:
            return True
