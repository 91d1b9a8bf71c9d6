"""A picture of the report's drawing kit as an SVG document of its own."""

from recommons.simulations.report.styles import picture_style

__all__ = ["standalone"]


def standalone(picture: str) -> str:
    """The ``<svg>`` element of `svg.to_svg` with the page's colours and type in it."""
    return picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(
        "</desc>", f"</desc><style>{picture_style()}</style>", 1
    )
