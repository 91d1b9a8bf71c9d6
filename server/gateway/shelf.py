"""What every member may read: the federation's releases and its catalogue.

`GET /v1/recommons/releases` says how many there are, `GET /v1/recommons/releases/NNN/FILE` gives a
file. Releases never change, so that a download that broke off goes on with `Range: bytes=N-`.
`GET /v1/recommons/catalogue` gives the public catalogue, or 204 where the operator has put none.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from recommons.common.data.catalogue_document import CATALOGUE_FILE
from recommons.common.published import FILES, NOTE_FILE
from recommons.server.gateway.denial import Denial
from recommons.server.gateway.upstream import Answer
from recommons.server.records.releases import RELEASES

__all__ = ["FilePart", "Shelf"]

_LIST = b"/v1/recommons/releases"
_CATALOGUE = b"/v1/recommons/catalogue"
_NAMES = b"|".join(re.escape(name.encode()) for name in (*FILES, NOTE_FILE))
_FILE = re.compile(_LIST + rb"/([0-9]{3,6})/(" + _NAMES + rb")")
_RANGE = re.compile(rb"bytes=([0-9]{1,15})-([0-9]{1,15})?")
_CHUNK_BYTES = 1 << 20
_NOTHING = Answer(status=204, media_type="application/json", body=b"")


@dataclass(frozen=True, kw_only=True)
class FilePart:
    """A file, or the part of it that was asked for.

    Attributes:
        path: The file.
        start: First byte.
        stop: The byte after the last one.
        size: Of the whole file.
    """

    path: Path
    start: int
    stop: int
    size: int

    @property
    def status(self) -> int:
        """200 for the whole, 206 for a part."""
        return 200 if (self.start, self.stop) == (0, self.size) else 206

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """As HTTP wants them."""
        found = [
            (b"content-type", b"application/octet-stream"),
            (b"content-length", str(self.stop - self.start).encode()),
            (b"accept-ranges", b"bytes"),
        ]
        if self.status == 206:
            part = f"bytes {self.start}-{self.stop - 1}/{self.size}"
            found.append((b"content-range", part.encode()))
        return found

    def chunks(self) -> Iterator[bytes]:
        """The bytes, a MiB at a time."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            left = self.stop - self.start
            while left > 0 and (chunk := file.read(min(_CHUNK_BYTES, left))):
                left -= len(chunk)
                yield chunk


@dataclass(frozen=True)
class Shelf:
    """The releases and the catalogue in a coordinator's home.

    Attributes:
        home: The home's folder.
    """

    home: Path

    def answer(self, path: bytes, headers: Mapping[bytes, bytes]) -> Answer | FilePart | None:
        """What stands at a path, by its exact bytes; None where nothing does.

        Raises:
            Denial: ``gateway/no-such-call``: there is no such release; ``gateway/range``.
        """
        if path == _CATALOGUE:
            catalogue = self.home / CATALOGUE_FILE
            return _part(catalogue, None) if catalogue.is_file() else _NOTHING
        if path == _LIST:
            listed = json.dumps({"releases": self._count()}).encode()
            return Answer(status=200, media_type="application/json", body=listed)
        found = _FILE.fullmatch(path)
        if found is None:
            return None
        number, name = (part.decode() for part in found.groups())
        file = self.home / RELEASES / number / name
        if not file.is_file():
            raise Denial(404, "gateway/no-such-call", "no such release")
        return _part(file, headers.get(b"range"))

    def _count(self) -> int:
        return sum(1 for _ in (self.home / RELEASES).glob(f"[0-9]*/{NOTE_FILE}"))


def _part(file: Path, asked: bytes | None) -> FilePart:
    size = file.stat().st_size
    if asked is None:
        return FilePart(path=file, start=0, stop=size, size=size)
    found = _RANGE.fullmatch(asked)
    if found is None:
        raise Denial(416, "gateway/range", "not one range of bytes")
    start = int(found[1])
    stop = size if found[2] is None else min(size, int(found[2]) + 1)
    if start >= stop:
        raise Denial(416, "gateway/range", f"a range outside the file's {size} bytes")
    return FilePart(path=file, start=start, stop=stop, size=size)
