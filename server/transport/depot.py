"""Parcels on their way between the coordinator's app and the gateway, which are on one host.

Flower's SuperLink says who is there, which run goes on, and which message is for whom. The contents
of messages lie here meanwhile, as files: the app writes a request under its node and the id of the
message, and the gateway gives it to the one site to which Flower has delivered that message; the
gateway writes a reply's under the id of the request that it answers, and the app takes it. So a
vector of many megabytes is written once and read once, and not carried through the SuperLink's
database twice; and the gateway sees for whom there is something to ask Flower for.

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

    def send(self, node: int, message_id: str, parcel: bytes) -> None:
        """Lay a request ready for its site."""
        self._write(self._request(node, message_id), parcel)

    def sent(self, node: int, message_id: str) -> bytes | None:
        """A request, for the site that may have it."""
        return _read(self._request(node, message_id))

    def waiting(self, node: int) -> frozenset[str]:
        """The ids of the requests to a node that were neither answered nor withdrawn."""
        try:
            names = [path.name for path in self._node(node).iterdir()]
        except FileNotFoundError:
            return frozenset()
        return frozenset(name for name in names if _ID.fullmatch(name))

    def withdraw(self, node: int, message_id: str) -> None:
        """The request has arrived, or is not to arrive any more."""
        self._request(node, message_id).unlink(missing_ok=True)

    def answer(self, node: int, message_id: str, parcel: bytes) -> None:
        """Lay the reply to a request ready for the app, if it still waits; the request goes.

        Nobody would take a late one: sites could fill the disk with them.
        """
        if self._request(node, message_id).exists():
            self._write(self._reply(message_id), parcel)
            self.withdraw(node, message_id)

    def answered(self, message_id: str) -> bytes | None:
        """Take the reply to a request; it is gone from here then."""
        path = self._reply(message_id)
        parcel = _read(path)
        if parcel is not None:
            path.unlink(missing_ok=True)
        return parcel

    def clear_stale(self) -> None:
        """Remove what nobody fetched for a day."""
        before = time.time() - _STALE_SECONDS
        for path in self.folder.rglob("*"):
            with suppress(OSError):
                if path.is_file() and path.stat().st_mtime < before:
                    path.unlink()

    def _node(self, node: int) -> Path:
        return self.folder / "down" / f"{node:d}"

    def _request(self, node: int, message_id: str) -> Path:
        return self._node(node) / _name(message_id)

    def _reply(self, message_id: str) -> Path:
        return self.folder / "up" / _name(message_id)

    def _write(self, path: Path, parcel: bytes) -> None:
        for folder in (path.parent.parent, path.parent):  # the mode is for the last one alone
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(parcel)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)  # it would keep a full disk full
            raise


def _name(message_id: str) -> str:
    if _ID.fullmatch(message_id) is None:  # it becomes a file's name
        raise InvalidInput("site/message", "a message's id is not a hash")
    return message_id


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
