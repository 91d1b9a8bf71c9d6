"""The picture of `recommons bench attacks`: how often each attack is right, by ε."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from recommons.simulations.report.standalone import standalone
from recommons.simulations.report.svg import (
    BAR_HEIGHT,
    COLOURS,
    FAINT,
    INK,
    end_label,
    name_rows,
    new_figure,
    styled,
    to_svg,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

_PANELS = {
    "Was this user in the model?": {
        "shadows": "shadow models",
        "decoder": "decoding the counts",
    },
    "Which of two sites has this item?": {
        "sums": "released sums",
        "masked": "masked vector",
        "noised": "unmasked, noised",
    },
}


class Row(Protocol):
    """What is drawn of an `AttackRow`."""

    @property
    def epsilon(self) -> float | None:
        """Target ε."""
        ...

    @property
    def attack(self) -> str:
        """The attack."""
        ...

    @property
    def auc(self) -> float:
        """How often it is right."""
        ...

    @property
    def most_auc(self) -> float | None:
        """The most that is possible."""
        ...


def draw(rows: Sequence[Row]) -> str:
    """A whole SVG document, in the colours and type of the report."""
    return standalone(_picture(rows))


@styled
def _picture(rows: Sequence[Row]) -> str:
    counts = [sum(row.attack in names for row in rows) for names in _PANELS.values()]
    figure, panels = new_figure(sum(counts) * BAR_HEIGHT + 0.9, rows=len(_PANELS))
    for axes, (title, names) in zip(panels, _PANELS.items(), strict=True):
        _bars(axes, [row for name in names for row in rows if row.attack == name], names)
        axes.set_title(title, loc="left")
    told = "; ".join(f"{row.attack} at ε {_epsilon(row)} {row.auc:.3f}" for row in rows)
    return to_svg(
        figure,
        name="attacks",
        title="Known attacks on a release: how often each is right; one half is guessing",
        description=f"{told}.",
    )


def _bars(axes: "Axes", rows: Sequence[Row], names: dict[str, str]) -> None:
    """Bars from one half, which is guessing; a stroke at the most that noise leaves possible."""
    colours = [COLOURS["alone" if row.epsilon is None else "global"] for row in rows]
    axes.barh(
        range(len(rows)), [row.auc - 0.5 for row in rows], left=0.5, height=0.62, color=colours
    )
    for place, row in enumerate(rows):
        if row.most_auc is not None:
            axes.plot([row.most_auc] * 2, [place - 0.4, place + 0.4], color=FAINT, linewidth=1.2)
        end_label(axes, max(row.auc, row.most_auc or 0.5, 0.5), place, f"{row.auc:.3f}")
    name_rows(axes, [f"{names[row.attack]}, ε = {_epsilon(row)}" for row in rows])
    axes.axvline(0.5, color=INK, linewidth=0.8)
    axes.set_xlim(0.48, 1.08)


def _epsilon(row: Row) -> str:
    return "∞" if row.epsilon is None else f"{row.epsilon:g}"
