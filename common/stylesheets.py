"""What pages and pictures of all rooms look like: one set of colours and type, one ground of rules.

A page that carries everything it shows takes `stylesheet`; a picture that stands by itself takes
`colours`; the consoles serve the same two files. A room's own sheet comes after them and says what
only its pages have.
"""

from importlib.resources import files

from markupsafe import Markup

__all__ = ["STYLES", "colours", "stylesheet"]

STYLES = "styles"
"""The folder of the shared sheets within `recommons.common`."""


def colours() -> str:
    """Colours and type as CSS variables, for light, dark and paper."""
    return _sheet("recommons.common", f"{STYLES}/colours.css")


def stylesheet(package: str, *names: str) -> Markup:
    """The shared sheets and after them a package's own, to be put into a page."""
    shared = [colours(), _sheet("recommons.common", f"{STYLES}/page.css")]
    return Markup("\n".join([*shared, *(_sheet(package, name) for name in names)]))  # noqa: S704 - our own files


def _sheet(package: str, name: str) -> str:
    return (files(package) / name).read_text("utf-8")
