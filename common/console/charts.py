"""Charts as figures in a table: the table is the page, the picture is drawn from it."""

from collections.abc import Sequence
from dataclasses import dataclass

from recommons.common.errors import InvalidInput

__all__ = ["Chart", "Series"]

_UNITS = {"bytes", "seconds", "epsilon", "count"}
_SHAPES = {"line", "bars", "level"}


@dataclass(frozen=True, kw_only=True)
class Series:
    """One row of figures.

    Attributes:
        name: What it is.
        unit: ``bytes``, ``seconds``, ``epsilon`` or ``count``.
        shape: ``line``, ``bars``, or ``level`` for a bound that the others are held against.
        values: One for each of the chart's points; None where there is none.
    """

    name: str
    unit: str
    values: Sequence[float | None]
    shape: str = "line"

    def __post_init__(self) -> None:
        if self.unit not in _UNITS or self.shape not in _SHAPES:
            raise InvalidInput(
                "input/argument",
                f"unit is {self.unit!r}, shape is {self.shape!r}; required: one of "
                f"{sorted(_UNITS)} and one of {sorted(_SHAPES)}",
            )


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart and the table it is drawn from.

    Attributes:
        id: Of the element in the page.
        title: What is shown.
        axis: What the points are, e.g. ``round``.
        points: Their names, in order.
        series: The figures, all of one unit.
    """

    id: str
    title: str
    axis: str
    points: Sequence[str]
    series: Sequence[Series]

    def __post_init__(self) -> None:
        for line in self.series:
            if len(line.values) != len(self.points):
                raise InvalidInput(
                    "input/argument",
                    f"series {line.name!r} has {len(line.values)} values; "
                    f"required: {len(self.points)}, one a point",
                )
