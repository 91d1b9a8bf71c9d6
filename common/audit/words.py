"""What an audit says in sentences: the same in the terminal and on the page."""

from collections.abc import Iterator
from datetime import UTC, datetime
from math import inf
from typing import Any

from recommons.common.audit.findings import Finding, Severity, Verdict
from recommons.common.audit.readings import OtherAccountants
from recommons.common.audit.report import AuditReport
from recommons.common.units import counted, epsilon_text, factor_text, small_text

__all__ = [
    "ACCOUNTANTS",
    "SEVERITY_WORDS",
    "VERDICT_WORDS",
    "disagreement_sentence",
    "epsilon_or_none",
    "failure_sentence",
    "guarantee_sentences",
    "limits",
    "place",
    "read_sentence",
    "summary_lines",
    "time_text",
    "verdict_sentence",
]

VERDICT_WORDS = {
    Verdict.PASSED: "Passed",
    Verdict.VIOLATION: "Violation",
    Verdict.UNVERIFIABLE: "Unverifiable",
}
SEVERITY_WORDS = {
    Severity.VIOLATION: "Violations",
    Severity.UNVERIFIABLE: "What is missing",
    Severity.NOTE: "Notes",
}
_COLOURS = {Verdict.PASSED: "green", Verdict.VIOLATION: "red", Verdict.UNVERIFIABLE: "yellow"}
_SHOWN = 40


def verdict_sentence(report: AuditReport) -> str:
    """What the verdict means."""
    violations = counted(_number_of(report, Severity.VIOLATION), "violation")
    missing = counted(_number_of(report, Severity.UNVERIFIABLE), "thing")
    if report.verdict is Verdict.VIOLATION:
        return (
            f"The ledgers show {violations}: a record was altered, a rule was broken, or a claim "
            "is smaller than what was spent."
        )
    if report.verdict is Verdict.UNVERIFIABLE:
        return (
            f"No violation shows, but {missing} needed to be sure of it "
            f"{'is' if missing.startswith('1 ') else 'are'} missing."
        )
    return (
        "Signatures, chains, certificates and policies were checked again, every ε was recomputed "
        "from the raw events, and nothing contradicts what was claimed."
    )


def read_sentence(report: AuditReport) -> str:
    """What was read."""
    entries = sum(ledger.entries for ledger in report.ledgers)
    of = "" if report.federation is None else f" of the federation “{report.federation}”"
    signed = (
        " Every line’s own signature was checked."
        if report.each_line
        else " Of each ledger the last line’s signature was checked, and that every line is the "
        "one the next was signed on: so its writer signed them all. “--every-signature” checks "
        "each line’s own, too."
    )
    return (
        f"{counted(len(report.ledgers), 'ledger')}{of}, {counted(entries, 'entry')}, "
        f"{counted(report.receipts, 'receipt')}.{signed if entries else ''}"
    )


def guarantee_sentences(report: AuditReport) -> tuple[str, ...]:
    """The guarantee in plain words, with its unit and its neighbours."""
    spending, assumed = report.spending, report.assumptions
    if not report.ledgers:
        return ("No ledger could be verified, so nothing is known of what was released.",)
    if not spending.attempts:
        return ("Nothing was released according to these ledgers.",)
    if spending.epsilon is None:
        return (
            "What was released cannot be bounded: an event is of a kind that this version does "
            "not know.",
        )
    if spending.epsilon == inf:
        return (
            "No finite ε bounds what was released: there is a sum without noise, or more than the "
            "error of the noise tables can vouch for. Nothing bounds what it reveals about a user.",
        )
    epsilon, delta = epsilon_text(spending.epsilon), small_text(spending.delta)
    factor = factor_text(spending.epsilon)
    subject = _subject(report)
    found = [
        f"{subject} is together (ε, δ)-differentially private with ε = {epsilon} and "
        f"δ = {delta}, for one user added or removed.",
        f"That is: take any one user away, with all of that user's events at one site, and "
        f"whatever anyone computes from everything released becomes at most {factor} times as "
        f"likely or as unlikely, but for cases of probability at most {delta} in all.",
        f"At least {assumed.least_survivors} sites were in every sum. That at most "
        f"{counted(assumed.colluding, 'site')} of them pooled what they know with the coordinator "
        "is an assumption about people.",
        *_readings_sentence(report),
    ]
    if assumed.sites_per_person > 1:
        found.append(
            f"A person who is a user of up to {assumed.sites_per_person} sites is covered as one."
        )
    else:
        found.append(
            "A person who is a user of several sites is one user at each, and the promises add up "
            "to a weaker one."
        )
    if assumed.sampled:
        found.append(
            "Some releases rest on sampling, too: each site drew its users independently, with the "
            "stated probability and afresh for each attempt, and told nobody who was drawn."
        )
    return tuple(found)


