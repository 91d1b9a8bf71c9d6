"""Lines as this program writes them, recognised in one step.

Reading JSON and writing it again, to see that a line is canonical, and then looking at every field
costs more than the line's signature. But a canonical line of a known kind can have one form only:
its members in order, each in the one way to write it. So a kind's fields make a regular expression,
and a line that it matches whole is canonical and of its kind. Texts inside that have no such form
(lists of releases, documents) are read in the long way, once each: many lines repeat them.

A line that is not recognised here may be sound all the same: `ledger_line.parse_strictly` decides.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise
from typing import Any

from recommons.common.hashing import canonical_json, canonical_value, digest
from recommons.common.privacy.ledger_entries import KINDS, Kind
from recommons.common.privacy.ledger_fields import COUNT, DOCUMENT, EVENTS, SITES, FieldType

__all__ = ["TIME", "WRITER", "read_form"]

WRITER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")

_COUNT = "0|[1-9][0-9]{0,14}"  # none is beyond 2^53 - 1
_FLAT = r"\[[^\]]*\]"  # up to the first bracket; a list of lists so is no JSON, and has no form
_TAIL = (
    '{{"body":{body},"kind":"{kind}","previous":"([0-9a-f]{{64}})","seq":({count}),'
    '"signature":"([0-9a-f]{{128}})","time":"({time})","version":1,"writer":"({writer})"}}'
)
_KIND_MARK = ',"kind":"'

_Reader = Callable[[str], Any]
"""Text to value; raises ValueError where the text is not sure to be canonical and of its type."""


@dataclass(frozen=True, kw_only=True)
class _Form:
    """The lines of a kind with some of its optional fields.

    Attributes:
        kind: The kind.
        pattern: A group for each field, then `previous`, `seq`, `signature`, `time`, `writer`.
        names: The fields in order.
        readers: Of the same, None for a text that is itself the value.
        known: The kind with its fields.
    """

    kind: str
    pattern: re.Pattern[str]
    names: tuple[str, ...]
    readers: tuple[_Reader | None, ...]
    known: Kind

    def envelope(self, groups: tuple[str, ...]) -> dict[str, Any]:
        """The envelope of a line that matched."""
        *values, previous, seq, signature, time, writer = groups
        body = {
            name: text if read is None else read(text)
            for name, read, text in zip(self.names, self.readers, values, strict=True)
        }
        if self.known.document is not None:
            body["document"] = _checked_document(body["document"], body, *self.known.document)
        return {
            "body": body,
            "kind": self.kind,
            "previous": previous,
            "seq": int(seq),
            "signature": signature,
            "time": time,
            "version": 1,
            "writer": writer,
        }


def read_form(line: bytes) -> dict[str, Any] | None:
    """The envelope of a line that has the form of its kind; None where that is not certain.

    Args:
        line: The line without its newline.
    """
    try:
        text = line.decode("ascii")
        start = text.rfind(_KIND_MARK) + len(_KIND_MARK)
        for form in _forms(text[start : text.find('"', start)]):
            found = form.pattern.fullmatch(text)
            if found is not None:
                return form.envelope(found.groups())
    except (ValueError, RecursionError):  # not ASCII, or a reader that is not certain
        return None
    return None


@lru_cache(maxsize=256)
def _forms(kind: str) -> tuple[_Form, ...]:
    """The forms of a kind's lines; none for an unknown kind, and none where a field has no form."""
    known = KINDS.get(kind)
    return () if known is None else tuple(_forms_of(kind, known))


def _forms_of(kind: str, known: Kind) -> Iterator[_Form]:
    for size in range(len(known.optional) + 1):
        for chosen in combinations(known.optional.items(), size):
            fields = dict(sorted({**known.required, **dict(chosen)}.items()))
            texts = [_pattern(type_) for type_ in fields.values()]
            if None in texts:
                continue
            members = ",".join(f'"{name}":{_group(type_)}' for name, type_ in fields.items())
            pattern = _TAIL.format(
                body=rf"\{{{members}\}}",
                kind=re.escape(kind),
                count=_COUNT,
                time=TIME.pattern,
                writer=WRITER.pattern,
            )
            yield _Form(
                kind=kind,
                pattern=re.compile(pattern, re.ASCII),
                names=tuple(fields),
                readers=tuple(map(_reader, fields.values())),
                known=known,
            )


def _pattern(type_: FieldType) -> str | None:
    """Of the JSON text of a type's values; None for a type without a form."""
    if type_.text is not None:
        return f'"(?:{type_.text})"'
    if type_ is COUNT:
        return f"(?:{_COUNT})"
    if type_ in (SITES, EVENTS):
        return _FLAT
    if type_ is DOCUMENT:
        return r"\{.*\}"
    return _members_pattern(type_.members) if type_.members else None


def _members_pattern(members: Mapping[str, FieldType]) -> str | None:
    """Of a list of objects, as `ledger_fields.by_site` makes them."""
    patterns = {name: _pattern(members[name]) for name in sorted(members)}
    if None in patterns.values():
        return None
    inside = ",".join(f'"{name}":{pattern}' for name, pattern in patterns.items())
    item = rf"\{{{inside}\}}"
    return rf"\[(?:{item}(?:,{item})*)?\]"


def _group(type_: FieldType) -> str:
    """The pattern with a group for what its reader is given: of a text, what is in the quotes."""
    return f"({_pattern(type_)})" if type_.text is None else f'"({type_.text})"'


def _reader(type_: FieldType) -> _Reader | None:
    """Of a text that matches the group; None where that is the value."""
    if type_.text is not None or type_ is DOCUMENT:
        return None
    if type_ is COUNT:
        return int
    return _SITES if type_ is SITES else _EVENTS if type_ is EVENTS else _read_members


def _read_members(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(text)
    names = [item["site"] for item in found]
    if any(one >= other for one, other in pairwise(names)):
        raise ValueError("a list of sites does not ascend")
    return found


def _shared(type_: FieldType) -> _Reader:
    """Reads texts in the long way, each once while it is remembered."""

    @lru_cache(maxsize=4096)
    def read(text: str) -> Any:  # noqa: ANN401 - any JSON value
        value = canonical_value(text.encode())
        if not type_.holds(value):
            raise ValueError("not of its type")
        return value

    return read


_SITES, _EVENTS = _shared(SITES), _shared(EVENTS)


def _checked_document(text: str, body: Mapping[str, Any], name: str, domain: str) -> Any:  # noqa: ANN401
    """The document, if the hash beside it is its own."""
    value, found = _document(text, name == "roster", domain)
    if found != body[name]:
        raise ValueError("the hash is not the document's")
    return value


@lru_cache(maxsize=512)
def _document(text: str, of_member: bool, domain: str) -> tuple[Any, str]:
    data = text.encode()
    value = canonical_value(data)
    if of_member:
        data = canonical_json(value.get("roster"))
    return value, digest(domain, data).hex()
