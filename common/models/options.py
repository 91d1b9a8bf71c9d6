"""A model's options as the JSON object that a plan carries, and back."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from recommons.common.checks import describe_validation, nearest_first
from recommons.common.errors import InvalidInput
from recommons.common.hashing import canonical_json

__all__ = ["STRICT", "options_from_json", "options_to_json", "options_with"]

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
"""How the options of every model are read: `pydantic.with_config(STRICT)` on their dataclass."""

Options = TypeVar("Options")


def options_to_json(options: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    """The fields by name; tuples become lists."""
    return {name: _json(value) for name, value in asdict(options).items()}


def _json(value: Any) -> Any:  # noqa: ANN401 - a field's value
    if isinstance(value, dict):  # options within options
        return {name: _json(inner) for name, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value


def options_with(options: Options, given: Mapping[str, Any]) -> Options:
    """The options with some of them replaced, as JSON has them.

    Raises:
        InvalidInput: ``model/settings``: a field is unknown, of another type or refused.
    """
    if not given:
        return options
    return options_from_json(type(options), options_to_json(options) | dict(given))


def options_from_json(kind: type[Options], settings: Mapping[str, Any]) -> Options:
    """The options that `options_to_json` wrote.

    Raises:
        InvalidInput: ``model/settings``: a field is missing, unknown, of another type or refused.
    """
    try:
        return TypeAdapter(kind).validate_json(canonical_json(dict(settings)))
    except ValidationError as error:
        said = describe_validation("settings", error) + _valid(kind, settings)
        raise InvalidInput("model/settings", said) from None
    except (TypeError, ValueError) as error:
        raise InvalidInput("model/settings", f"settings are not JSON: {error}") from None


def _valid(kind: type[Any], settings: Mapping[str, Any]) -> str:
    """The names there are, where one is given that is none of them."""
    names = [field.name for field in fields(kind)]
    unknown = [name for name in settings if name not in names]
    return f"; valid, nearest first: {nearest_first(unknown[0], names)}" if unknown else ""
