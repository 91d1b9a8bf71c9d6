"""The picture of `recommons bench opacus`: seconds and memory of a step by catalogue and users."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from recommons.common.units import duration
from recommons.simulations.benchmarks.opacus_case import Case, Figures
from recommons.simulations.report.standalone import standalone
from recommons.simulations.report.svg import COLOURS, RULE, new_figure, styled, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

_WAYS = {
    "plain": ("without clipping", "alone"),
    "ghost": ("ghost clipping", "served"),
    "hooks": ("users' gradients", "global"),
}


class _Row(Protocol):
    @property
    def case(self) -> Case: ...
    @property
    def figures(self) -> Figures | None: ...


def draw(rows: Sequence[_Row]) -> str:
    """A whole SVG document; sampled softmax, on the first device measured."""
    first = rows[0].case.device
    shown = [
        row
        for row in rows
        if row.figures is not None
        and row.case.device == first
        and row.case.loss == "sampled-softmax"
    ]
    return standalone(_picture(shown))


@styled
def _picture(rows: Sequence[_Row]) -> str:
    figure, panels = new_figure(7.2, rows=4)
    for axes, by, what in zip(
        panels, ("items", "items", "users", "users"), ("seconds", "peak_mb") * 2, strict=True
    ):
        _panel(axes, rows, by, what)
    return to_svg(
        figure,
        name="opacus",
        title="What clipping each user costs",
        description="; ".join(
            f"{row.case.way}, {row.case.items} items, {row.case.users} users: "
            f"{row.figures.seconds:.2f} s, {row.figures.peak_mb:.0f} MB"
            for row in rows
            if row.figures is not None
        ),
    )


def _panel(axes: "Axes", rows: Sequence[_Row], by: str, what: str) -> None:
    """One figure against one size; the other size is the one most rows share."""
    other = "users" if by == "items" else "items"
    held = [getattr(row.case, other) for row in rows]
    common = max(set(held), key=held.count)
    for way, (name, colour) in _WAYS.items():
        line = sorted(
            (getattr(row.case, by), getattr(row.figures, what))
            for row in rows
            if row.case.way == way and getattr(row.case, other) == common
        )
        if line:
            sizes, values = zip(*line, strict=True)
            axes.plot(sizes, values, marker="o", markersize=3.5, color=COLOURS[colour], label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    ticks = sorted({getattr(row.case, by) for row in rows})
    axes.set_xticks(ticks, [f"{size:,}" for size in ticks])
    if what == "seconds":
        axes.yaxis.set_major_formatter(lambda value, _: duration(value))
    else:
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f} MB")
    title = "Seconds of a step" if what == "seconds" else "Memory at the peak"
    axes.set_title(f"{title}, {common:,} {other}", loc="left")
    axes.set_xlabel(by)
    axes.legend(frameon=False, fontsize=8)
