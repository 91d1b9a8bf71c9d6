"""Canonical JSON documents that come from outside: read once, strictly, and written in one way."""

import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

from recommons.common.errors import InvalidInput
from recommons.common.hashing import canonical_json

__all__ = ["Document"]


class Document(ABC):
    """A message between the roles, of one version.

    Only bytes that `to_bytes` would write are read: no further field, no other order or spelling.

    Attributes:
        version: Of this kind of document alone.
        refusal: Code and words for bytes that are no such document.
    """

    version: ClassVar[int]
    refusal: ClassVar[tuple[str, str]]

    def to_bytes(self) -> bytes:
        """Canonical JSON."""
        return canonical_json({"version": self.version, **self._fields()})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read `to_bytes`.

        Raises:
            InvalidInput: Under the code of `refusal`: anything else.
        """
        try:
            found = cls._from_fields(json.loads(data))
            if found._is_sound() and found.to_bytes() == data:
                return found
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass
        raise InvalidInput(*cls.refusal)

    @abstractmethod
    def _fields(self) -> dict[str, Any]:
        """All but the version, as JSON values."""

    @classmethod
    @abstractmethod
    def _from_fields(cls, fields: Any) -> Self:  # noqa: ANN401 - parsed JSON
        """The document of a parsed JSON value.

        It need not look at types: a field that is missing or of another kind may raise whatever
        indexing and calling raise.
        """

    @abstractmethod
    def _is_sound(self) -> bool:
        """Whether the fields have the types, sizes and bounds they must."""
