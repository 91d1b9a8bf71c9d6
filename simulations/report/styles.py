"""Colours and rules of the report, for its page, for the empirical audit's, and for pictures."""

from importlib.resources import files

from markupsafe import Markup

from recommons.common.stylesheets import colours, stylesheet

__all__ = ["page_style", "picture_style"]

_ROOM = "recommons.simulations.report"
_COLOURS = "colours.css"
_PICTURE = "svg { color: var(--ink); background: var(--paper); font-family: var(--sans); }"


def page_style() -> Markup:
    """Of a page that carries everything it shows."""
    return stylesheet(_ROOM, _COLOURS, "page.css")


def picture_style() -> str:
    """Of a picture that stands by itself."""
    return "\n".join([colours(), (files(_ROOM) / _COLOURS).read_text("utf-8"), _PICTURE])
