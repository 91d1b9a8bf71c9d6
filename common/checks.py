"""Checks of arguments that more than one room makes."""

from collections.abc import Iterable
from difflib import SequenceMatcher

from pydantic import ValidationError

from recommons.common.errors import InvalidInput

__all__ = ["describe_validation", "nearest_first", "require"]


def require(condition: bool, name: str, value: object, requirement: str) -> None:
    """Refuse an argument.

    Raises:
        InvalidInput: `condition` is false; names the argument, its value and what was required.
    """
    if not condition:
        raise InvalidInput("input/argument", f"{name} is {value!r}; required: {requirement}")


def nearest_first(word: str, names: Iterable[str]) -> str:
    """Names, separated by commas, those most like a word first."""
    matcher = SequenceMatcher(b=word)

    def unlikeness(name: str) -> float:
        matcher.set_seq1(name)
        return -matcher.ratio()

    return ", ".join(sorted(names, key=unlikeness))


def describe_validation(document: str, error: ValidationError) -> str:
    """One line for each field a document got wrong: where, what was found, what was required."""
    lines = []
    for item in error.errors(include_url=False, include_context=False):
        place = ".".join(str(part) for part in item["loc"]) or "document"
        found = "" if isinstance(item["input"], dict | list) else f" (found {item['input']!r:.80})"
        lines.append(f"{document}: {place}: {item['msg']}{found}")
    return "; ".join(lines)
