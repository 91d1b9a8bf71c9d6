"""Where a benchmark writes what it measured: looked at before the first minute is spent."""

import os
from pathlib import Path

from recommons.common.errors import InvalidInput

__all__ = ["writable_file", "writable_folder"]


def writable_folder(folder: Path | None) -> Path | None:
    """The folder, made if need be.

    Raises:
        InvalidInput: ``bench/output``: it cannot be made or written in.
    """
    if folder is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except OSError:
        usable = False
    if not usable:
        raise InvalidInput(
            "bench/output", f"--output is {folder}; required: a folder that can be written"
        )
    return folder


def writable_file(file: Path | None) -> Path | None:
    """The file, whose folder is made if need be.

    Raises:
        InvalidInput: ``bench/output``: its folder cannot be written, or it is a folder itself.
    """
    if file is None:
        return None
    if file.is_dir():
        raise InvalidInput("bench/output", f"--output is {file}, a folder; required: a file")
    writable_folder(file.parent)
    return file
