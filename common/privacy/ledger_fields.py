"""The types of what a ledger's entries hold; every one is closed, none can hold a user's data.

A type knows its name, for the documentation and for the test that walks every entry, and checks a
parsed JSON value.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from recommons.common.errors import PrivacyError
from recommons.common.privacy.events import event_from_json

__all__ = [
    "ACCEPTANCE",
    "ATTEMPT",
    "CODE",
    "COUNT",
    "DOCUMENT",
    "EVENTS",
    "HASH",
    "KEY",
    "NAME",
    "NUMBER_OR_NULL",
    "OUTCOME",
    "REASON",
    "RUN",
    "SEED",
    "SIGNATURE",
    "SITE",
    "SITES",
    "SUCCESSIONS",
    "FieldType",
    "Fields",
    "by_site",
    "fields_fault",
]

_MAX_INTEGER = 2**53 - 1
_MAX_TEXT = 500
_MAX_LIST = 100_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_SITE = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_CODE = re.compile(r"[a-z]+/[a-z0-9-]+")


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldType:
    """The type of a field.

    Attributes:
        name: What documentation calls it.
        means: What a value of it is.
        holds: Whether a parsed JSON value is of it.
        members: The types of the members of a list's objects.
        text: Of a type of texts: a regular expression for those that JSON writes as they are, in
            ASCII and without escapes. Whatever matches it is of the type.
    """

    name: str
    means: str
    holds: Callable[[object], bool]
    members: Mapping[str, "FieldType"] = field(default_factory=dict)
    text: str | None = None


Fields = Mapping[str, FieldType]


def fields_fault(required: Fields, optional: Fields, body: object) -> str | None:
    """What is wrong with an object, or None; names a known field, never a value."""
    if not isinstance(body, Mapping):
        return "body is not an object"
    for name in required:
        if name not in body:
            return f"field {name!r} is missing"
    for name, value in body.items():
        known = required.get(name) or optional.get(name)
        if known is None:
            return "a field is not known"
        if not known.holds(value):
            return f"field {name!r} is not of its type"
    return None


def by_site(name: str, **members: FieldType) -> FieldType:
    """A list of objects of ``site`` and these members, each site once, ascending."""
    wanted = {"site": SITE, **members}

    def holds(value: object) -> bool:
        return (
            isinstance(value, list)
            and len(value) <= _MAX_LIST
            and all(fields_fault(wanted, {}, item) is None for item in value)
            and _ascending([item["site"] for item in value])
        )

    listed = ", ".join(f"`{member}` {type_.name}" for member, type_ in wanted.items())
    means = f"list of objects of {listed}; each site once, ascending"
    return FieldType(name=name, means=means, holds=holds, members=wanted)


def _is_statements(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= _MAX_LIST
        and all(fields_fault(_STATEMENT, {}, item) is None for item in value)
        and all(
            (one["site"], one["old"]) < (other["site"], other["old"])
            for one, other in pairwise(value)
        )
    )


def _matching(name: str, means: str, pattern: re.Pattern[str]) -> FieldType:
    return FieldType(
        name=name,
        means=means,
        holds=lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None,
        text=pattern.pattern,
    )


def _hex(name: str, means: str, size: int) -> FieldType:
    pattern = re.compile(f"[0-9a-f]{{{2 * size}}}")
    return _matching(name, f"{means}, {size} bytes in lower-case hexadecimal", pattern)


def _is_reason(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and value.isprintable()


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_INTEGER


def _is_number_or_null(value: object) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_event(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    try:  # types too: True equals 1, but is no number
        return _is_known_event(tuple(value.items()), tuple(map(type, value.values())))
    except TypeError:  # a member that is no plain value
        return False


@lru_cache(maxsize=4096)
def _is_known_event(items: tuple[tuple[str, object], ...], _types: tuple[type, ...]) -> bool:
    """A site's entries about an attempt repeat its events, and so do the other sites'."""
    try:
        event_from_json(dict(items))
    except PrivacyError:
        return False
    return True


def _ascending(names: list[str]) -> bool:
    return all(a < b for a, b in pairwise(names))


def _is_sites(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= _MAX_LIST
        and all(map(SITE.holds, value))
        and _ascending(value)
    )


def _is_events(value: object) -> bool:
    return isinstance(value, list) and len(value) <= _MAX_LIST and all(map(_is_event, value))


HASH = _hex("hash", "SHA-256", 32)
KEY = _hex("key", "Ed25519 public key", 32)
SIGNATURE = _hex("signature", "Ed25519 signature", 64)
SEED = _hex("seed", "random bytes", 32)
RUN = _hex("run id", "our own name of a run", 16)
SITE = _matching("site", "identifier of a site: 1 to 64 of a-z, 0-9, `.`, `_`, `-`", _SITE)
NAME = _matching("name", "1 to 128 letters, digits, `.`, `_`, `:`, `-`", _NAME)
CODE = _matching("code", "a [named code](codes.md)", _CODE)
OUTCOME = FieldType(
    name="outcome",
    means="`finished` or `failed`",
    holds=lambda value: value in ("finished", "failed"),
    text="finished|failed",
)
ACCEPTANCE = FieldType(
    name="acceptance",
    means="`joined` (the first that the site pinned), `by-hand` (on its operator's word) or "
    "`by-majority` (on the approvals of most sites of the roster before)",
    holds=lambda value: value in ("joined", "by-hand", "by-majority"),
    text="joined|by-hand|by-majority",
)
COUNT = FieldType(name="count", means="whole number from 0 to 2^53 - 1", holds=_is_count)
NUMBER_OR_NULL = FieldType(
    name="number",
    means="number of 0 or more; null for infinity, which JSON lacks",
    holds=_is_number_or_null,
)
REASON = FieldType(
    name="reason",
    means=f"1 to {_MAX_TEXT} printable characters of this program's own words",
    holds=_is_reason,
    text=rf"[ !#-\[\]-~]{{1,{_MAX_TEXT}}}",
)
DOCUMENT = FieldType(
    name="document",
    means="object: the whole document, whose hash stands beside it",
    holds=lambda value: isinstance(value, dict),
)
SITES = FieldType(name="sites", means="list of site, ascending", holds=_is_sites)
_STATEMENT: Fields = {
    "site": SITE,
    "old": KEY,
    "new": KEY,
    "by_old": SIGNATURE,
    "by_new": SIGNATURE,
}
SUCCESSIONS = FieldType(
    name="successions",
    means="list of objects of `site` site (or `coordinator`), `old` key, `new` key, `by_old` "
    "signature, `by_new` signature, ascending by `site` and `old`: whose key replaced which, under "
    "both keys' signatures",
    holds=_is_statements,
    members=_STATEMENT,
)
EVENTS = FieldType(
    name="events",
    means="list of releases, as `recommons.common.privacy.events` describes them",
    holds=_is_events,
)

ATTEMPT: Fields = {"run": RUN, "round": COUNT, "attempt": COUNT, "context": HASH}
"""Where an attempt's entries belong."""
