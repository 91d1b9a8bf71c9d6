"""What the benchmarks' own command lines are given: hyperparameters, and who is judged."""

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from recommons.common.data.splits import HeldOutUsers, Split

__all__ = ["JudgedUsers", "named_values"]


class JudgedUsers(StrEnum):
    """Users whose recommendations are measured; a measure on test users is for the end."""

    VALIDATION = "validation"
    TEST = "test"

    def of(self, split: Split) -> HeldOutUsers:
        """These users of a split."""
        return split.test if self is JudgedUsers.TEST else split.validation


def named_values(texts: Iterable[str]) -> dict[str, Any]:
    """Values by name from NAME=VALUE: JSON where it is JSON, otherwise text."""
    given: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            given[name] = json.loads(value)
        except json.JSONDecodeError:
            given[name] = value
    return given
