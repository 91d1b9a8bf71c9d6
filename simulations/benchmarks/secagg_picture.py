"""The picture of `recommons bench secagg`: ratios, and cost by size of cohort."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recommons.common.units import duration
from recommons.simulations.benchmarks.secagg_attempt import AttemptCost
from recommons.simulations.benchmarks.secagg_rows import TARGETS, Row
from recommons.simulations.report.standalone import standalone
from recommons.simulations.report.svg import (
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

_LINES = (
    ("a site", "served", "site_cpu_seconds"),
    ("coordinator", "global", "coordinator_cpu_seconds"),
    ("of it recovery", "alone", "recovery_cpu_seconds"),
)


def draw(rows: Sequence[Row], attempts: Sequence[AttemptCost]) -> str:
    """A whole SVG document, in the colours and type of the report."""
    return standalone(_picture((rows, attempts)))


@styled
def _picture(measured: tuple[Sequence[Row], Sequence[AttemptCost]]) -> str:
    rows, attempts = measured
    figure, (upper, lower) = new_figure(4.6, rows=2)
    _ratios(upper, rows)
    _costs(lower, attempts)
    told = "; ".join(f"{row.name} {row.ratio:.2f}" for row in rows)
    return to_svg(
        figure,
        name="secagg",
        title="What secure aggregation costs",
        description=f"Times as fast as the peer: {told}.",
    )


def _ratios(axes: "Axes", rows: Sequence[Row]) -> None:
    """Bars from 1, the peer's speed, on a logarithmic scale; a stroke where each is meant to be."""
    axes.set_xscale("log")
    axes.barh(
        range(len(rows)),
        [row.ratio - 1 for row in rows],
        left=1,
        height=0.6,
        color=COLOURS["served"],
    )
    for place, row in enumerate(rows):
        end_label(axes, max(row.ratio, 1), place, f"{row.ratio:.3g} ×")
        target = TARGETS[row.name]
        axes.plot([target, target], [place - 0.42, place + 0.42], color=FAINT, linewidth=1.2)
    name_rows(axes, [row.name for row in rows])
    axes.axvline(1, color=RULE, linewidth=0.9)
    axes.set_xlim(0.5, 8 * max([2.0, *(row.ratio for row in rows)]))
    axes.tick_params(axis="x", which="both", length=0, labelbottom=False)
    axes.set_title("Times as fast as the peer", loc="left")


def _costs(axes: "Axes", attempts: Sequence[AttemptCost]) -> None:
    axes.set_title("CPU seconds of one attempt", loc="left")
    axes.set_xlabel("sites")
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    if not attempts:
        return
    sites = [attempt.sites for attempt in attempts]
    for name, colour, field in _LINES:
        values = [getattr(attempt, field) for attempt in attempts]
        axes.plot(sites, values, marker="o", markersize=3.5, color=COLOURS[colour])
        end_label(axes, sites[-1], values[-1], f"{name}, {duration(values[-1])}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(sites[0] / 1.3, sites[-1] * (sites[-1] / sites[0]) ** 0.9)
    axes.set_xticks(sites, [f"{count:,}" for count in sites])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: duration(value))
