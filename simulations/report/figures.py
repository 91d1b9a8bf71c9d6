"""The pictures of a report: inline SVG that takes its colours and its type from the page.

matplotlib draws with placeholder colours, which become CSS variables, and writes text as text, so
that a picture is dark on a light page, light on a dark one, and can be searched. Each picture has
a title and a description for those who hear it; the page puts its table beside it.
"""

import html
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from recommons.simulations.report.schema import Release, Report
from recommons.simulations.report.words import gain_of_site, ways
from recommons.simulations.units import byte_size, duration, epsilon_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["bytes_by_step", "four_ways", "gain_by_size", "privacy_spent", "seconds_by_step", "sent"]

_WIDTH = 4.6  # inches; 331 points: on a phone's screen the picture keeps its size, and its type
_BAR = 0.24  # inches of height for a bar and its gap

_INK, _FAINT, _GRID = "#000001", "#000002", "#000003"
_COLOURS = {
    "popularity": "#000011",
    "alone": "#000012",
    "global": "#000013",
    "served": "#000014",
    "up": "#000015",
    "down": "#000016",
}
_VARIABLES = {
    _INK: "currentColor",
    _FAINT: "var(--faint)",
    _GRID: "var(--rule)",
    **{colour: f"var(--{name})" for name, colour in _COLOURS.items()},
}

_MANY_SITES = 24
_MANY_RELEASES = 16


def four_ways(report: Report) -> str:
    """Recall@20, NDCG@20 and NDCG@100 of the four ways; EASE on pooled data as a line."""
    measures = (
        ("recall_at_20", "Recall@20"),
        ("ndcg_at_20", "NDCG@20"),
        ("ndcg_at_100", "NDCG@100"),
    )
    figure, panels = _figure(4 * _BAR * 3 + 1.05, rows=3)
    pooled = report.baselines.ease_centralised
    found = ways(report)
    for axes, (field, name) in zip(panels, measures, strict=True):
        values = [getattr(way.metrics, field) for way in found]
        _bars(
            axes,
            names=[way.name for way in found],
            values=values,
            texts=[f"{value:.3f}" for value in values],
            colours=[_COLOURS[way.key] for way in found],
        )
        axes.set_title(name, loc="left")
        if pooled is not None:
            reference = getattr(pooled, field)
            axes.axvline(reference, color=_FAINT, linewidth=0.9, linestyle=(0, (3, 2)))
            axes.set_xlim(0, max(axes.get_xlim()[1], reference * 1.02))
    told = "; ".join(f"{way.name} {way.metrics.recall_at_20:.3f}" for way in found)
    line = "" if pooled is None else " The dashed line is EASE on pooled data without privacy."
    return _svg(
        figure, "four-ways", "Four ways to recommend, side by side", f"Recall@20: {told}.{line}"
    )


def gain_by_size(report: Report) -> str:
    """Each site's gain from joining against its size; empty where no site has test users."""
    points = [
        (site.users_declared, gain)
        for site in report.sites
        if (gain := gain_of_site(site)) is not None
    ]
    if not points:
        return ""
    sizes, gains = zip(*points, strict=True)
    figure, (axes,) = _figure(2.3)
    axes.axhline(0, color=_FAINT, linewidth=0.9)
    axes.scatter(sizes, gains, s=34, color=_COLOURS["served"], edgecolors="none", alpha=0.85)
    axes.set_xlabel("declared users of the site")
    axes.set_title("Recall@20 served, less alone", loc="left")
    axes.grid(axis="y", color=_GRID, linewidth=0.6)
    axes.set_ylim(min(*gains, 0) - _margin(gains), max(*gains, 0) + _margin(gains))
    if min(sizes) > 0 and max(sizes) > 10 * min(sizes):
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+.3f}" if value else "0")
    told = f"{len(points)} sites; gains from {min(gains):+.3f} to {max(gains):+.3f}."
    return _svg(figure, "gain-by-size", "Gain from joining by size of site", told)


def _margin(gains: Sequence[float]) -> float:
    return 0.12 * (max(*gains, 0) - min(*gains, 0)) or 0.001


def privacy_spent(report: Report) -> str:
    """Cumulative ε, one step a release; empty where no privacy is claimed."""
    releases = [
        (release, release.epsilon_cumulative)
        for release in report.privacy.releases
        if release.epsilon_cumulative is not None
    ]
    if not releases:
        return ""
    spent = [epsilon for _, epsilon in releases]
    if len(releases) > _MANY_RELEASES:
        figure = _spent_line(spent)
    else:
        figure = _spent_steps([release for release, _ in releases], spent)
    target = report.privacy.target_epsilon
    if target is not None:
        _target_line(figure.axes[0], target, across=len(releases) > _MANY_RELEASES)
    told = f"{len(spent)} releases spend ε = {epsilon_text(spent[-1])} in all."
    return _svg(figure, "privacy-spent", "Privacy spent per release", told)


def _spent_steps(releases: Sequence[Release], spent: Sequence[float]) -> "Figure":
    figure, (axes,) = _figure(len(spent) * _BAR + 0.55)
    names = [f"round {release.round}, {release.block}" for release in releases]
    before = [0.0, *spent[:-1]]
    steps = [after - start for after, start in zip(spent, before, strict=True)]
    places = range(len(spent))
    axes.barh(places, steps, left=before, height=0.62, color=_COLOURS["global"])
    for place, after in zip(places, spent, strict=True):
        _label(axes, after, place, epsilon_text(after))
    _name_rows(axes, names)
    axes.set_xlim(0, spent[-1] * 1.18)
    axes.set_title("ε so far", loc="left")
    return figure


