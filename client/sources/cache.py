"""The compact copy of a site's events: who by keyed hash, what by place in the catalogue.

A round is computed from this copy, mapped into memory: four bytes a pair, and no user id. It lies
in a folder of its own, readable by its owner alone, and is replaced as a whole: a copy is written
beside the one in use and named in ``current`` once it is on the disk.

| file | holds |
|---|---|
| `manifest.json` | what the copy was made from, and its size |
| `keys` | uint64, two a user: keyed hashes, ascending |
| `indptr` | int64: where each user's items begin |
| `indices` | int32: items |
| `times`, `kinds` | int64 and int16, aligned with `indices`, for models that read them |
"""

import json
import os
import secrets
import shutil
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from recommons.client.sources.gathering import Gathered
from recommons.common.data.interactions import Interactions

__all__ = ["Manifest", "OwnUsers", "drop_copy", "open_copy", "publish", "write_copy"]

_CURRENT, _MANIFEST = "current", "manifest.json"
_VERSION = 3
"""3: times are microseconds since 1970; before, numbers had whole units of their own."""
_TYPES: dict[str, npt.DTypeLike] = {
    "keys": np.uint64,
    "indptr": np.int64,
    "indices": np.int32,
    "times": np.int64,
    "kinds": np.int16,
}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a copy was made from.

    Attributes:
        source: Hash of the settings and, for files, of their names, sizes and times.
        catalogue: Hash of the catalogue.
        key: Hash of the key of the users' hashes.
        ordered: Times and kinds were asked for.
        columns: Those of the two that the events have.
        users: Number of users.
        pairs: Number of distinct pairs.
        rows: Number of events read, those that do not count included.
        left_out: Events that do not count, by reason.
        bad: Events that could not be read and are left out, by reason.
        unknown: Events on items outside the catalogue.
        read: When the reading began, in seconds since 1970.
        seconds: How long it took.
    """

    source: str
    catalogue: str
    key: str
    ordered: bool
    columns: tuple[str, ...]
    users: int
    pairs: int
    rows: int
    left_out: dict[str, int]
    bad: dict[str, int]
    unknown: int
    read: float
    seconds: float


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnUsers:
    """A site's users and what they touched.

    Attributes:
        keys: The users' keyed hashes, ascending, shape ``(users, 2)``.
        interactions: One row a user, in the same order; a user who touched only items outside the
            catalogue has an empty row.
        manifest: What they were read from.
    """

    keys: npt.NDArray[np.uint64] = field(repr=False)
    interactions: Interactions = field(repr=False)
    manifest: Manifest


def open_copy(folder: Path, n_items: int) -> OwnUsers | None:
    """Map the present copy into memory; None where there is no whole one.

    Args:
        folder: The cache's folder.
        n_items: Size of the catalogue.
    """
    try:
        copy = folder / (folder / _CURRENT).read_text(encoding="ascii").strip()
        document = json.loads((copy / _MANIFEST).read_bytes())
        if document.pop("version") != _VERSION:
            return None
        manifest = Manifest(**document | {"columns": tuple(document["columns"])})
        names = ("keys", "indptr", "indices", *manifest.columns)
        arrays = {name: _mapped(copy / name, _TYPES[name]) for name in names}
    except (OSError, ValueError, TypeError, KeyError):
        return None
    pairs, users = len(arrays["indices"]), len(arrays["indptr"]) - 1
    if (pairs, users, 2 * users) != (manifest.pairs, manifest.users, len(arrays["keys"])):
        return None
    if any(len(arrays[name]) != pairs for name in manifest.columns):
        return None
    return OwnUsers(
        keys=arrays["keys"].reshape(-1, 2),
        interactions=Interactions(
            indptr=arrays["indptr"],
            indices=arrays["indices"],
            n_items=n_items,
            times=arrays.get("times"),
            kinds=arrays.get("kinds"),
        ),
        manifest=manifest,
    )


def write_copy(
    folder: Path, parts: Iterable[Gathered], columns: tuple[str, ...]
) -> tuple[Path, int, int]:
    """Write rows into a new copy, not yet the present one.

    Args:
        folder: The cache's folder.
        parts: The rows, ascending.
        columns: ``times``, ``kinds``: those that the rows have.

    Returns:
        The copy's folder, and how many users and pairs it holds; `publish` makes it the present
        one.
    """
    copy = folder / secrets.token_hex(8)
    copy.mkdir(mode=0o700)
    with ExitStack() as stack:
        names = ("keys", "indptr", "indices", *columns)
        files = {name: stack.enter_context(_new(copy / name)) for name in names}
        np.zeros(1, np.int64).tofile(files["indptr"])
        users = begins = 0
        for part in parts:
            users += len(part.keys)
            part.keys.tofile(files["keys"])
            (np.cumsum(part.lengths, dtype=np.int64) + begins).tofile(files["indptr"])
            begins += int(part.lengths.sum())
            part.items.tofile(files["indices"])
            for name in columns:
                values = part.times if name == "times" else part.kinds
                if values is not None:
                    values.tofile(files[name])
        for file in files.values():
            file.flush()
            os.fsync(file.fileno())
    return copy, users, begins


def publish(folder: Path, copy: Path, manifest: Manifest) -> None:
    """Make a copy the present one and remove all others."""
    with _new(copy / _MANIFEST) as file:
        file.write(json.dumps({"version": _VERSION, **asdict(manifest)}, indent=2).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    pointer = folder / f"{_CURRENT}.{copy.name}"
    with _new(pointer) as file:
        file.write(copy.name.encode() + b"\n")
    pointer.replace(folder / _CURRENT)
    for other in folder.iterdir():
        if other.is_dir() and other != copy and not other.name.startswith("gathering-"):
            shutil.rmtree(other, ignore_errors=True)  # who has it mapped keeps it


def drop_copy(folder: Path) -> None:
    """Remove every copy, a broken-off one too: the next reading starts from the source.

    Raises:
        OSError: One could not be removed, or not whole.
    """
    with suppress(FileNotFoundError):
        (folder / _CURRENT).unlink()
    if folder.is_dir():
        for copy in folder.iterdir():
            if copy.is_dir():
                shutil.rmtree(copy)


def _mapped(path: Path, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    if path.stat().st_size == 0:
        return np.empty(0, dtype)
    return np.memmap(path, dtype, mode="r").view(np.ndarray)


def _new(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return os.fdopen(descriptor, "wb")
