"""What a ledger may say: each kind of entry with its fields and their types.

A kind's meaning never changes within a version. Fields not named here are refused, so that no user
id, no data and no realised size of a batch can slip into a record that is shown to others.
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from recommons.common.errors import PrivacyError
from recommons.common.privacy.events import event_from_json

__all__ = ["KINDS", "entry_fault"]

Check = Callable[[object], bool]
Fields = Mapping[str, Check]

_MAX_INTEGER = 2**53 - 1
_MAX_TEXT = 500
_MAX_LIST = 100_000
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_CODE = re.compile(r"[a-z]+/[a-z0-9-]+")


def _hex(size: int) -> Check:
    """`size` bytes in lower-case hexadecimal."""
    pattern = re.compile(f"[0-9a-f]{{{2 * size}}}")
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _matching(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_TEXT and value.isprintable()


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_INTEGER


def _number_or_null(value: object) -> bool:
    """A number not below zero; null stands for infinity, JSON having none."""
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _list_of(check: Check) -> Check:
    return lambda value: (
        isinstance(value, list) and len(value) <= _MAX_LIST and all(map(check, value))
    )


def _object(**members: Check) -> Check:
    """An object of exactly these members."""
    return lambda value: isinstance(value, dict) and _body_fault(members, {}, value) is None


def _event(value: object) -> bool:
    try:
        event_from_json(value)
    except PrivacyError:
        return False
    return True


_HASH = _hex(32)
_KEY = _hex(32)
_SIGNATURE = _hex(64)
_NAME = _matching(_IDENTIFIER)
_EVENTS = _list_of(_event)
_SITES = _list_of(_NAME)
_SIGNATURES = _list_of(_object(site=_NAME, signature=_SIGNATURE))
_MEMBERS = _list_of(_object(site=_NAME, name=_text, public_key=_KEY))

_RUN: Fields = {"run": _NAME}
_ATTEMPT: Fields = {"run": _NAME, "round": _count, "attempt": _count, "context": _HASH}
_REFUSAL: Fields = {"code": _matching(_CODE), "reason": _text}
_GUARANTEE: Fields = {"epsilon": _number_or_null, "delta": _number_or_null}
_HEAD: Fields = {"writer": _NAME, "seq": _count, "head": _HASH, "signature": _SIGNATURE}

KINDS: Mapping[str, tuple[Fields, Fields]] = MappingProxyType(
    {
        # A site's entries: (required fields, optional fields).
        "plan-accepted": (
            {**_RUN, "plan": _HASH, **_GUARANTEE},
            {
                "roster": _HASH,
                "policy": _HASH,
                "model": _NAME,
                "min_survivors": _count,
                "colluding": _count,
                "cohort": _SITES,
                "spare_attempts": _count,
            },
        ),
        "plan-refused": ({"plan": _HASH, **_REFUSAL}, {**_RUN, "policy": _HASH}),
        "round-refused": ({**_RUN, "round": _count, "attempt": _count, **_REFUSAL}, {}),
        "reserved": ({**_ATTEMPT, "plan": _HASH, "events": _EVENTS}, {}),
        "released": (
            {**_ATTEMPT, "masked": _HASH, "certificate": _HASH, "events": _EVENTS},
            {"survivors": _SITES, "signatures": _SIGNATURES},
        ),
        "committed": (_ATTEMPT, {"events": _EVENTS}),
        "aborted": ({**_ATTEMPT, "code": _matching(_CODE)}, {"reason": _text}),
        "head-countersigned": (_HEAD, _RUN),
        "user-forgotten": ({}, {}),
        "budget-exhausted": ({"window": _text, **_GUARANTEE}, {}),
        "policy-changed": ({"policy": _HASH}, {}),
        "roster-accepted": ({"roster": _HASH, "epoch": _count}, {"members": _MEMBERS}),
        # The coordinator's entries.
        "roster": ({"roster": _HASH, "epoch": _count, "members": _MEMBERS}, {}),
        "plan": (
            {**_RUN, "plan": _HASH, **_GUARANTEE},
            {"model": _NAME, "cohort": _SITES, "min_survivors": _count, "colluding": _count},
        ),
        "round-opened": (_ATTEMPT, {"public_state": _HASH, "cohort": _SITES}),
        "advertisements": ({**_ATTEMPT, "advertisements": _HASH}, {"sites": _SITES}),
        "certificate": (
            {**_ATTEMPT, "certificate": _HASH, "survivors": _SITES},
            {
                "full": _HASH,
                "shared": _SITES,
                "masked": _list_of(_object(site=_NAME, masked=_HASH)),
                "signatures": _SIGNATURES,
            },
        ),
        "sum": ({**_ATTEMPT, "sum": _HASH}, {"events": _EVENTS}),
        "round-aborted": (
            {**_ATTEMPT, "code": _matching(_CODE)},
            # The events that were charged: none where no vector was asked for.
            {"reason": _text, "events": _EVENTS},
        ),
        "model-released": (
            {**_RUN, "model": _HASH, "plan": _HASH, **_GUARANTEE},
            {"accountant": _NAME},
        ),
        # Either's.
        "run-ended": (
            {**_RUN, "outcome": _text},
            {"code": _matching(_CODE), "heads": _list_of(_object(**_HEAD))},
        ),
    }
)
"""Kind of entry: its required and its optional fields, each with the check of its value."""


def entry_fault(kind: object, body: object) -> str | None:
    """What is wrong with an entry, or None; names the kind or field, never a value."""
    if not isinstance(kind, str) or kind not in KINDS:
        return "unknown kind of entry"
    required, optional = KINDS[kind]
    return _body_fault(required, optional, body)


def _body_fault(required: Fields, optional: Fields, body: object) -> str | None:
    if not isinstance(body, Mapping):
        return "body is not an object"
    known: dict[str, Any] = {**required, **optional}
    for name in required:
        if name not in body:
            return f"field {name!r} is missing"
    for name, value in body.items():
        if name not in known:
            return "a field is not known"
        if not known[name](value):
            return f"field {name!r} is not of its type"
    return None
