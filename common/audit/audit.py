"""An audit: bytes of files in, a report out. Nothing is read but what is given."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from recommons.common.audit.anchoring import check_anchors, check_places, check_receipts
from recommons.common.audit.budgets import WindowSpending, check_budgets
from recommons.common.audit.coordinator_rules import coordinator_history
from recommons.common.audit.crosschecks import check_missing, check_parties
from recommons.common.audit.findings import Findings, verdict_of
from recommons.common.audit.histories import Coordinator, CoordinatorHistory, SiteHistory
from recommons.common.audit.pending import Pending
from recommons.common.audit.plans import PlanFacts, PlanReader
from recommons.common.audit.readings import readings_of
from recommons.common.audit.receipts import (
    heads_in_ledger,
    heads_in_receipts,
    read_receipts,
    settled,
)
from recommons.common.audit.records import LedgerText, Record, records_of
from recommons.common.audit.report import Assumptions, AuditReport, LedgerFacts
from recommons.common.audit.signatures import Mapper
from recommons.common.audit.site_rules import site_history
from recommons.common.audit.sources import FileKind, Source, kind_of
from recommons.common.audit.spending import spending_of
from recommons.common.audit.trust import Trust, build_trust, claims_in, pinned_from
from recommons.common.peers import fingerprint, readable

__all__ = ["audit"]

_MOST_SIGNATURES = 20_000
"""Lines of which each is verified unasked: some 3 seconds of a processor."""


def audit(
    sources: Iterable[Source],
    *,
    trust: bytes | None = None,
    findings: Findings | None = None,
    mapper: Mapper = map,
    each_line: bool | None = None,
) -> AuditReport:
    """Audit any set of ledgers.

    Args:
        sources: Files: ledgers, receipts, and whatever else was named.
        trust: A pinned ``federation.json``, signed roster or roster; without it the keys are those
            that the ledgers agree on.
        findings: What was found before, e.g. files that could not be read.
        mapper: Works off batches of signatures: `map`, or that of a pool of processes.
        each_line: Verify every line's signature; or that of each ledger's last line alone, which
            covers the lines before it. None: every one, up to `_MOST_SIGNATURES` lines in all.

    Raises:
        InvalidInput: ``audit/trust``: the pinned document cannot be read.
    """
    findings = findings or Findings()
    pinned = None if trust is None else pinned_from(trust)
    ledgers, receipt_texts = _sorted(sources, findings)
    claims = [claim for text in ledgers for claim in claims_in(text.name, text.lines, findings)]
    keys = build_trust(pinned, claims, findings)
    if each_line is None:
        each_line = sum(len(text.lines) for text in ledgers) <= _MOST_SIGNATURES
    records = records_of(ledgers, keys, findings, mapper, each_line=each_line)

    pending, plans = Pending(), PlanReader()
    coordinators, sites = _histories(records, keys, plans, pending, findings)
    files = read_receipts(receipt_texts, records, keys, pending, findings)
    held = [
        head for history in coordinators for head in heads_in_ledger(history.record, keys, pending)
    ]
    pending.settle(findings, mapper)
    held += heads_in_receipts(files, sites)

    lost = {(site.site, site.record.key): list(site.lost) for site in sites}
    check_anchors(records, settled(held, keys), lost, findings)
    for history in coordinators:
        check_places(history, sites, findings)
    check_receipts(files, coordinators, sites, findings)
    coordinator = Coordinator.of(coordinators)
    check_parties(coordinator, sites, keys, findings)
    if records:
        check_missing(coordinator, sites, keys, findings)
        _add_trust_note(keys, findings)
    spending = spending_of(coordinator, sites, findings)
    windows = _windows(sites, findings)
    listed = findings.sorted()
    return AuditReport(
        verdict=verdict_of(listed),
        findings=listed,
        federation=keys.federation,
        federation_key=_fingerprint(keys),
        pinned=keys.pinned,
        each_line=each_line,
        ledgers=tuple(map(_facts, records)),
        receipts=sum(len(file.read) for file in files),
        spending=spending,
        windows=windows,
        assumptions=_assumptions(coordinator, sites),
        readings=readings_of(spending),
    )


def _sorted(
    sources: Iterable[Source], findings: Findings
) -> tuple[list[LedgerText], list[LedgerText]]:
    """Ledgers and receipts; anything else that was named is a finding."""
    ledgers: list[LedgerText] = []
    receipts: list[LedgerText] = []
    for source in sources:
        kind = kind_of(source.data)
        if kind is FileKind.LEDGER:
            ledgers.append(LedgerText.of(source))
        elif kind is FileKind.RECEIPTS:
            receipts.append(LedgerText.of(source))
        elif kind is FileKind.EMPTY:
            findings.add("audit/empty", "the file holds nothing", ledger=source.name)
        else:
            findings.add(
                "audit/not-a-ledger", "holds no ledger and no receipts", ledger=source.name
            )
    if not ledgers:
        findings.add("audit/no-ledgers", "no ledger was given")
    return ledgers, receipts


def _histories(
    records: Sequence[Record],
    trust: Trust,
    plans: PlanReader,
    pending: Pending,
    findings: Findings,
) -> tuple[list[CoordinatorHistory], list[SiteHistory]]:
    coordinators, sites = [], []
    for record in sorted(records, key=lambda r: (r.writer, -len(r.entries))):
        if record.is_coordinator:
            coordinators.append(coordinator_history(record, trust, plans, pending, findings))
        else:
            history = site_history(record, trust, plans, findings)
            history.whole = not (record.broken or history.lost)
            sites.append(history)
    return coordinators, sites


def _windows(sites: Iterable[SiteHistory], findings: Findings) -> dict[str, WindowSpending]:
    by_site: defaultdict[str, list[SiteHistory]] = defaultdict(list)
    for history in sites:
        by_site[history.site].append(history)
    found = {site: check_budgets(own, findings) for site, own in by_site.items()}
    return {site: window for site, window in found.items() if window is not None}


def _add_trust_note(trust: Trust, findings: Findings) -> None:
    if not trust.pinned and trust.federation_key is not None:
        findings.add(
            "audit/keys-not-pinned",
            "no pinned document vouches for the federation key (a bare roster vouches for itself "
            "alone): the keys are those the ledgers agree on. The verdict holds if the federation "
            "key's fingerprint, compared out of band, is "
            f"{readable(fingerprint(trust.federation_key))}",
        )


def _fingerprint(trust: Trust) -> str | None:
    return None if trust.federation_key is None else fingerprint(trust.federation_key)


def _facts(record: Record) -> LedgerFacts:
    entries = record.entries
    return LedgerFacts(
        name=record.name,
        writer=record.writer,
        entries=len(entries),
        first=entries[0].time if entries else "",
        last=entries[-1].time if entries else "",
    )


def _assumptions(coordinator: Coordinator | None, sites: Iterable[SiteHistory]) -> Assumptions:
    """The weakest of the plans'."""
    runs = [run.facts for site in sites for run in site.runs.values()]
    runs += [] if coordinator is None else [run.facts for run in coordinator.runs.values()]
    plans: list[PlanFacts] = [facts for facts in runs if facts is not None]
    privacy = [facts.plan.privacy for facts in plans]
    return Assumptions(
        colluding=max((p.colluding for p in privacy), default=0),
        least_survivors=min((p.min_survivors for p in privacy), default=0),
        sites_per_person=max((p.max_sites_per_person for p in privacy), default=1),
        sampled=any(facts.is_sampled for facts in plans),
    )
