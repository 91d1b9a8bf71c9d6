"""A published release: which files are which model, under the coordinator's signature.

Releases of a federation are numbered from 1 and never taken back. Each note names the one before
by its hash, so that a site that has seen a release sees a history that only grows, and two sites
can compare theirs by one hash. Canonical JSON (RFC 8785), signed with Ed25519.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recommons.common.checks import describe_validation
from recommons.common.errors import InvalidInput
from recommons.common.hashing import canonical_json, digest
from recommons.common.models.release import ARRAYS_FILE, DOCUMENT_FILE
from recommons.common.secagg.identity import SIGNATURE_BYTES, SigningIdentity, is_signed

__all__ = [
    "FILES",
    "NOTE_FILE",
    "PublishedFile",
    "ReleaseNote",
    "check_history",
    "release_name",
]

FILES = (ARRAYS_FILE, DOCUMENT_FILE)
"""The files of a release, in the order in which they are fetched."""
NOTE_FILE = "release.json"
_DOMAIN = "recommons/release/1"
_MOST_BYTES = 64 << 10

_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class PublishedFile(BaseModel):
    """One file of a release.

    Attributes:
        size: Bytes.
        sha256: Of the content, hex.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: Annotated[int, Field(ge=0, le=1 << 40)]
    sha256: _Hash

    @classmethod
    def of(cls, content: bytes) -> Self:
        """That has this content."""
        return cls(size=len(content), sha256=hashlib.sha256(content).hexdigest())

    def holds(self, content: bytes) -> bool:
        """Whether it has this content."""
        found = hashlib.sha256(content).hexdigest()
        return len(content) == self.size and hmac.compare_digest(found, self.sha256)


class ReleaseNote(BaseModel):
    """`release.json`.

    Attributes:
        version: Of the document.
        federation: The federation's id.
        number: Of the release, from 1.
        run: Our own run id, hex.
        plan: The plan's hash, hex.
        model: The model's name.
        arrays: Digest of the model's arrays as the coordinator's ledger holds it, hex.
        epsilon: What it cost, with all that the run released; None where nothing was noised.
        delta: δ.
        files: Size and hash by name.
        previous: Hash of the note before, hex; empty for the first.
        signature: The coordinator's, hex.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    version: Literal[1] = 1
    federation: Annotated[str, Field(min_length=1, max_length=64)]
    number: Annotated[int, Field(ge=1, le=999_999)]
    run: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    plan: _Hash
    model: Annotated[str, Field(min_length=1, max_length=64)]
    arrays: _Hash
    epsilon: Annotated[float, Field(ge=0)] | None
    delta: Annotated[float, Field(ge=0, le=1)]
    files: dict[str, PublishedFile]
    previous: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]
    signature: Annotated[str, Field(pattern=f"^([0-9a-f]{{{2 * SIGNATURE_BYTES}}})?$")] = ""

    def signed(self, coordinator: SigningIdentity) -> Self:
        """The same under the coordinator's signature."""
        signature = coordinator.sign(_DOMAIN, self._statement())
        return self.model_copy(update={"signature": signature.hex()})

    def check(self, federation: str, coordinator_key: bytes) -> None:
        """Check that it is this federation's and its coordinator's.

        Raises:
            InvalidInput: ``release/signature``.
        """
        signature = bytes.fromhex(self.signature)
        if self.federation != federation or not is_signed(
            coordinator_key, signature, _DOMAIN, self._statement()
        ):
            raise InvalidInput(
                "release/signature",
                f"release {self.number} is not signed by the pinned coordinator of {federation}",
            )

    def check_files(self, contents: Mapping[str, bytes]) -> None:
        """Check that these are the files.

        Raises:
            InvalidInput: ``release/corrupt``: a file is missing or another one.
        """
        for name, file in self.files.items():
            if name not in contents or not file.holds(contents[name]):
                raise InvalidInput(
                    "release/corrupt", f"release {self.number}: {name} is not the one signed for"
                )

    @property
    def hash(self) -> bytes:
        """By which the next note names it."""
        return digest("recommons/release-note/1", self.to_bytes())

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read `to_bytes`; the signature is not yet checked.

        Raises:
            InvalidInput: ``release/corrupt``: not such a document.
        """
        if len(data) > _MOST_BYTES:
            raise InvalidInput("release/corrupt", f"{NOTE_FILE} has {len(data)} bytes")
        try:
            note = cls.model_validate_json(data)
        except ValidationError as error:
            raise InvalidInput("release/corrupt", describe_validation(NOTE_FILE, error)) from None
        if note.to_bytes() != data or tuple(sorted(note.files)) != tuple(sorted(FILES)):
            raise InvalidInput("release/corrupt", f"{NOTE_FILE} is not in its canonical form")
        return note

    def _statement(self) -> bytes:
        return canonical_json(self.model_dump(mode="json", exclude={"signature"}))


def check_history(notes: Iterable[ReleaseNote]) -> None:
    """Check that notes, ascending, are one unbroken history.

    Raises:
        InvalidInput: ``release/history``.
    """
    before: ReleaseNote | None = None
    for note in notes:
        expected = (1, "") if before is None else (before.number + 1, before.hash.hex())
        if (note.number, note.previous) != expected:
            raise InvalidInput(
                "release/history", f"release {note.number} does not follow on the one before it"
            )
        before = note


def release_name(number: int) -> str:
    """The folder of a release: at least three digits."""
    return f"{number:03d}"
