"""The catalogue as a document: what a coordinator publishes and every site reads."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt

from recommons.common.data.catalogue import Catalogue, FeatureColumn
from recommons.common.errors import DataError

__all__ = [
    "CATALOGUE_FILE",
    "MOST_OFFERED_BYTES",
    "catalogue_from_bytes",
    "catalogue_to_bytes",
    "offered_from_bytes",
    "remembered_catalogue",
]

CATALOGUE_FILE = "catalogue.json"
"""Its name, wherever there is one."""

MOST_OFFERED_BYTES = 64 << 20
"""What a site takes from the coordinator: 100,000 items of 670 bytes each.

That is a title, labels, and a paragraph or a vector of 24 numbers. Reading it takes 2 GiB at most.
"""

_MOST_PARTS = 1 << 22
"""Lists and objects in it: an empty one is 2 bytes here and up to 100 in memory."""

_VERSION = 1
_FIELDS = {"version", "item_ids", "titles", "features", "inferred"}
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
        DataError: ``data/catalogue``: not a catalogue document of this version.
    """
    try:
        return _catalogue(json.loads(data.decode(), parse_constant=_no_number))
    except DataError as error:
        raise DataError("data/catalogue", error.message) from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError("data/catalogue", "the document is not a catalogue") from error


def offered_from_bytes(data: bytes) -> Catalogue:
    """As `catalogue_from_bytes`, for a document from the coordinator: within bounds of memory.

    Raises:
        DataError: ``data/catalogue``: not a catalogue, or longer or of more parts than may be.
    """
    if len(data) > MOST_OFFERED_BYTES:
        raise DataError(
            "data/catalogue", f"the coordinator's is over {MOST_OFFERED_BYTES >> 20} MiB"
        )
    if data.count(b"[") + data.count(b"{") > _MOST_PARTS:
        raise DataError("data/catalogue", f"the coordinator's has over {_MOST_PARTS} lists")
    return catalogue_from_bytes(data)


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


def _no_number(word: str) -> float:
    raise ValueError(word)


def _catalogue(document: Any) -> Catalogue:  # noqa: ANN401 - parsed JSON
    """Types are looked at here: what is not as it must be raises whatever it raises."""
    version = document["version"]
    if type(version) is not int or version != _VERSION:
        raise DataError("data/catalogue", f"version is {version!r:.40}; required: {_VERSION}")
    if set(document) != _FIELDS or type(document["inferred"]) is not bool:
        raise ValueError("fields")
    return Catalogue(
        item_ids=_texts(document["item_ids"]),
        titles=_texts(document["titles"]),
        features=tuple(_column(feature) for feature in _list(document["features"])),
        inferred=document["inferred"],
    )


def _column(feature: dict[str, Any]) -> FeatureColumn:
    (name,), kind = _texts([feature["name"]]), feature["kind"]
    if set(feature) != {"name", "kind", "values"}:
        raise ValueError("fields")
    return FeatureColumn(name=name, kind=kind, values=_VALUES[kind](_list(feature["values"])))


def _list(values: Any) -> list[Any]:  # noqa: ANN401 - parsed JSON
    if type(values) is not list:
        raise TypeError("not a list")
    return values


def _texts(values: Any) -> tuple[str, ...]:  # noqa: ANN401 - parsed JSON
    if not set(map(type, _list(values))) <= {str}:
        raise TypeError("not text")
    "".join(values).encode()  # half a surrogate pair has no UTF-8, over which the hash goes
    return tuple(values)


def _numbers(values: list[Any]) -> npt.NDArray[np.float64]:
    if not set(map(type, values)) <= {int, float, NoneType}:
        raise TypeError("not a number")
    return np.array([np.nan if v is None else v for v in values], np.float64)


def _vectors(values: list[Any]) -> npt.NDArray[np.float32]:
    if not all(_list(row) and set(map(type, row)) <= {int, float} for row in values):
        raise TypeError("not numbers")
    with np.errstate(over="ignore"):  # the catalogue refuses what is too large for float32
        return np.array(values, np.float64).astype(np.float32)


_VALUES: Mapping[str, Callable[[list[Any]], Any]] = {
    "text": _texts,
    "categories": lambda values: tuple(_texts(cell) for cell in values),
    "number": _numbers,
    "vector": _vectors,
}
