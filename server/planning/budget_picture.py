"""The budget of a plan as one picture: an SVG file that needs nothing else.

Drawn by hand, since importing a plotting library would take longer than everything else the command
does. Colours follow the reader's light or dark scheme.
"""

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from recommons.common.units import epsilon_text, small_text
from recommons.server.planning.budget import Budget, Change

__all__ = ["budget_picture", "epsilon_words", "what_changes"]

_WIDTH, _LEFT, _RIGHT = 760, 250, 600  # where bars begin and end
_ROW, _BAR = 22, 13
_LEAST_ROW, _TALLEST = 4, 480
_LEAST_NAMED = 13
_STYLE = """
svg { font: 13px system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
.paper { fill: #fbfaf7; } text { fill: #22262b; } .faint { fill: #666a70; }
.spent { fill: #4d7cb8; } .kept { fill: #b9cbe2; } .now { fill: #1d7a66; }
.line { stroke: #666a70; stroke-dasharray: 4 3; } .title { font-weight: 600; font-size: 15px; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #15181b; } text { fill: #e7e4de; } .faint { fill: #a0a3a8; }
  .spent { fill: #76a3e0; } .kept { fill: #37506f; } .now { fill: #3fb398; }
  .line { stroke: #a0a3a8; }
}
"""


@dataclass(frozen=True, kw_only=True)
class _Row:
    """One row: parts of a bar, each from where to where and in which colour, and its words."""

    name: str
    parts: tuple[tuple[float, float, str], ...]
    value: str
    strong: bool = False


def epsilon_words(epsilon: float) -> str:
    """ε for people, rounded up; ∞ where there is no guarantee."""
    return epsilon_text(epsilon if math.isfinite(epsilon) else None)


def what_changes(change: Change) -> str:
    """A change in the plan's own words."""
    if change.what == "colluding":
        return f"c = {change.colluding}, M = {change.min_survivors}"
    if change.what == "min_survivors":
        return f"M = {change.min_survivors}"
    plural = "" if change.spare_attempts == 1 else "s"
    return f"{change.spare_attempts} spare attempt{plural}"


def budget_picture(budget: Budget) -> str:
    """The picture, as the text of an SVG file."""
    parts: list[str] = []
    height = 24.0
    for title, caption, rows, mark in _panels(budget):
        drawn, height = _panel(title, caption, rows, mark, height)
        parts.append(drawn)
    name = html.escape(_title(budget))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:g}" '
        f'width="{_WIDTH}" height="{height:g}" role="img" aria-labelledby="title what">'
        f'<title id="title">{name}</title><desc id="what">{html.escape(_told(budget))}</desc>'
        f"<style>{_STYLE}</style>"
        f'<rect class="paper" width="{_WIDTH}" height="{height:g}"/>{"".join(parts)}</svg>\n'
    )


def _title(budget: Budget) -> str:
    count = len(budget.run.declared_users)
    return f"What a plan for {budget.run.model.name} at {count} sites will cost"


def _told(budget: Budget) -> str:
    released, reserved = (epsilon_words(r.planned) for r in (budget.released, budget.reserved))
    return (
        f"ε = {released} once every round is released, ε = {reserved} reserved, "
        f"at δ = {small_text(budget.run.wish.delta)}."
    )


def _panels(
    budget: Budget,
) -> Iterable[tuple[str, str, Sequence[_Row], float | None]]:
    if math.isinf(budget.run.wish.epsilon):
        caption = "Whoever reads the sums may find out who took part."
        yield "No noise, no guarantee", caption, (), None
        return
    target = budget.run.wish.epsilon
    delta = f"δ = {small_text(budget.run.wish.delta)}"
    yield (
        "ε, release by release",
        f"as planned, {delta}; the dashed line is the target",
        _by_release(budget),
        target,
    )
    yield (
        "The same releases in three readings",
        "dark: every round once; light: and every spare attempt, which is what sites set aside",
        _by_reading(budget),
        None,
    )
    yield (
        "What caution costs in noise",
        "width of the noise in a full sum at the same ε; then the ε that this plan's noise gives",
        _by_change(budget.changes),
        None,
    )


