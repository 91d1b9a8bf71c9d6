"""A released model as bytes: one file of arrays and one document about them.

``model.safetensors`` holds the arrays. ``model.json`` is canonical JSON and holds everything else:
the settings needed to score, the catalogue's ids and titles, which features were used, the plan's
hash, the privacy cost, and the SHA-256 of the arrays' file, so that its own hash pins the whole
release. Both sides read and write files themselves; nothing here touches a disk.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.numpy import load, save

from recommons.common.checks import describe_validation
from recommons.common.errors import InvalidInput
from recommons.common.hashing import canonical_json
from recommons.common.models.interface import ModelRelease

__all__ = [
    "ARRAYS_FILE",
    "DOCUMENT_FILE",
    "ReleaseMetadata",
    "decode_release",
    "encode_release",
]

ARRAYS_FILE = "model.safetensors"
DOCUMENT_FILE = "model.json"

_FORMAT = "recommons/model"
_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ReleaseMetadata:
    """What a reader of a model must know beside its arrays.

    Attributes:
        item_ids: The catalogue's ids; the arrays' items are in this order.
        titles: One title an item, empty where unknown.
        plan_hash: SHA-256 of the plan, hexadecimal.
        features: Names of the public feature columns that were used.
        privacy: The privacy cost, a JSON object, e.g. the ``privacy`` object of `report.json`.
        catalogue_assumed_public: The catalogue was read off the events.
    """

    item_ids: tuple[str, ...]
    titles: tuple[str, ...]
    plan_hash: str
    features: tuple[str, ...] = ()
    privacy: Mapping[str, Any] = field(default_factory=dict)
    catalogue_assumed_public: bool = False


class _Document(BaseModel):
    """`model.json`."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["recommons/model"]
    version: Annotated[int, Field(ge=1)]
    model: Annotated[str, Field(min_length=1)]
    settings: dict[str, Any]
    arrays: dict[str, tuple[str, tuple[Annotated[int, Field(ge=0)], ...]]]
    arrays_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    item_ids: Annotated[tuple[str, ...], Field(min_length=1)]
    titles: tuple[str, ...]
    plan_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    features: tuple[str, ...]
    privacy: dict[str, Any]
    catalogue_assumed_public: bool

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if len(self.titles) != len(self.item_ids):
            raise ValueError(f"{len(self.titles)} titles for {len(self.item_ids)} items")
        if len(set(self.item_ids)) != len(self.item_ids):
            raise ValueError("item_ids holds an id twice")
        return self


class _Version(BaseModel):
    """The first thing read, so that a newer document is told from a damaged one."""

    format: Literal["recommons/model"]
    version: int


def encode_release(release: ModelRelease, metadata: ReleaseMetadata) -> Mapping[str, bytes]:
    """The two files by name; the same release gives the same bytes.

    Raises:
        InvalidInput: Release and metadata do not make a sound release, or hold what JSON cannot.
    """
    arrays = {name: release.arrays[name] for name in sorted(release.arrays)}
    packed = save({name: array.copy(order="C") for name, array in arrays.items()})
    document = {
        "format": _FORMAT,
        "version": _VERSION,
        "model": release.model,
        "settings": dict(release.settings),
        "arrays": {name: [str(a.dtype), list(a.shape)] for name, a in arrays.items()},
        "arrays_sha256": hashlib.sha256(packed).hexdigest(),
        "item_ids": list(metadata.item_ids),
        "titles": list(metadata.titles),
        "plan_hash": metadata.plan_hash,
        "features": list(metadata.features),
        "privacy": dict(metadata.privacy),
        "catalogue_assumed_public": metadata.catalogue_assumed_public,
    }
    try:
        text = canonical_json(document)
    except (TypeError, ValueError) as error:
        raise InvalidInput("input/argument", f"the release is not JSON: {error}") from error
    _parse(text)
    return {ARRAYS_FILE: packed, DOCUMENT_FILE: text}


def decode_release(
    files: Mapping[str, bytes], *, source: str = "model"
) -> tuple[ModelRelease, ReleaseMetadata]:
    """Read the two files, strictly.

    Args:
        files: Content by name, as from `encode_release`.
        source: Where they came from, for messages.

    Raises:
        InvalidInput: They are damaged, do not belong together, or are of a newer version.
    """
    document = _parse(files[DOCUMENT_FILE], f"{source}/{DOCUMENT_FILE}")
    packed, place = files[ARRAYS_FILE], f"{source}/{ARRAYS_FILE}"
    if hashlib.sha256(packed).hexdigest() != document.arrays_sha256:
        raise InvalidInput(
            "release/corrupt", f"{place}: its SHA-256 is not the one that {DOCUMENT_FILE} names"
        )
    try:
        arrays = load(packed)
    except SafetensorError as error:
        raise InvalidInput("release/corrupt", f"{place}: not a safetensors file") from error
    found = {name: (str(array.dtype), array.shape) for name, array in arrays.items()}
    if found != document.arrays:
        raise InvalidInput(
            "release/corrupt", f"{place}: its arrays are not those that {DOCUMENT_FILE} names"
        )
    release = ModelRelease(model=document.model, arrays=arrays, settings=document.settings)
    return release, ReleaseMetadata(
        item_ids=document.item_ids,
        titles=document.titles,
        plan_hash=document.plan_hash,
        features=document.features,
        privacy=document.privacy,
        catalogue_assumed_public=document.catalogue_assumed_public,
    )


def _parse(text: bytes, source: str = DOCUMENT_FILE) -> _Document:
    try:
        version = _Version.model_validate_json(text).version
        if version > _VERSION:
            raise InvalidInput(
                "release/version", f"{source}: version is {version}; required: {_VERSION} or less"
            )
        return _Document.model_validate_json(text)
    except ValidationError as error:
        raise InvalidInput("release/corrupt", describe_validation(source, error)) from None
