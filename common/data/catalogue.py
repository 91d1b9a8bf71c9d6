"""The public item catalogue: ids, titles and feature columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from recommons.common.errors import DataError
from recommons.common.hashing import digest, framed

__all__ = ["Catalogue", "ColumnKind", "FeatureColumn"]

ColumnKind = Literal["text", "categories", "number", "vector"]

_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureColumn:
    """One public column of the item table.

    Attributes:
        name: The column's name.
        kind: ``text`` (values: str), ``categories`` (tuple[str, ...]), ``number`` (float, NaN
            where missing) or ``vector`` (float32 array, shape ``(n_items, width)``; zeros where
            missing).
        values: One value an item, in the catalogue's order.
    """

    name: str
    kind: ColumnKind
    values: Sequence[str] | Sequence[tuple[str, ...]] | npt.NDArray[np.floating] = field(repr=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Catalogue:
    """All items anyone may be recommended, in ascending order of id.

    Attributes:
        item_ids: Distinct ids, ascending as strings.
        titles: Title by item, empty where unknown.
        features: Public feature columns.
        inferred: The catalogue was read off the events and is private information: allowed in
            simulation with the mark "catalogue assumed public", refused in deployment.

    Raises:
        DataError: ``data/empty``, or ``data/catalogue``: ids out of order, a column of another
            length, a number that is not finite in float32 (but for NaN, a gap).
    """

    item_ids: tuple[str, ...] = field(repr=False)
    titles: tuple[str, ...] = field(repr=False)
    features: tuple[FeatureColumn, ...] = field(default=())
    inferred: bool = False

    def __post_init__(self) -> None:
        if not self.item_ids:
            raise DataError("data/empty", "the catalogue has no items; required: at least one")
        if any(earlier >= later for earlier, later in pairwise(self.item_ids)):
            raise DataError(
                "data/catalogue", "the item ids are out of order; required: ascending, distinct"
            )
        lengths = {"the list of titles": len(self.titles)}
        lengths |= {f"column {c.name!r:.80}": len(c.values) for c in self.features}
        for name, length in lengths.items():
            if length != len(self.item_ids):
                raise DataError(
                    "data/catalogue",
                    f"{name} has {length} values; required: {len(self.item_ids)}, one an item",
                )
        for column in self.features:
            if not _fits_float32(column):
                raise DataError(
                    "data/catalogue",
                    f"column {column.name!r:.80} has other numbers than models take; "
                    "required: finite ones, in float32 too",
                )

    def __len__(self) -> int:
        return len(self.item_ids)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Item id to position."""
        return {item: position for position, item in enumerate(self.item_ids)}

    @cached_property
    def hash(self) -> bytes:
        """SHA-256 over ids, titles and features: what a plan pins."""
        parts = [
            framed("inferred", b"yes" if self.inferred else b"no"),
            framed("ids", *(i.encode() for i in self.item_ids)),
        ]
        parts.append(framed("titles", *(t.encode() for t in self.titles)))
        parts.extend(_column_bytes(column) for column in self.features)
        return digest("recommons/catalogue/1", *parts)


def _fits_float32(column: FeatureColumn) -> bool:
    if not isinstance(column.values, np.ndarray):
        return True
    gaps = np.isnan(column.values)
    return bool((gaps | (np.abs(column.values) <= _FLOAT32_MAX)).all())


def _column_bytes(column: FeatureColumn) -> bytes:
    if isinstance(column.values, np.ndarray):
        flat = np.ascontiguousarray(column.values, dtype="<f8")
        shape = np.asarray(flat.shape, dtype="<i8")
        return framed(column.kind, column.name.encode(), shape.tobytes(), flat.tobytes())
    cells = [
        framed("cell", *(part.encode() for part in value))
        if isinstance(value, tuple)
        else value.encode()
        for value in column.values
    ]
    return framed(column.kind, column.name.encode(), *cells)