def _by_release(budget: Budget) -> list[_Row]:
    rows, before = [], 0.0
    for release in budget.releases:
        so_far = release.so_far.planned
        rows.append(
            _Row(
                name=f"round {release.round + 1}, {release.block}",
                parts=((before, so_far, "spent"),),
                value=epsilon_words(so_far),
            )
        )
        before = so_far
    spare = budget.run.wish.spare_attempts
    if spare:
        rows.append(
            _Row(
                name=f"{spare} spare attempt{'' if spare == 1 else 's'}, reserved",
                parts=((before, budget.reserved.planned, "kept"),),
                value=epsilon_words(budget.reserved.planned),
            )
        )
    return rows


def _by_reading(budget: Budget) -> list[_Row]:
    def row(name: str, field: str) -> _Row:
        spent, kept = (getattr(r, field) for r in (budget.released, budget.reserved))
        both = epsilon_words(spent)
        if budget.run.wish.spare_attempts:
            both += f", reserved {epsilon_words(kept)}"
        return _Row(name=name, parts=((0.0, spent, "spent"), (spent, kept, "kept")), value=both)

    return [
        row("as planned: M − c shares of noise", "planned"),
        row("all sites honest and present", "all_honest"),
        row("a site's own share alone", "own_share"),
    ]


def _by_change(changes: Sequence[Change]) -> list[_Row]:
    rows: list[_Row] = []
    before = ""
    for change in changes:
        if before and before != change.what:
            rows.append(_Row(name="", parts=(), value=""))
        before = change.what
        noise = f"× {change.noise:.2f}" if math.isfinite(change.noise) else "out of reach"
        noise += f"; ε {epsilon_words(change.epsilon)}"
        rows.append(
            _Row(
                name=what_changes(change),
                parts=((0.0, change.noise, "now" if change.current else "spent"),),
                value="this plan" if change.current else noise,
                strong=change.current,
            )
        )
    return rows


def _panel(
    title: str, caption: str, rows: Sequence[_Row], mark: float | None, top: float
) -> tuple[str, float]:
    """A panel drawn from `top` on, and where the next may begin."""
    ends = [end for row in rows for _, end, _ in row.parts if math.isfinite(end)]
    scale = (_RIGHT - _LEFT) / max([*ends, mark or 0.0, 1e-12])
    pitch = max(_LEAST_ROW, min(_ROW, _TALLEST / max(len(rows), 1)))
    bar = min(_BAR, pitch * 0.8)
    found = [
        f'<text class="title" x="24" y="{top + 14:g}">{html.escape(title)}</text>',
        f'<text class="faint" x="24" y="{top + 33:g}">{html.escape(caption)}</text>',
    ]
    first = top + 48
    for place, row in enumerate(rows):
        found += _row(row, first + place * pitch, bar, scale, named=pitch >= _LEAST_NAMED)
    bottom = first + len(rows) * pitch
    if mark is not None:
        x = _LEFT + mark * scale
        found.append(
            f'<line class="line" x1="{x:.1f}" y1="{first - 4:g}" x2="{x:.1f}" y2="{bottom:.1f}"/>'
        )
    return "".join(found), bottom + 26


def _row(row: _Row, y: float, bar: float, scale: float, *, named: bool) -> Iterable[str]:
    base, end = y + bar - 2, float(_LEFT)
    weight = ' font-weight="600"' if row.strong else ""
    for start, stop, colour in row.parts:
        x, right = (_LEFT + at * scale if math.isfinite(at) else _RIGHT for at in (start, stop))
        if right > x:
            yield (
                f'<rect class="{colour}" x="{x:.1f}" y="{y:.1f}" '
                f'width="{right - x:.1f}" height="{bar:.1f}"/>'
            )
        end = max(end, right)
    for x, anchor, text in ((_LEFT - 8.0, "end", row.name), (end + 6, "start", row.value)):
        if named and text:
            yield (
                f'<text x="{x:.1f}" y="{base:.1f}" text-anchor="{anchor}"{weight}>'
                f"{html.escape(text)}</text>"
            )
