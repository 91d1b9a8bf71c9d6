"""What a check finds, and how it is told."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Finding", "failed", "lines_of"]

_MARKS = {True: "ok  ", None: "note", False: "FAIL"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: The thing: ``dns``, ``proxy``, ``tls``, ``clock``, ``disk``, ``data`` and so on.
        ok: Whether it is right; None where it is not wrong yet.
        said: What was found, for the site's operator.
        remedy: What to do about it.
    """

    what: str
    ok: bool | None
    said: str
    remedy: str = ""

    def fields(self) -> dict[str, object]:
        """As a JSON object."""
        return {"what": self.what, "ok": self.ok, "said": self.said, "remedy": self.remedy}


def failed(findings: Sequence[Finding]) -> list[Finding]:
    """Those that keep the site from taking part."""
    return [finding for finding in findings if finding.ok is False]


def lines_of(findings: Sequence[Finding]) -> list[str]:
    """A line for each, and its remedy below it where there is something to do."""
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.ok]}  {finding.what:9} {finding.said}")
        if finding.remedy and finding.ok is not True:
            lines.append(f"      {'':9} → {finding.remedy}")
    return lines
