"""Parcels on their way between the coordinator's app and the gateway, which are on one host.

Flower's SuperLink says who is there, which run goes on, and which message is for whom. The contents
of messages lie here meanwhile, as files: the app writes a request's under the message's id and the
gateway gives it to the one site to which Flower has delivered that message; the gateway writes a
reply's under the id of the request that it answers, and the app takes it. So a vector of many
megabytes is written once and read once, and not carried through the SuperLink's database twice.

Nothing here needs to outlive a crash: a parcel that is lost is a site that is silent.
"""

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from recommons.common.errors import InvalidInput

__all__ = ["DEPOT_FOLDER", "Depot"]

DEPOT_FOLDER = "RECOMMONS_DEPOT"
"""The environment variable by which the supervisor tells its processes the folder."""

_ID = re.compile(r"[0-9a-f]{64}")
_STALE_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Depot:
    """The folder of parcels.

    Attributes:
        folder: Holds `down` and `up`.
    """

    folder: Path

    @classmethod
    def of_environment(cls) -> Self | None:
        """That which the supervisor named; None where there is no gateway."""
        named = os.environ.get(DEPOT_FOLDER)
        return cls(Path(named)) if named else None

    def send(self, message_id: str, parcel: bytes) -> None:
        """Lay a request ready for its site."""
        self._write(self._path("down", message_id), parcel)

    def sent(self, message_id: str) -> bytes | None:
        """A request, for the site that may have it."""
        return _read(self._path("down", message_id))

    def withdraw(self, message_id: str) -> None:
        """The request has arrived, or is not to arrive any more."""
        self._path("down", message_id).unlink(missing_ok=True)

    def answer(self, message_id: str, parcel: bytes) -> None:
        """Lay the reply to a request ready for the app, if it still waits.

        Nobody would take a late one: sites could fill the disk with them.
        """
        if self._path("down", message_id).exists():
            self._write(self._path("up", message_id), parcel)

    def answered(self, message_id: str) -> bytes | None:
        """Take the reply to a request; it is gone from here then."""
        path = self._path("up", message_id)
        parcel = _read(path)
        if parcel is not None:
            path.unlink(missing_ok=True)
        return parcel

    def clear_stale(self) -> None:
        """Remove what nobody fetched for a day."""
        before = time.time() - _STALE_SECONDS
        for path in self.folder.glob("*/*"):
            with suppress(OSError):
                if path.stat().st_mtime < before:
                    path.unlink()

    def _path(self, way: str, message_id: str) -> Path:
        if _ID.fullmatch(message_id) is None:  # it becomes a file's name
            raise InvalidInput("site/message", "a message's id is not a hash")
        return self.folder / way / message_id

    def _write(self, path: Path, parcel: bytes) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(parcel)
        temporary.replace(path)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
