"""What an audit finds: a code, a place, and what follows for the verdict."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from recommons.common.codes import REMEDIES

__all__ = ["SEVERITIES", "Finding", "Findings", "Severity", "Verdict", "verdict_of"]

_MOST_PER_CODE = 100
_LONGEST = 500


class Severity(StrEnum):
    """What a finding does to the verdict."""

    VIOLATION = "violation"
    """Somebody broke a rule, or a record was altered."""
    UNVERIFIABLE = "unverifiable"
    """Something that is needed to tell is missing."""
    NOTE = "note"
    """Worth knowing; changes nothing."""


class Verdict(StrEnum):
    """What comes out; its place in this list is the command's exit status."""

    PASSED = "passed"
    VIOLATION = "violation"
    UNVERIFIABLE = "unverifiable"

    @property
    def exit_status(self) -> int:
        """0 passed, 1 violation, 2 unverifiable."""
        return list(Verdict).index(self)


_UNVERIFIABLE = (
    *("audit/unreadable", "audit/not-a-ledger", "audit/empty", "audit/no-key", "audit/no-roster"),
    *("audit/no-policy", "audit/unknown-entry", "audit/unknown-event", "audit/missing-ledger"),
    *("audit/unanchored", "audit/old-backup", "audit/no-ledgers", "audit/receipt-missing"),
    "audit/accountants-disagree",
)
_NOTES = (
    *("audit/keys-not-pinned", "audit/duplicate-ledger", "audit/clock", "audit/no-guarantee"),
    *("audit/unfinished-run", "audit/budget-overcautious", "audit/many-findings"),
    "audit/took-no-part",
    "audit/earlier-ledger",
    "audit/head-forgotten",
)

SEVERITIES: Mapping[str, Severity] = MappingProxyType(
    {
        code: Severity.UNVERIFIABLE
        if code in _UNVERIFIABLE
        else Severity.NOTE
        if code in _NOTES
        else Severity.VIOLATION
        for code in REMEDIES
        if code.startswith(("audit/", "ledger/"))
    }
)
"""Every code a finding may have."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing found.

    Attributes:
        code: A key of `SEVERITIES`.
        ledger: Name of the file it was found in, or None where it is in no one file.
        line: Number of the line from 1, or None where it is in no one line.
        message: What was found. Never holds more of a ledger than names, numbers and hashes.
    """

    code: str
    ledger: str | None
    line: int | None
    message: str

    @property
    def severity(self) -> Severity:
        """What it does to the verdict."""
        return SEVERITIES[self.code]

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return REMEDIES[self.code]

    def to_json(self) -> dict[str, Any]:
        """As ``--json`` shows it."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "ledger": self.ledger,
            "line": self.line,
            "message": self.message,
        }


@dataclass
class Findings:
    """Collects findings; of one code in one ledger no more than a hundred are kept."""

    _found: list[Finding] = field(default_factory=list)
    _counts: dict[tuple[str, str | None], int] = field(default_factory=dict)

    def add(
        self, code: str, message: str, *, ledger: str | None = None, line: int | None = None
    ) -> None:
        """Keep a finding.

        Raises:
            KeyError: The code is not one of a finding (a programming mistake, caught by tests).
        """
        SEVERITIES[code]
        key = (code, ledger)
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] <= _MOST_PER_CODE:
            text = _printable(message)
            text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
            name = None if ledger is None else _printable(ledger)
            self._found.append(Finding(code=code, ledger=name, line=line, message=text))

    def sorted(self) -> tuple[Finding, ...]:
        """Violations first, then what is missing, then notes; by ledger and line."""
        found = list(self._found)
        for (code, ledger), count in self._counts.items():
            if count > _MOST_PER_CODE:
                left_out = f"{count - _MOST_PER_CODE} more findings {code} are not listed"
                found.append(
                    Finding(code="audit/many-findings", ledger=ledger, line=None, message=left_out)
                )
        order = list(Severity)
        found.sort(key=lambda f: (order.index(f.severity), f.ledger or "", f.line or 0, f.code))
        return tuple(dict.fromkeys(found))


def _printable(text: str) -> str:
    """The text without what a terminal would obey: ledgers may name anything."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """A violation outweighs what is missing; both outweigh notes."""
    severities = {finding.severity for finding in findings}
    if Severity.VIOLATION in severities:
        return Verdict.VIOLATION
    return Verdict.UNVERIFIABLE if Severity.UNVERIFIABLE in severities else Verdict.PASSED
