"""The shelf of published releases in the coordinator's home: only ever added to.

| file of `releases/NNN` | holds |
|---|---|
| `model.safetensors`, `model.json` | the model (`recommons.common.models.release`) |
| `release.json` | number, run, hashes and cost, signed by the coordinator |
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from recommons.common.durably import write_durably
from recommons.common.errors import InvalidInput
from recommons.common.hashing import digest
from recommons.common.models.interface import ModelRelease
from recommons.common.models.release import ReleaseMetadata, encode_release
from recommons.common.models.state import arrays_to_bytes
from recommons.common.published import (
    NOTE_FILE,
    PublishedFile,
    ReleaseNote,
    check_history,
    release_name,
)
from recommons.server.records.folder import CoordinatorFolder

__all__ = ["RELEASES", "ReleaseShelf", "model_digest"]

RELEASES = "releases"


def model_digest(release: ModelRelease) -> bytes:
    """The digest of a model's arrays, as ledgers hold it."""
    return digest("recommons/model/1", arrays_to_bytes(release.arrays))


@dataclass(frozen=True, eq=False)
class ReleaseShelf:
    """The releases of one federation.

    Attributes:
        folder: Holds one folder a release.
    """

    folder: Path

    def notes(self) -> tuple[ReleaseNote, ...]:
        """Every release's note, ascending.

        Raises:
            InvalidInput: ``release/…``: one cannot be read, or they are not one history.
        """
        found: list[ReleaseNote] = []
        while (path := self.path(len(found) + 1) / NOTE_FILE).exists():
            found.append(ReleaseNote.from_bytes(path.read_bytes()))
        check_history(found)
        return tuple(found)

    def path(self, number: int) -> Path:
        """The folder of a release."""
        return self.folder / release_name(number)

    def publish(
        self,
        run: CoordinatorFolder,
        release: ModelRelease,
        metadata: ReleaseMetadata,
        *,
        epsilon: float | None,
    ) -> ReleaseNote:
        """Put a run's model on the shelf, once; on the disk, whole, when this returns.

        Args:
            run: The run.
            release: Its model.
            metadata: What goes with it.
            epsilon: What the run cost; None without noise.

        Raises:
            InvalidInput: ``release/history``: this run has published another model.
        """
        notes, arrays = self.notes(), model_digest(release).hex()
        for note in notes:
            if note.run == run.run_id.hex():
                if note.arrays != arrays:
                    raise InvalidInput(
                        "release/history", f"release {note.number} is another model of the run"
                    )
                return note
        files = encode_release(release, metadata)
        note = ReleaseNote(
            federation=run.plan.federation,
            number=len(notes) + 1,
            run=run.run_id.hex(),
            plan=run.plan.hash().hex(),
            model=release.model,
            arrays=arrays,
            epsilon=epsilon,
            delta=run.plan.privacy.delta,
            files={name: PublishedFile.of(content) for name, content in files.items()},
            previous=notes[-1].hash.hex() if notes else "",
        ).signed(run.identity)
        self._put(note.number, {**files, NOTE_FILE: note.to_bytes()})
        return note

    def _put(self, number: int, files: dict[str, bytes]) -> None:
        unfinished = self.folder / f".{secrets.token_hex(8)}"
        unfinished.mkdir(mode=0o700, parents=True)
        for name, content in files.items():
            write_durably(unfinished / name, content)
        unfinished.rename(self.path(number))
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
