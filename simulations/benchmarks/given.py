"""Hyperparameters as the benchmarks' own command lines give them: NAME=VALUE."""

import json
from collections.abc import Iterable
from typing import Any

__all__ = ["named_values"]


def named_values(texts: Iterable[str]) -> dict[str, Any]:
    """Values by name: JSON where it is JSON, otherwise text."""
    given: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            given[name] = json.loads(value)
        except json.JSONDecodeError:
            given[name] = value
    return given
