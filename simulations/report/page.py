"""`report.html`: one page that carries everything it shows and loads nothing.

Every figure is a ``<data>`` element with its unrounded value and its place in `report.json` (a
JSON pointer, RFC 6901), so that a page can be checked against the file it was made from.
"""

import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from recommons.common.units import byte_size, duration, epsilon_text, small_text
from recommons.server.rounds.progress import STEPS
from recommons.simulations.report import figures, words
from recommons.simulations.report.schema import Report, SiteFigures, report_json
from recommons.simulations.report.styles import page_style

__all__ = ["page_title", "render_page"]

_FORMATS: Mapping[str, Callable[[Any], str]] = {
    "score": lambda value: f"{value:.3f}",
    "count": lambda value: f"{value:,}",
    "precise": lambda value: f"{value:.4g}",
    "plain": str,
    "bytes": byte_size,
    "megabytes": lambda value: byte_size(value * 1e6),
    "seconds": duration,
    "small": small_text,
    "epsilon": epsilon_text,
}
_NOTHING = "–"


def page_title(report: Report) -> str:
    """The page's heading."""
    count = report.data.sites
    return f"What {count} sites gain together" if count > 1 else "One site in a federation of one"


def render_page(report: Report, *, example_items: str = "ID,ID") -> str:
    """The page as text.

    Args:
        report: The run.
        example_items: Item ids for the example command, separated by commas.
    """
    folder = files("recommons.simulations.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    environment.filters["set_in_type"] = _set_in_type
    template = environment.from_string((folder / "page.html.j2").read_text("utf-8"))
    best = max(words.ways(report), key=lambda way: way.metrics.recall_at_20)
    return template.render(
        report=report,
        title=page_title(report),
        css=page_style(),
        words=words,
        figures=_pictures(report),
        num=_NumberWriter(json.loads(report_json(report))),
        gain=_gain,
        best=best.key,
        meanings=STEPS,
        escape_pointer=_escape_pointer,
        example_items=example_items,
    )


def _set_in_type(sentence: str) -> Markup:
    """A sentence as a page sets it: raised exponents, curled apostrophes, units kept together."""
    kept = sentence.replace(" = ", "\u00a0=\u00a0").replace(" %", "\u00a0%").replace("'", "’")
    return escape(kept).replace("e^ε", Markup("e<sup>ε</sup>"))


def _pictures(report: Report) -> dict[str, Markup]:
    """The SVG of each picture, by name; `figures` escapes what it writes."""
    return {
        draw.__name__: Markup(draw(report))  # noqa: S704 - our own SVG
        for draw in (
            figures.four_ways,
            figures.gain_by_size,
            figures.privacy_spent,
            figures.seconds_by_step,
            figures.bytes_by_step,
            figures.sent,
        )
    }


def _gain(site: SiteFigures) -> str:
    gain = words.gain_of_site(site)
    return _NOTHING if gain is None else f"{gain:+.3f}"


class _NumberWriter:
    """Writes the figure at a JSON pointer as a ``<data>`` element.

    Args:
        document: The content of `report.json`.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def __call__(self, pointer: str, how: str) -> Markup:
        """The figure, written `how`; a dash where it is null or was not measured."""
        value = _at(self._document, pointer)
        if value is None and how != "epsilon":
            return escape(_NOTHING)
        return Markup('<data value="{}" data-at="{}">{}</data>').format(
            json.dumps(value), pointer, _FORMATS[how](value)
        )


def _at(document: Any, pointer: str) -> Any:  # noqa: ANN401 - any JSON value
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document.get(name)
        if document is None:
            return None
    return document


def _escape_pointer(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
