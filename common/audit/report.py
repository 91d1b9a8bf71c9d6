"""The outcome of an audit, for programs and for the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from recommons.common.audit.budgets import WindowSpending
from recommons.common.audit.findings import Finding, Verdict
from recommons.common.audit.readings import OtherAccountants
from recommons.common.audit.spending import Spending

__all__ = ["Assumptions", "AuditReport", "LedgerFacts"]

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class LedgerFacts:
    """One ledger that was read.

    Attributes:
        name: The file.
        writer: Whose it is.
        entries: Entries that hold.
        first: The time of the first, as its writer tells it; empty where there is none.
        last: Of the last.
    """

    name: str
    writer: str
    entries: int
    first: str
    last: str


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """The weakest assumptions of all plans.

    Attributes:
        colluding: Largest c.
        least_survivors: Least M.
        sites_per_person: Most sites a person may be a user of.
        sampled: Whether any release was Poisson-sampled.
    """

    colluding: int
    least_survivors: int
    sites_per_person: int
    sampled: bool


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """What an audit found.

    Attributes:
        verdict: Passed, violation or unverifiable.
        findings: Violations first.
        federation: The federation's id, None where no roster is known.
        federation_key: Fingerprint of the key that signs its rosters, likewise.
        pinned: Whether a pinned document vouches for that key.
        each_line: Whether every line's own signature was verified, or of each ledger the last
            line's alone, which covers the lines before it.
        ledgers: What was read.
        receipts: Number of receipts read.
        spending: ε by run, by site and for the federation.
        windows: By site, the most a user can have been charged for in a window.
        assumptions: What the plans assume.
        readings: ε of all releases at the federation's δ by reading (`readings.READINGS`).
    """

    verdict: Verdict
    findings: tuple[Finding, ...]
    federation: str | None
    federation_key: str | None
    pinned: bool
    each_line: bool
    ledgers: tuple[LedgerFacts, ...]
    receipts: int
    spending: Spending
    windows: Mapping[str, WindowSpending]
    assumptions: Assumptions
    readings: Mapping[str, float | None]

    def to_json(self, others: OtherAccountants | None = None) -> dict[str, Any]:
        """As ``--json`` prints it.

        Of an ε, ``null`` is no bound where ``bounded`` is false, and unknown where that is null.

        Args:
            others: What other accountants say, if they were asked.
        """
        spending = self.spending
        return {
            "version": _VERSION,
            "verdict": self.verdict.value,
            "findings": [finding.to_json() for finding in self.findings],
            "epsilon": {
                "unit": "user",
                "neighbours": "add-or-remove one user",
                "federation": {
                    **_epsilon(spending.epsilon),
                    "delta": spending.delta,
                    "attempts": spending.attempts,
                    "readings": {name: _epsilon(found) for name, found in self.readings.items()},
                    "cross_checks": None if others is None else _others(others),
                },
                "sites": {
                    site.site: {
                        **_epsilon(site.epsilon),
                        "delta": site.delta,
                        "attempts": site.attempts,
                        "most_per_user": self._window(site.site),
                    }
                    for site in spending.sites
                },
                "runs": {
                    run.run: {
                        **_epsilon(run.epsilon),
                        "delta": run.delta,
                        "attempts": run.attempts,
                        "reserved": _finite(run.reserved),
                        "target": _finite(run.target),
                        "claimed": None if run.claimed is None else _finite(run.claimed),
                    }
                    for run in spending.runs
                },
            },
            "federation": self.federation,
            "federation_key": self.federation_key,
            "pinned": self.pinned,
            "signatures": "each-line" if self.each_line else "last-line",
            "ledgers": [
                {"ledger": ledger.name, "writer": ledger.writer, "entries": ledger.entries}
                for ledger in self.ledgers
            ],
        }

    def _window(self, site: str) -> dict[str, Any] | None:
        window = self.windows.get(site)
        if window is None:
            return None
        return {
            **_epsilon(window.epsilon),
            "delta": window.delta,
            "cap": _finite(window.cap),
            "window_days": window.window_days,
        }


def _others(others: OtherAccountants) -> dict[str, Any]:
    return {
        "epsilon": {name: _finite(found) for name, found in others.epsilon.items()},
        "disagreements": list(others.disagreements),
        "failed": others.failed,
    }


def _epsilon(value: float | None) -> dict[str, Any]:
    return {
        "epsilon": None if value is None else _finite(value),
        "bounded": None if value is None else value < inf,
    }


def _finite(value: float) -> float | None:
    return None if value == inf else value