def _subject(report: AuditReport) -> str:
    """What the guarantee is of, and on whose word."""
    if report.verdict is Verdict.PASSED:
        return "Everything released"
    if any(finding.code == "audit/accountants-disagree" for finding in report.findings):
        return "By a figure that other accountants contradict, everything released"
    return "So far as these ledgers can be believed, everything released"


def _readings_sentence(report: AuditReport) -> Iterator[str]:
    honest, own = (report.readings.get(name) for name in ("all_honest", "own_share"))
    if honest is not None and own is not None:
        yield (
            f"If every site was there and honest, ε is {epsilon_or_none(honest)}. Should secure "
            "aggregation be broken, a site's own share of the noise would be all that hides its "
            f"users, and ε {epsilon_or_none(own)}."
        )


ACCOUNTANTS = {
    "recommons-planning": "the accountant that planned",
    "zcdp": "zero-concentrated differential privacy (a bound)",
    "dp-accounting-pld": "privacy loss distributions, by dp-accounting",
    "dp-accounting-rdp": "Rényi differential privacy, by dp-accounting (a bound)",
    "opacus-rdp": "Rényi differential privacy, by Opacus (a bound)",
    "opacus-prv": "privacy random variables, by Opacus",
}
"""Other accountants, for people."""


def disagreement_sentence(report: AuditReport, others: OtherAccountants | None) -> str:
    """Which accountants contradict the audit's figure; empty where none does."""
    if others is None or not others.disagreements:
        return ""
    names = "; ".join(ACCOUNTANTS.get(name, name) for name in others.disagreements)
    return (
        f"Accountants disagree with ε = {epsilon_or_none(report.spending.epsilon)}: {names}. Do "
        "not rely on this figure before the cause is found."
    )


def failure_sentence(others: OtherAccountants | None) -> str:
    """Why other accountants were asked in vain; empty where they were not asked, or answered."""
    if others is None or others.failed is None:
        return ""
    return f"Other accountants could not be asked: {others.failed}."


def limits(report: AuditReport) -> tuple[str, ...]:
    """What cannot be known from ledgers."""
    found = [
        "Ledgers show what was agreed, signed and counted. That a site computed, clipped and "
        "added noise as its plan says rests on the code it runs: no record of its own can prove "
        "it. “recommons audit empirical” tests that code, by experiment.",
        "That no more sites colluded than assumed, and that nobody else held their keys, are "
        "facts about people and machines that no ledger holds.",
        "A writer's clock is its own. Windows of budgets are as right as the site's clock; that "
        "it never went backwards is checked.",
        "Ledgers name no users. What is said of budgets is for any user the plans allow for; "
        "which users took part, and that those who left were left out, only the site can show.",
        "A party that took part in nothing and told nobody leaves no trace. What another "
        "coordinator may have run with a site's keys shows only in that site's own ledger.",
        "The sums are known by hashes. That a sum, or the model made of it, is the published one "
        "is shown by hashing the published file, not by ledgers.",
        "What a site's recommendations show its own users about its other users never leaves the "
        "site and is outside all of this.",
    ]
    if not report.pinned:
        found.insert(
            0,
            "No pinned roster was given, so all of it holds only if the federation key is the "
            "right one. Compare its fingerprint, by telephone or on paper, with the federation's "
            "operator and with a site's.",
        )
    return tuple(found)


