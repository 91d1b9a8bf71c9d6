"""The catalogue as a document: what a coordinator publishes and every site reads."""

import json
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any

import numpy as np

from recommons.common.data.catalogue import Catalogue, FeatureColumn
from recommons.common.errors import DataError

__all__ = [
    "CATALOGUE_FILE",
    "catalogue_from_bytes",
    "catalogue_to_bytes",
    "remembered_catalogue",
]

CATALOGUE_FILE = "catalogue.json"
"""Its name, wherever there is one."""

_VERSION = 1
_REMEMBERED = 2


def catalogue_to_bytes(catalogue: Catalogue) -> bytes:
    """Write a catalogue as JSON, UTF-8; missing numbers become null."""
    features = [
        {"name": c.name, "kind": c.kind, "values": _plain(c.values)} for c in catalogue.features
    ]
    document = {
        "version": _VERSION,
        "item_ids": catalogue.item_ids,
        "titles": catalogue.titles,
        "features": features,
        "inferred": catalogue.inferred,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def catalogue_from_bytes(data: bytes) -> Catalogue:
    """Read a catalogue document.

    Raises:
        DataError: Not a catalogue document of this version.
    """
    try:
        document: dict[str, Any] = json.loads(data)
        if document["version"] != _VERSION:
            raise DataError(
                "data/catalogue", f"version is {document['version']!r}; required: {_VERSION}"
            )
        return Catalogue(
            item_ids=tuple(document["item_ids"]),
            titles=tuple(document["titles"]),
            features=tuple(_column(feature) for feature in document["features"]),
            inferred=bool(document["inferred"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError("data/catalogue", "the document is not a catalogue") from error


def remembered_catalogue(data: bytes) -> Catalogue:
    """As `catalogue_from_bytes`, the same object for the same document.

    For sites, which read it again for every message: reading and hashing a catalogue takes longer
    than a step.
    """
    return _remembered(_Document(sha256(data).digest(), data))


@dataclass(frozen=True)
class _Document:
    """A document, known by its hash."""

    hash: bytes
    data: bytes = field(compare=False, repr=False)


@lru_cache(maxsize=_REMEMBERED)
def _remembered(document: _Document) -> Catalogue:
    return catalogue_from_bytes(document.data)


def _plain(values: Any) -> list[Any]:  # noqa: ANN401 - any column's values
    if not isinstance(values, np.ndarray):
        return list(values)
    rows = values.tolist()
    return [None if isinstance(v, float) and v != v else v for v in rows]


def _column(feature: dict[str, Any]) -> FeatureColumn:
    kind, values = feature["kind"], feature["values"]
    if kind == "number":
        numbers = np.array([np.nan if v is None else v for v in values], np.float64)
        return FeatureColumn(name=feature["name"], kind=kind, values=numbers)
    if kind == "vector":
        return FeatureColumn(name=feature["name"], kind=kind, values=np.array(values, np.float32))
    if kind == "categories":
        return FeatureColumn(
            name=feature["name"], kind=kind, values=tuple(tuple(v) for v in values)
        )
    return FeatureColumn(name=feature["name"], kind="text", values=tuple(values))
