"""What one party's ledger says against what the others' say of the same."""

from collections.abc import Iterable, Sequence

from recommons.common.audit.findings import Findings
from recommons.common.audit.histories import (
    Coordinator,
    CoordinatorAttempt,
    CoordinatorRun,
    SiteAttempt,
    SiteHistory,
    SiteRun,
)
from recommons.common.audit.plans import PlanFacts
from recommons.common.audit.trust import Trust
from recommons.common.heads import COORDINATOR

__all__ = ["check_missing", "check_parties"]


def check_parties(
    coordinator: Coordinator | None,
    sites: Sequence[SiteHistory],
    trust: Trust,
    findings: Findings,
) -> None:
    """Compare runs and attempts, the coordinator's with every site's and the sites' among them.

    Args:
        coordinator: What the coordinator tells, None without a ledger of it.
        sites: What each ledger of a site tells; a site enrolled anew has several.
        trust: Tells under which key the ledger began in which a site's part in a run stands.
        findings: Taken up.
    """
    if coordinator is not None:
        _check_told_once(coordinator, findings)
        for site in sites:
            _Pair(coordinator, site, trust, findings).compare()
        for name in sorted({site.site for site in sites}):
            for run in coordinator.runs.values():
                own = _ledgers_for(name, run.facts, sites, trust)
                if own and all(site.whole for site in own):
                    _told_of_site(name, run, own, findings)
    _compare_sites(sites, findings)


def _check_told_once(coordinator: Coordinator, findings: Findings) -> None:
    """A run stands in one ledger of the coordinator."""
    for history in coordinator.histories:
        for run in history.runs.values():
            if coordinator.runs[run.run] is not run:
                findings.add(
                    "audit/run-repeated",
                    "another ledger of the coordinator tells of this run, too",
                    ledger=run.record.name,
                    line=run.line,
                )


def _site_key(site: str, facts: PlanFacts | None, trust: Trust) -> bytes | None:
    """The key of the ledger of which a site's part in a plan's runs is; None where not known."""
    roster = None if facts is None else trust.rosters.get(facts.plan.roster_hash)
    key = None if roster is None else roster.keys.get(site)
    return None if key is None else trust.ledger_key(site, key)


def _ledgers_for(
    site: str, facts: PlanFacts | None, sites: Iterable[SiteHistory], trust: Trust
) -> list[SiteHistory]:
    """A site's ledgers that began under the key which led to the one on the plan's roster.

    That is one, or none; all of the site's where that key is not known.
    """
    key = _site_key(site, facts, trust)
    return [own for own in sites if own.site == site and key in (None, own.record.key)]


def _coordinator_absent(coordinator: Coordinator, told: SiteRun, trust: Trust) -> bool:
    """Whether the ledger that must tell of a run is one that was not given."""
    if told.roster is None:
        return False
    key = trust.coordinator_keys.get(told.roster.epoch)
    return key is not None and trust.ledger_key(COORDINATOR, key) not in coordinator.keys


class _Pair:
    """The coordinator and one site."""

    def __init__(
        self, coordinator: Coordinator, site: SiteHistory, trust: Trust, findings: Findings
    ) -> None:
        self.coordinator, self.site = coordinator, site
        self.trust, self.findings = trust, findings

    def compare(self) -> None:
        """Every run that the site knows."""
        for run_id, told in self.site.runs.items():
            known = self.coordinator.runs.get(run_id)
            if known is not None:
                self._run(known, told)
            elif _coordinator_absent(self.coordinator, told, self.trust):
                continue  # `check_missing` asks for it
            elif not self.coordinator.broken:
                self._at_site("audit/unrecorded", told.line, "the coordinator tells no such run")

    def _at_site(self, code: str, line: int | None, message: str) -> None:
        self.findings.add(code, message, ledger=self.site.record.name, line=line)

    def _run(self, known: CoordinatorRun, told: SiteRun) -> None:
        plans = known.facts, told.facts
        if plans[0] is not None and plans[1] is not None and plans[0].hash != plans[1].hash:
            message = "the site joined this run with another plan than the coordinator tells"
            self._at_site("audit/plan-differs", told.line, message)
            return
        for place, attempt in told.attempts.items():
            other = known.attempts.get(place)
            if other is not None:
                self._attempt(known, other, attempt)
            elif not known.record.broken:
                message = "the coordinator never opened this attempt"
                self._at_site("audit/unrecorded", attempt.reserved, message)

    def _attempt(self, run: CoordinatorRun, known: CoordinatorAttempt, told: SiteAttempt) -> None:
        whole = not run.record.broken
        over = known.aborted is not None
        if told.committed is not None and over and not known.charged:
            self.findings.add(
                "audit/uncounted-attempt",
                f"{self.site.site} masked a vector for this attempt, but nothing is charged",
                ledger=run.record.name,
                line=known.aborted,
            )
        if told.released is None:
            return
        if known.certified is None:
            if whole:
                message = "the coordinator tells no certificate of this attempt"
                self._at_site("audit/unrecorded", told.released, message)
            return
        if told.masked != known.masked.get(self.site.site):
            self._at_site(
                "audit/vector-differs",
                told.released,
                "the vector the site says it sent is not the one the coordinator says it summed",
            )
        if told.survivors != known.survivors:
            message = "the site certified other survivors than the coordinator tells"
            self._at_site("audit/survivors-differ", told.released, message)
        elif told.certificate != known.certificate:
            message = "the certificate is not the one the coordinator tells"
            self._at_site("audit/survivors-differ", told.released, message)


