"""The federation's releases at a site: `models/NNN` in its folder, verified before they are there.

Each holds `release.json`, signed by the coordinator, and, where it was fetched whole, the two files
of the model. Notes form one history: a note that does not follow on the ones before is refused.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from recommons.common.errors import InvalidInput
from recommons.common.federation import Federation
from recommons.common.models.interface import ModelRelease
from recommons.common.models.release import ReleaseMetadata, decode_release
from recommons.common.published import NOTE_FILE, ReleaseNote, check_history, release_name

__all__ = ["MODELS", "Installed", "check_notes", "installed", "is_file", "read_installed", "served"]

MODELS = "models"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A release that the site knows.

    Attributes:
        note: What the coordinator signed.
        path: Its folder.
        complete: Whether the model's files are there, each as long as the note says.
    """

    note: ReleaseNote
    path: Path
    complete: bool


def installed(folder: Path) -> tuple[Installed, ...]:
    """The releases that a site knows, ascending.

    Args:
        folder: The site's folder.

    Raises:
        InvalidInput: ``release/…``: a note is damaged, or they are not one history.
    """
    found: list[Installed] = []
    while (path := _path(folder, len(found) + 1)).joinpath(NOTE_FILE).exists():
        note = ReleaseNote.from_bytes((path / NOTE_FILE).read_bytes())
        complete = all(_is_whole(path / name, file.size) for name, file in note.files.items())
        found.append(Installed(note=note, path=path, complete=complete))
    check_history(release.note for release in found)
    return tuple(found)


def served(folder: Path, name: str | None = None) -> Installed:
    """The release of a name, or the latest one, whose model is there.

    Args:
        folder: The site's folder.
        name: E.g. ``001``.

    Raises:
        InvalidInput: ``release/none``: there is none yet; ``release/missing``: none of the name.
    """
    whole = {release.path.name: release for release in installed(folder) if release.complete}
    if not whole:
        raise InvalidInput("release/none", f"{folder} has received no release yet")
    if name is not None and name not in whole:
        raise InvalidInput(
            "release/missing",
            f"release is {name!r}; required: one of {', '.join(list(whole)[-5:])}",
        )
    return list(whole.values())[-1] if name is None else whole[name]


def read_installed(release: Installed) -> tuple[ModelRelease, ReleaseMetadata]:
    """The model of a release, checked against what was signed.

    Raises:
        InvalidInput: ``release/corrupt``.
    """
    contents: dict[str, bytes] = {}
    for name in release.note.files:
        try:
            contents[name] = (release.path / name).read_bytes()
        except OSError as error:
            raise InvalidInput("release/corrupt", f"{name} cannot be read") from error
    release.note.check_files(contents)
    return decode_release(contents, source=str(release.path))


def check_notes(notes: Iterable[ReleaseNote], federation: Federation) -> None:
    """Check a history by its last note's signature: the others hang on it by their hashes.

    (An earlier one may be signed by a key that the coordinator has retired since.)

    Raises:
        InvalidInput: ``release/history`` or ``release/signature``.
    """
    history = list(notes)
    check_history(history)
    if history:
        history[-1].check(federation.roster.federation, federation.coordinator_key)


def is_file(path: Path, note: ReleaseNote) -> bool:
    """Whether a file, of whatever name, is the one of this name that was signed for."""
    file, hashed = note.files[path.name], hashlib.sha256()
    if path.stat().st_size != file.size:
        return False
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            hashed.update(chunk)
    return hashed.hexdigest() == file.sha256


def _is_whole(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _path(folder: Path, number: int) -> Path:
    return folder / MODELS / release_name(number)
