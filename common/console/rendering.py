"""Templates, and numbers as they stand in pages."""

from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from recommons.common.codes import REMEDIES
from recommons.common.units import byte_size, duration, epsilon_text, small_text

__all__ = ["environment", "moment", "moment_rfc3339", "number_text"]

_SHARED = Path(__file__).parent / "templates"
_NOTHING = "–"


def environment(templates: Path) -> Environment:
    """Jinja's environment over a role's templates and the shared ones.

    Args:
        templates: The role's folder.
    """
    env = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FileSystemLoader([templates, _SHARED]),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "bytes": lambda value: _NOTHING if value is None else byte_size(value),
        "seconds": lambda value: _NOTHING if value is None else duration(value),
        "epsilon": lambda value: _NOTHING if value is None else epsilon_text(value),
        "small": lambda value: _NOTHING if value is None else small_text(value),
        "count": lambda value: _NOTHING if value is None else f"{value:,}",
        "moment": moment,
        "remedy": lambda code: REMEDIES.get(code, ""),
        "number": number_text,
    }
    return env


def moment(value: str | float | None) -> str:
    """A time in UTC to the second, from RFC 3339 or seconds since 1970."""
    if value is None or value == "":
        return _NOTHING
    if isinstance(value, str):
        return value[:19].replace("T", " ") + " UTC"
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def moment_rfc3339(seconds: float) -> str:
    """Seconds since 1970 as ledgers write a time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def number_text(value: float | None, unit: str) -> str:
    """A figure of a chart in the words of its unit.

    Args:
        value: The figure, None where there is none.
        unit: ``bytes``, ``seconds``, ``epsilon`` or ``count``.
    """
    if value is None:
        return _NOTHING
    texts = {"bytes": byte_size, "seconds": duration, "epsilon": epsilon_text}
    return texts[unit](value) if unit in texts else f"{value:,.0f}"
