"""Every named code and what to do about it; `docs/codes.md` prints this table.

A code is ``room/what``. Codes are stable: scripts and auditors match on them.
"""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["REMEDIES"]

_INPUT: dict[str, str] = {
    "input/argument": "Give the named argument a value of the kind the message asks for.",
}

_DATA: dict[str, str] = {
    "data/empty": "Provide at least one row of data, or check that the path is the intended file.",
}

_SECAGG: dict[str, str] = {}

_PRIVACY: dict[str, str] = {}

_LEDGER: dict[str, str] = {}

_MODEL: dict[str, str] = {}

_PLAN: dict[str, str] = {}

_POLICY: dict[str, str] = {}

_SITE: dict[str, str] = {}

_RUN: dict[str, str] = {}

REMEDIES: Mapping[str, str] = MappingProxyType(
    _INPUT | _DATA | _SECAGG | _PRIVACY | _LEDGER | _MODEL | _PLAN | _POLICY | _SITE | _RUN
)
