"""Settings that people write, as TOML: read whole, checked once, refused under the file's code."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from recommons.common.checks import describe_validation
from recommons.common.errors import InvalidInput

__all__ = ["read_settings", "read_toml"]

Settings = TypeVar("Settings", bound=BaseModel)


def read_toml(path: Path, code: str) -> dict[str, Any]:
    """The keys of a TOML file in UTF-8.

    Args:
        path: The file.
        code: Of the refusal.

    Raises:
        InvalidInput: `code`: it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(code, f"{path} cannot be read; required: a TOML file") from error
    except (ValueError, RecursionError) as error:  # TOML's and UTF-8's errors are ValueErrors
        raise InvalidInput(code, f"{path.name}: not TOML: {error}") from error


def read_settings(path: Path, kind: type[Settings], code: str) -> Settings:
    """A TOML file as the settings it holds.

    Args:
        path: The file.
        kind: What it holds.
        code: Of the refusal.

    Raises:
        InvalidInput: `code`: it cannot be read, is not TOML, or a key is not as required; the
            message names each such key.
    """
    values = read_toml(path, code)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InvalidInput(code, describe_validation(path.name, error)) from error
