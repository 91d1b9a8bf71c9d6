"""Fetching releases: the notes of all, the model of the latest; a broken download goes on.

Nothing is believed before its hash is the one that the coordinator's signature covers: files lie in
a folder of unfinished ones until then.
"""

import json
import logging
import os
import shutil
from pathlib import Path

import httpx

from recommons.client.agent.link import LinkError, check_status, named
from recommons.client.agent.logs import event
from recommons.client.releases import MODELS, check_notes, installed, is_file
from recommons.common.durably import write_durably
from recommons.common.errors import InvalidInput
from recommons.common.federation import Federation
from recommons.common.published import NOTE_FILE, ReleaseNote, release_name

__all__ = ["fetch_model", "fetch_releases"]

_LIST = "/v1/recommons/releases"
_MOST_RELEASES = 100_000
_MOST_NOTE_BYTES = 64 << 10
_PARTS = ".parts"
_SPARE_BYTES = 64 << 20
_log = logging.getLogger(__name__)


def fetch_releases(folder: Path, client: httpx.Client) -> list[ReleaseNote]:
    """Fetch what is new: every note, and the model of the latest release.

    Args:
        folder: The site's folder.
        client: A line to the coordinator's gateway, over mutual TLS.

    Returns:
        The notes that are new.

    Raises:
        InvalidInput: ``release/…``: what the coordinator offers is not sound; nothing is kept.
        LinkError: The line was lost; the next call goes on.
    """
    known = installed(folder)
    new = [_note(client, number) for number in range(len(known) + 1, _count(client) + 1)]
    if new:
        pinned = Federation.from_bytes((folder / "federation.json").read_bytes())
        check_notes([*(release.note for release in known), *new], pinned)
        for note in new:
            _keep_note(folder, note)
            event(_log, "release", number=note.number, model=note.model, sha256=note.arrays)
    if known or new:
        fetch_model(folder, client)
    return new


def fetch_model(folder: Path, client: httpx.Client, number: int | None = None) -> None:
    """Fetch the model of a release; nothing to do where it is there.

    Args:
        folder: The site's folder.
        client: A line to the coordinator's gateway.
        number: A release whose note is there; by default the latest.

    Raises:
        InvalidInput: ``release/missing``, ``release/corrupt`` or ``release/disk``.
        LinkError: The line was lost; the next call goes on.
    """
    releases = installed(folder)
    if number is not None and not 1 <= number <= len(releases):
        raise InvalidInput("release/missing", f"release is {number}; known: 1 to {len(releases)}")
    release = releases[-1 if number is None else number - 1]
    if release.complete:
        return
    parts = folder / MODELS / _PARTS / release.path.name
    parts.mkdir(mode=0o700, parents=True, exist_ok=True)
    needed = sum(file.size for file in release.note.files.values()) + _SPARE_BYTES
    if shutil.disk_usage(folder).free < needed:
        raise InvalidInput("release/disk", f"the model needs {needed} bytes of disk")
    for name in release.note.files:
        _download(client, parts / name, release.note)
    for name in release.note.files:
        (parts / name).replace(release.path / name)
    parts.rmdir()
    event(_log, "model", number=release.note.number, bytes=needed - _SPARE_BYTES)


def _count(client: httpx.Client) -> int:
    response = named(lambda: client.get(_LIST).raise_for_status())
    try:
        count = json.loads(response.content)["releases"]
    except (ValueError, KeyError, TypeError) as error:
        raise LinkError("agent/message", "the list of releases is not readable") from error
    if type(count) is not int or not 0 <= count <= _MOST_RELEASES:
        raise LinkError("agent/message", "the list of releases is not readable")
    return count


def _note(client: httpx.Client, number: int) -> ReleaseNote:
    path = f"{_LIST}/{release_name(number)}/{NOTE_FILE}"

    def fetch() -> bytes:
        content = b""
        with client.stream("GET", path) as response:
            check_status(response)
            for chunk in response.iter_raw():
                content += chunk
                if len(content) > _MOST_NOTE_BYTES:
                    break  # more than any note has; refused when it is read
        return content

    return ReleaseNote.from_bytes(named(fetch))


def _keep_note(folder: Path, note: ReleaseNote) -> None:
    path = folder / MODELS / release_name(note.number)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_durably(path / NOTE_FILE, note.to_bytes())


def _download(client: httpx.Client, part: Path, note: ReleaseNote) -> None:
    """One file, from where an earlier download broke off; on the disk when this returns."""
    size = note.files[part.name].size
    have = part.stat().st_size if part.exists() else 0
    if have < size:
        path = f"{_LIST}/{release_name(note.number)}/{part.name}"
        _append(client, path, part, have, size)
    if not is_file(part, note):
        part.unlink()
        raise InvalidInput(
            "release/corrupt", f"release {note.number}: {part.name} is not the one signed for"
        )
    with part.open("rb") as file:
        os.fsync(file.fileno())


def _append(client: httpx.Client, path: str, part: Path, have: int, size: int) -> None:
    def fetch() -> None:
        headers = {"range": f"bytes={have}-"} if have else {}
        with client.stream("GET", path, headers=headers) as response, part.open("ab") as file:
            check_status(response)
            if have and response.status_code != httpx.codes.PARTIAL_CONTENT:
                file.truncate(0)
            for chunk in response.iter_raw():
                file.write(chunk)
                if file.tell() > size:
                    return  # more than was signed for: its hash will not fit

    named(fetch)
