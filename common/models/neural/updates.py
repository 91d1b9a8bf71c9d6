"""Which coordinates a step's sum has: all that is trained, or of tables the rows of some items.

A step of a model with very many items moves few of them: restricted to the items that were most
bought by the noised counts of the first round, a public choice, it is so much smaller to send. A
user's gradient is clipped as a whole; the rows that are left out only make it shorter.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recommons.common.errors import InvalidInput
from recommons.common.models.neural.warm_starts import BIASES, TABLES

__all__ = ["UpdateShape", "checked_rows", "most_bought"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
_ROWS = (*TABLES, *BIASES)


@dataclass(frozen=True, kw_only=True)
class UpdateShape:
    """Trained parameters in the order of the sum's coordinates.

    Attributes:
        whole: Names and shapes of the parameters.
        rows: Rows of each table that are trained; 0 for all.
    """

    whole: Mapping[str, tuple[int, ...]]
    rows: int

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return sum(math.prod(shape) for _, shape in self._parts())

    def _parts(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        for name, shape in self.whole.items():
            yield name, (self.rows, *shape[1:]) if self.rows and name in _ROWS else shape

    def flat(self, arrays: Mapping[str, Floats], rows: Integers | None) -> Floats:
        """The coordinates of arrays of whole shapes."""
        return np.concatenate([part.ravel() for part in self.chosen(arrays, rows).values()])

    def chosen(self, arrays: Mapping[str, Floats], rows: Integers | None) -> dict[str, Floats]:
        """What is trained of arrays of whole shapes, by name."""
        return {
            name: arrays[name][rows] if rows is not None and name in _ROWS else arrays[name]
            for name in self.whole
        }

    def split(self, values: Floats) -> dict[str, Floats]:
        """A sum's coordinates by name; what `chosen` gives the shapes of."""
        parts, start = {}, 0
        for name, shape in self._parts():
            size = math.prod(shape)
            parts[name] = values[start : start + size].reshape(shape)
            start += size
        return parts

    def put_back(
        self, arrays: Mapping[str, Floats], parts: Mapping[str, Floats], rows: Integers | None
    ) -> dict[str, Floats]:
        """The arrays with what is trained of them replaced."""
        result = dict(arrays)
        for name, part in parts.items():
            if rows is None or name not in _ROWS:
                result[name] = part
                continue
            result[name] = arrays[name].copy()
            result[name][rows] = part
        return result


def most_bought(counts: Floats, rows: int) -> Integers:
    """Ascending positions of so many items of the largest noised counts."""
    return np.sort(np.argsort(-counts, kind="stable")[:rows])


def checked_rows(given: Floats, items: int) -> Integers:
    """The rows of a public state.

    Raises:
        InvalidInput: ``site/message``: not ascending positions of items.
    """
    inside = np.where((given >= 0) & (given < items), given, -1.0)
    rows = inside.astype(np.int64)
    if (rows != given).any() or (np.diff(rows) <= 0).any():
        raise InvalidInput("site/message", "public state 'rows' holds what is no ascending item")
    return rows
