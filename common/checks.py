"""Checks of arguments that more than one room makes."""

from pydantic import ValidationError

from recommons.common.errors import InvalidInput

__all__ = ["describe_validation", "require"]


def require(condition: bool, name: str, value: object, requirement: str) -> None:
    """Refuse an argument.

    Raises:
        InvalidInput: `condition` is false; names the argument, its value and what was required.
    """
    if not condition:
        raise InvalidInput("input/argument", f"{name} is {value!r}; required: {requirement}")


def describe_validation(document: str, error: ValidationError) -> str:
    """One line for each field a document got wrong: where, what was found, what was required."""
    lines = []
    for item in error.errors(include_url=False, include_context=False):
        place = ".".join(str(part) for part in item["loc"]) or "document"
        found = "" if isinstance(item["input"], dict | list) else f" (found {item['input']!r:.80})"
        lines.append(f"{document}: {place}: {item['msg']}{found}")
    return "; ".join(lines)
