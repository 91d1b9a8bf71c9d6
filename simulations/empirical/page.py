"""`empirical.html`: one page that carries everything it shows and loads nothing."""

from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from recommons.simulations.empirical.audit import SOURCES
from recommons.simulations.empirical.result import Controls, EmpiricalResult, ScoreFigures
from recommons.simulations.report.styles import page_style

__all__ = ["render_controls", "render_result"]

_WIDTH, _HEIGHT = 400, 120


def render_result(result: EmpiricalResult) -> str:
    """The page of one audit."""
    return _render(title=_title(result.verdict), results=[result], controls=())


def render_controls(controls: Controls) -> str:
    """The page of the audit's own controls."""
    return _render(
        title="The audit noticed every fault"
        if controls.verdict == "passed"
        else "A control did not come out as it must",
        results=[control.result for control in controls.controls],
        controls=controls.controls,
    )


def _title(verdict: str) -> str:
    return "No claim refuted" if verdict == "passed" else "The claim does not hold"


def _render(**values: object) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    source = files("recommons.simulations.empirical") / "page.html.j2"
    return environment.from_string(source.read_text("utf-8")).render(
        css=page_style(),
        sources=SOURCES,
        histogram=_histogram,
        **values,
    )


def _histogram(score: ScoreFigures, name: str) -> Markup:
    """Canaries by score: those that took part against those that did not, as steps."""
    _, absent, present = score.histogram
    tallest = max(*absent, *present, 1)
    lines = [
        Markup('<path d="{}" fill="none" stroke="var(--{})" stroke-width="1.8"/>').format(
            _steps(heights, tallest), colour
        )
        for heights, colour in ((absent, "popularity"), (present, "global"))
    ]
    return Markup(
        '<svg viewBox="0 0 {} {}" role="img" aria-labelledby="{}"><title id="{}">{}</title>'
        '<path d="M0 {}H{}" stroke="var(--rule)"/>{}</svg>'
    ).format(
        _WIDTH,
        _HEIGHT + 2,
        name,
        name,
        f"Canaries by score from the {SOURCES[score.source]}; AUC {score.area:.3f}",
        _HEIGHT,
        _WIDTH,
        Markup("").join(lines),
    )


def _steps(heights: tuple[int, ...], tallest: int) -> str:
    step = _WIDTH / len(heights)
    path = [f"M0 {_HEIGHT}"]
    for place, height in enumerate(heights):
        path.append(f"V{_HEIGHT - height / tallest * (_HEIGHT - 4):.1f}H{(place + 1) * step:.1f}")
    return "".join([*path, f"V{_HEIGHT}"])
