"""Writing a file so that it is there whole, or as it was, whenever the power goes.

Until it is whole it lies beside its place as ``.NAME.xxxxxxxx.new``. A writer that is killed leaves
it there; `clear_unfinished` is for whoever starts next.
"""

import errno
import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["clear_unfinished", "create_durably", "is_disk_fault", "write_durably"]

_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}\.new", re.DOTALL)

_AT_WORK = 600.0
"""Seconds within which a file that was written to may still have its writer."""

_DISK_FAULTS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG})


def is_disk_fault(error: OSError) -> bool:
    """Whether there is no room, or the disk takes nothing for another reason of its own."""
    return error.errno in _DISK_FAULTS


def write_durably(path: Path, data: bytes, *, public: bool = False) -> None:
    """Replace a file, readable by its owner alone; on the disk when this returns.

    Several processes may write one file at once: the last to be done wins, and none is torn.

    Args:
        path: The file.
        data: Its content.
        public: Others may read it, as far as this process's mask lets them.
    """
    temporary = _written(path, data, 0o666 if public else 0o600)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _settle(path.parent)


def create_durably(path: Path, data: bytes) -> None:
    """The same for a file that must not be there; never a part of it is under that name.

    Raises:
        FileExistsError: It is there, and stays as it is.
    """
    temporary = _written(path, data)
    try:
        os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _settle(path.parent)


def clear_unfinished(folder: Path, older_than: float = _AT_WORK) -> None:
    """Remove what writers that were killed have left in a folder and below: perhaps a key.

    Args:
        folder: The folder; nothing happens where it is not there.
        older_than: Seconds since the file was last written to. A younger one may have its writer,
            in this process or another.
    """
    before = time.time() - older_than
    for inner, _, names in os.walk(folder):
        for name in filter(_UNFINISHED.fullmatch, names):
            path = Path(inner, name)
            with suppress(FileNotFoundError):  # finished after all, or cleared by another
                if path.lstat().st_mtime < before:
                    path.unlink()


def _written(path: Path, data: bytes, mode: int = 0o600) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _settle(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
