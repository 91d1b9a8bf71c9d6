"""A picture of the report's drawing kit as an SVG document of its own."""

from importlib.resources import files

__all__ = ["standalone"]

_PAGE = "svg { color: var(--ink); background: var(--paper); font-family: var(--sans); }"


def standalone(picture: str) -> str:
    """The ``<svg>`` element of `svg.to_svg` with the page's colours and type in it."""
    colours = (files("recommons.simulations.report") / "page.css").read_text().partition("\n* {")[0]
    return picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(
        "</desc>", f"</desc><style>{colours}\n{_PAGE}</style>", 1
    )
