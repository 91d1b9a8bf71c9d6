"""The picture of `recommons compare`: quality against ε, and beneath it what each plan costs."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from recommons.common.units import byte_size, duration
from recommons.simulations.comparison_point import Point
from recommons.simulations.report.standalone import standalone
from recommons.simulations.report.svg import (
    BAR_HEIGHT,
    COLOURS,
    FAINT,
    RULE,
    end_label,
    name_rows,
    new_figure,
    styled,
    to_svg,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

_HUES = ("served", "global", "alone", "up", "down", "popularity")
_QUALITY_HEIGHT = 2.9


def draw(points: Sequence[Point], metric: str) -> str:
    """A whole SVG document."""
    return standalone(_picture((points, metric)))


@styled
def _picture(given: tuple[Sequence[Point], str]) -> str:
    points, metric = given
    names = list(dict.fromkeys(point.name for point in points))
    bars = 0.6 + BAR_HEIGHT * len(names)
    figure, (quality, sent, seconds) = new_figure(_QUALITY_HEIGHT + 2 * bars, rows=3)
    grid = quality.get_gridspec()
    if grid is not None:
        grid.set_height_ratios([_QUALITY_HEIGHT, bars, bars])
    _quality(quality, points, names, metric)
    last = {point.name: point for point in points}  # the largest ε that was run
    _bars(sent, {n: last[n].bytes_up for n in names}, byte_size, "Sent by a site")
    _bars(
        seconds, {n: last[n].training_seconds for n in names}, duration, "Training, in one process"
    )
    return to_svg(
        figure,
        name="comparison",
        title=f"{metric} against ε",
        description="; ".join(
            f"{p.name} at ε={p.epsilon}: served {p.served:.3f}, global {p.global_model:.3f}"
            for p in points
        ),
    )


def _quality(axes: "Axes", points: Sequence[Point], names: Sequence[str], metric: str) -> None:
    """Served as a line, global dashed, sites alone as one dotted line."""
    targets = list(dict.fromkeys(sorted((p.epsilon for p in points), key=float)))
    place = {epsilon: number for number, epsilon in enumerate(targets)}
    for number, name in enumerate(names):
        colour = COLOURS[_HUES[number % len(_HUES)]]
        own = sorted((p for p in points if p.name == name), key=lambda p: float(p.epsilon))
        at = [place[p.epsilon] for p in own]
        axes.plot(at, [p.served for p in own], marker="o", markersize=3.5, color=colour, label=name)
        axes.plot(at, [p.global_model for p in own], color=colour, linewidth=1, linestyle="--")
    alone = sum(p.alone for p in points) / len(points)
    axes.axhline(alone, color=FAINT, linewidth=0.9, linestyle=":")
    axes.set_xticks(range(len(targets)), [f"ε={text}" for text in targets])
    axes.set_xlim(-0.3, len(targets) - 0.7)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_title(f"{metric}: served; global dashed; alone dotted", loc="left")
    axes.legend(frameon=False, fontsize=8)


def _bars(
    axes: "Axes", values: Mapping[str, float], write: Callable[[float], str], title: str
) -> None:
    for place, value in enumerate(values.values()):
        axes.barh(place, value, height=0.6, color=COLOURS[_HUES[place % len(_HUES)]])
        end_label(axes, value, place, write(value))
    name_rows(axes, list(values))
    axes.set_xlim(0, 1.35 * max([*values.values(), 1e-9]))
    axes.set_title(title, loc="left")