def _told_of_site(
    site: str, run: CoordinatorRun, ledgers: Iterable[SiteHistory], findings: Findings
) -> None:
    """What the coordinator says of a site, a ledger of the site must say too."""
    told = [own.runs[run.run] for own in ledgers if run.run in own.runs]

    def find(line: int | None, message: str) -> None:
        findings.add("audit/unadmitted", message, ledger=run.record.name, line=line)

    for place, attempt in run.attempts.items():
        own = next((known.attempts[place] for known in told if place in known.attempts), None)
        if site in attempt.advertisers and own is None:
            find(attempt.advertised, f"the ledger of {site} holds no reservation for this attempt")
        if site in attempt.masked and (own is None or own.committed is None):
            find(attempt.certified, f"the ledger of {site} does not say that it masked this vector")


def _compare_sites(sites: Iterable[SiteHistory], findings: Findings) -> None:
    """Sites that revealed in one attempt certified the same survivors by the same certificate."""
    first: dict[tuple[str, str], tuple[str, SiteAttempt]] = {}
    plans: dict[str, tuple[str, str]] = {}
    for site in sites:
        for run in site.runs.values():
            if run.facts is not None:
                other, plan = plans.setdefault(run.run, (site.site, run.facts.hash))
                if plan != run.facts.hash:
                    findings.add(
                        "audit/plan-differs",
                        f"{other} joined this run with another plan",
                        ledger=site.record.name,
                        line=run.line,
                    )
            for attempt in run.attempts.values():
                if attempt.released is None:
                    continue
                known = first.setdefault((run.run, attempt.context), (site.site, attempt))
                told = (known[1].survivors, known[1].certificate)
                if told != (attempt.survivors, attempt.certificate):
                    findings.add(
                        "audit/survivors-differ",
                        f"{known[0]} certified other survivors for this attempt",
                        ledger=site.record.name,
                        line=attempt.released,
                    )


def check_missing(
    coordinator: Coordinator | None,
    sites: Sequence[SiteHistory],
    trust: Trust,
    findings: Findings,
) -> None:
    """Name the parties of the runs whose ledgers were not given."""
    took_part: set[tuple[str, bytes | None]] = set()
    invited: set[str] = set()

    def take(names: Iterable[str], facts: PlanFacts | None) -> None:
        took_part.update((name, _site_key(name, facts, trust)) for name in names)

    runs = [run for site in sites for run in site.runs.values()]
    for run in runs:
        take({s for attempt in run.attempts.values() for s in attempt.survivors}, run.facts)
        invited |= set() if run.facts is None else set(run.facts.plan.cohort)
    for known in () if coordinator is None else coordinator.runs.values():
        _note_unfinished(known, findings)
        invited |= set() if known.facts is None else set(known.facts.plan.cohort)
        for told in known.attempts.values():
            take({*told.advertisers, *told.shared, *told.heads_of, *told.survivors}, known.facts)
    _check_coordinator_given(coordinator, runs, trust, findings)
    given = {(site.site, site.record.key) for site in sites}
    names = {site.site for site in sites}
    lacking = {name for name, key in took_part if (name, key) not in given and key is not None}
    lacking |= {name for name, key in took_part if key is None and name not in names}
    for name in sorted(lacking):
        which = " under the key it had then" if name in names else ""
        findings.add(
            "audit/missing-ledger",
            f"no ledger of {name}{which}, which took part, was given that holds: whether it kept "
            "to its policy and its budget cannot be told",
        )
    for name in sorted(invited - {name for name, _ in took_part} - names):
        findings.add(
            "audit/took-no-part",
            f"{name} was invited; no ledger given says that it sent anything",
        )


def _note_unfinished(run: CoordinatorRun, findings: Findings) -> None:
    if run.ended is None:
        findings.add(
            "audit/unfinished-run",
            f"run {run.run[:8]} has not ended",
            ledger=run.record.name,
            line=run.line,
        )


def _check_coordinator_given(
    coordinator: Coordinator | None, runs: Iterable[SiteRun], trust: Trust, findings: Findings
) -> None:
    if coordinator is None:
        which = ""
    elif any(
        run.run not in coordinator.runs and _coordinator_absent(coordinator, run, trust)
        for run in runs
    ):
        which = " under the key it had for some of the runs"
    else:
        return
    findings.add(
        "audit/missing-ledger",
        f"no ledger of the coordinator{which} was given that holds: what it says it summed cannot "
        "be compared with what the sites say they sent",
    )