def place(finding: Finding) -> str:
    """Where a finding is."""
    if finding.ledger is None:
        return ""
    return finding.ledger if finding.line is None else f"{finding.ledger}, line {finding.line}"


def epsilon_or_none(value: float | None) -> str:
    """An ε: a number, ∞, or unknown."""
    if value is None:
        return "unknown"
    return epsilon_text(None if value == inf else value)


def time_text(seconds: float) -> str:
    """A day and minute, UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"


def summary_lines(
    report: AuditReport, others: OtherAccountants | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The summary for a terminal: lines, each with its style."""
    colour = _COLOURS[report.verdict]
    yield VERDICT_WORDS[report.verdict].upper(), {"fg": colour, "bold": True}
    yield verdict_sentence(report), {}
    yield read_sentence(report), {}
    yield "", {}
    for sentence in guarantee_sentences(report)[:1]:
        yield sentence, {}
    if disagreement_sentence(report, others):
        yield disagreement_sentence(report, others), {"fg": "red", "bold": True}
    yield from _figures(report)
    yield from _other_figures(report, others)
    for severity in Severity:
        found = [finding for finding in report.findings if finding.severity is severity]
        if found:
            yield "", {}
            yield f"{SEVERITY_WORDS[severity]}:", {"bold": True}
        for finding in found[:_SHOWN]:
            yield _finding_line(finding), {}
        if len(found) > _SHOWN:
            yield f"  and {len(found) - _SHOWN} more (--json lists them all)", {}
    yield "", {}
    yield "What ledgers cannot show:", {"bold": True}
    for limit in limits(report)[:3]:
        yield f"  {limit}", {}


def _figures(report: AuditReport) -> Iterator[tuple[str, dict[str, Any]]]:
    spending = report.spending
    for run in spending.runs:
        claimed = "" if run.claimed is None else f", claimed {epsilon_or_none(run.claimed)}"
        yield (
            f"  run {run.run[:8]}: ε = {epsilon_or_none(run.epsilon)} in "
            f"{counted(run.attempts, 'attempt')}{claimed}, plan {epsilon_or_none(run.target)}, "
            f"δ = {small_text(run.delta)}",
            {},
        )
    for site in spending.sites:
        window = report.windows.get(site.site)
        budget = ""
        if window is not None:
            span = f"{window.window_days} days" if window.window_days else "all time"
            cap = "no cap" if window.cap == inf else f"cap {epsilon_text(window.cap)}"
            budget = f"; a user at most {epsilon_or_none(window.epsilon)} in {span} ({cap})"
        yield (
            f"  {site.site}: ε = {epsilon_or_none(site.epsilon)} released at "
            f"δ = {small_text(site.delta)}{budget}",
            {},
        )


def _other_figures(
    report: AuditReport, others: OtherAccountants | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    honest, own = (report.readings.get(name) for name in ("all_honest", "own_share"))
    if report.spending.attempts:
        yield (
            f"  all sites honest and present: ε = {epsilon_or_none(honest)}; a site's own share of "
            f"noise alone: ε = {epsilon_or_none(own)}",
            {},
        )
    for name, found in ({} if others is None else others.epsilon).items():
        wrong = others is not None and name in others.disagreements
        told = f"  by {ACCOUNTANTS.get(name, name)}: ε = {epsilon_or_none(found)}"
        yield told + (": disagrees" if wrong else ""), {"fg": "red"} if wrong else {}
    if failure_sentence(others):
        yield f"  {failure_sentence(others)}", {}


def _finding_line(finding: Finding) -> str:
    where = place(finding)
    return f"  {finding.code}  {where + ': ' if where else ''}{finding.message}"


def _number_of(report: AuditReport, severity: Severity) -> int:
    return sum(finding.severity is severity for finding in report.findings)