def _spent_line(spent: Sequence[float]) -> "Figure":
    figure, (axes,) = _figure(2.2)
    axes.step(range(1, len(spent) + 1), spent, where="post", color=_COLOURS["global"])
    axes.grid(axis="y", color=_GRID, linewidth=0.6)
    axes.set_ylim(0, spent[-1] * 1.12)
    axes.set_xlabel("release")
    axes.set_title("ε so far", loc="left")
    return figure


def _target_line(axes: "Axes", target: float, *, across: bool) -> None:
    style = (0, (3, 2))
    if across:
        axes.axhline(target, color=_FAINT, linewidth=0.9, linestyle=style)
        axes.set_ylim(0, max(axes.get_ylim()[1], target * 1.05))
    else:
        axes.axvline(target, color=_FAINT, linewidth=0.9, linestyle=style)
        axes.set_xlim(0, max(axes.get_xlim()[1], target * 1.02))


def seconds_by_step(report: Report) -> str:
    """Where the time of the secure sums goes."""
    seconds = report.secure_aggregation.seconds_by_step
    return _one_row_each(
        "seconds-by-step",
        "Seconds by step of the protocol",
        [(name, {"global": value}) for name, value in seconds.items()],
        duration,
    )


def bytes_by_step(report: Report) -> str:
    """Bytes to and from the coordinator by step; empty where they were not counted."""
    figures = report.secure_aggregation
    up, down = figures.bytes_up_by_step, figures.bytes_down_by_step
    steps = [name for name in figures.seconds_by_step if name in up or name in down]
    steps += [name for name in {**up, **down} if name not in steps]
    rows = [(name, {"up": up.get(name, 0), "down": down.get(name, 0)}) for name in steps]
    return _one_row_each("bytes-by-step", "Bytes by step of the protocol", rows, byte_size)


def sent(report: Report) -> str:
    """What each site sent and received, in bytes."""
    title = "Bytes each site sent and received"
    if len(report.sites) <= _MANY_SITES:
        rows = [
            (site.name, {"up": float(site.bytes_up), "down": float(site.bytes_down)})
            for site in report.sites
        ]
        return _one_row_each("sent", title, rows, byte_size)
    figure, (axes,) = _figure(2.2)
    for name, values in (
        ("up", [site.bytes_up for site in report.sites]),
        ("down", [site.bytes_down for site in report.sites]),
    ):
        ordered = sorted(values, reverse=True)
        axes.step(range(1, len(ordered) + 1), ordered, where="mid", color=_COLOURS[name])
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color=_GRID, linewidth=0.6)
    axes.yaxis.set_major_formatter(lambda value, _: byte_size(value))
    axes.set_xlabel("sites, from the one with most bytes to the one with fewest")
    total = sum(site.bytes_up for site in report.sites)
    return _svg(figure, "sent", title, f"{len(report.sites)} sites sent {byte_size(total)} in all.")


def _one_row_each(
    name: str, title: str, rows: Sequence[tuple[str, dict[str, float]]], text: "_Formatter"
) -> str:
    """Horizontal bars, stacked where a row has several values, with the row's sum at its end."""
    if not rows:
        return ""
    figure, (axes,) = _figure(len(rows) * _BAR + 0.25)
    lefts = [0.0] * len(rows)
    for key in rows[0][1]:
        widths = [values[key] for _, values in rows]
        axes.barh(range(len(rows)), widths, left=lefts, height=0.62, color=_COLOURS[key])
        lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
    for place, total in enumerate(lefts):
        _label(axes, total, place, text(total))
    _name_rows(axes, [row for row, _ in rows])
    axes.set_xlim(0, (max(lefts) or 1) * 1.2)
    told = "; ".join(f"{row} {text(total)}" for (row, _), total in zip(rows, lefts, strict=True))
    return _svg(figure, name, title, f"{told}.")


def _bars(
    axes: "Axes",
    *,
    names: Sequence[str],
    values: Sequence[float],
    texts: Sequence[str],
    colours: Sequence[str],
) -> None:
    axes.barh(range(len(values)), values, height=0.66, color=colours)
    for place, (value, text) in enumerate(zip(values, texts, strict=True)):
        _label(axes, value, place, text)
    _name_rows(axes, names)
    axes.set_xlim(0, (max(values) or 1) * 1.16)


def _label(axes: "Axes", value: float, place: int, text: str) -> None:
    axes.annotate(
        text, (value, place), xytext=(4, 0), textcoords="offset points", va="center", color=_INK
    )


def _name_rows(axes: "Axes", names: Sequence[str]) -> None:
    """Rows named at the left, the first on top, without a scale: every bar carries its figure."""
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    for side in ("bottom", "left"):
        axes.spines[side].set_visible(False)


def _figure(height: float, *, rows: int = 1) -> tuple["Figure", list["Axes"]]:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        panels = figure.subplots(rows, 1, squeeze=False)[:, 0]
    for axes in panels:
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.set_facecolor("none")
    figure.set_facecolor("none")
    return figure, list(panels)


def _svg(figure: "Figure", name: str, title: str, description: str) -> str:
    import matplotlib as mpl

    file = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata=dict.fromkeys(_METADATA))
    drawing = file.getvalue()
    opening = re.search(r'<svg[^>]*viewBox="([^"]*)"[^>]*>', drawing)
    body = drawing[opening.end() : drawing.rindex("</svg>")] if opening else ""
    view = opening.group(1) if opening else ""
    for pattern, replacement in _CLEANUP:
        body = pattern.sub(replacement, body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, variable)
    return (
        f'<svg viewBox="{view}" role="img" aria-labelledby="{name}-title {name}-description">'
        f'<title id="{name}-title">{html.escape(title)}</title>'
        f'<desc id="{name}-description">{html.escape(description)}</desc>{body}</svg>'
    )
