"""A released model on disk: ``model.safetensors`` and ``model.json`` in one folder."""

from pathlib import Path

from recommons.common.errors import InvalidInput
from recommons.common.models.interface import ModelRelease
from recommons.common.models.release import (
    ARRAYS_FILE,
    DOCUMENT_FILE,
    ReleaseMetadata,
    decode_release,
    encode_release,
)

__all__ = ["read_release", "write_release"]


def write_release(folder: Path, release: ModelRelease, metadata: ReleaseMetadata) -> None:
    """Write a release into a folder, which is made if need be.

    Each file appears whole or not at all, the document last: what it names is then there.

    Raises:
        InvalidInput: Release and metadata do not make a sound release.
        OSError: The folder cannot be written.
    """
    files = encode_release(release, metadata)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (ARRAYS_FILE, DOCUMENT_FILE):
        unfinished = folder / f".{name}.part"
        unfinished.write_bytes(files[name])
        unfinished.replace(folder / name)


def read_release(folder: Path) -> tuple[ModelRelease, ReleaseMetadata]:
    """Read a release.

    Raises:
        InvalidInput: A file is missing, damaged, of a newer version, or not the other's.
    """
    files = {}
    for name in (ARRAYS_FILE, DOCUMENT_FILE):
        path = folder / name
        try:
            files[name] = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            message = f"{path}: no such file; expected a released model"
            raise InvalidInput("release/missing", message) from None
    return decode_release(files, source=str(folder))
