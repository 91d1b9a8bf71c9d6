"""Who takes part: the plan is announced to every node, and the sites that accept it are known.

Where only a run's end is left to tell, nothing is announced: a site that has never joined would
charge its users for a run that is over.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from recommons.common.errors import LedgerError, RecommonsError
from recommons.common.federation import open_acceptance, sign_announcement
from recommons.common.heads import SignedHead, heads_to_bytes
from recommons.common.wire import Envelope, Exchange, Outcome, pack
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.records.journal import RunJournal
from recommons.server.transport.line import Answer, Line, Refused

__all__ = ["Cohort", "Dismissal", "dismiss_everybody", "join_cohort"]

_FOR_NOW = frozenset({"site/disk", "site/locked", "site/internal"})
"""Refusals that may be over soon: there is room, or the database is free."""

_NAMED = 10
"""Sites that did not join which a message names."""


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """The sites that joined a run.

    Attributes:
        nodes: Flower's node id by site. Routing only: every message proves its sender again.
    """

    nodes: dict[str, int]

    def dismiss(
        self, line: Line, journal: RunJournal, outcome: Outcome, deadline_seconds: float
    ) -> list[SignedHead]:
        """Tell the sites that the run is over; those who are silent now need not know.

        Returns:
            The last heads of those that answered.
        """
        answers = self._tell(line, journal, "finish", outcome.to_bytes(), deadline_seconds)
        heads: list[SignedHead] = []
        for site, body in answers.items():
            # A head that is not the site's, or earlier than one it signed, is worth nothing.
            with suppress(LedgerError):
                heads.append(journal.checked_head(site, body))
        return heads

    def anchor(self, line: Line, journal: RunJournal, deadline_seconds: float) -> None:
        """Leave the receipt with the run's last heads at every site that is there."""
        receipt = journal.anchor()
        if receipt is not None:
            self._tell(line, journal, "anchor", receipt.to_bytes(), deadline_seconds)

    def _tell(
        self,
        line: Line,
        journal: RunJournal,
        step: Exchange,
        body: bytes,
        deadline_seconds: float,
    ) -> dict[str, bytes]:
        sites = {node: site for site, node in self.nodes.items()}
        outcomes = line.exchange(
            Envelope(run_id=journal.folder.run_id, exchange=step),
            dict.fromkeys(sites, body),
            deadline_seconds=deadline_seconds,
        )
        return {
            sites[node]: outcome.body
            for node, outcome in sorted(outcomes.items())
            if isinstance(outcome, Answer)
        }


@dataclass(frozen=True, kw_only=True)
class Dismissal:
    """What became of the word that a run is over, told to everybody.

    Attributes:
        cohort: The sites that had joined and now know.
        heads: Their last heads.
        refused: Flower's ids of the nodes whose answer was none, and would be none again.
    """

    cohort: Cohort
    heads: list[SignedHead]
    refused: frozenset[int]


def dismiss_everybody(
    line: Line, journal: RunJournal, outcome: Outcome, deadline_seconds: float
) -> Dismissal:
    """Tell whoever is there that a run is over, where nobody was asked to join it this time.

    Which site is at which node its answer tells, by its signature; one that never joined refuses.
    """
    outcomes = line.exchange(
        Envelope(run_id=journal.folder.run_id, exchange="finish"),
        dict.fromkeys(line.nodes(), outcome.to_bytes()),
        deadline_seconds=deadline_seconds,
    )
    nodes: dict[str, int] = {}
    heads: dict[str, SignedHead] = {}
    refused: set[int] = set()
    for node, answer in sorted(outcomes.items()):
        if isinstance(answer, Refused) and answer.code not in _FOR_NOW:
            refused.add(node)
        if not isinstance(answer, Answer):
            continue
        try:
            site = SignedHead.from_bytes(answer.body).head.writer
            head = journal.checked_head(site, answer.body)
        except LedgerError:
            refused.add(node)
            continue
        if site in journal.folder.plan.cohort and site not in nodes:
            nodes[site], heads[site] = node, head
    return Dismissal(
        cohort=Cohort(nodes=nodes), heads=list(heads.values()), refused=frozenset(refused)
    )


def join_cohort(
    line: Line,
    folder: CoordinatorFolder,
    deadline_seconds: float,
    *,
    shown: Iterable[SignedHead] = (),
) -> Cohort:
    """Announce the plan to every connected node.

    Args:
        line: The line to the sites.
        folder: The run.
        deadline_seconds: How long to wait for the last site.
        shown: The heads of sites that the coordinator holds. Which site is at which node is not
            known yet, so that each is shown all of them and looks for its own.

    Raises:
        RecommonsError: ``run/refused`` or ``run/sites``: fewer sites accepted than a sum needs.
    """
    plan, run_id = folder.plan, folder.run_id
    least = plan.privacy.min_survivors
    body = pack(sign_announcement(plan, run_id, folder.identity), heads_to_bytes(shown))
    outcomes = line.exchange(
        Envelope(run_id=run_id, exchange="join"),
        dict.fromkeys(line.nodes(), body),
        deadline_seconds=deadline_seconds,
    )
    nodes: dict[str, int] = {}
    for node, outcome in sorted(outcomes.items()):
        if isinstance(outcome, Answer):
            site = open_acceptance(outcome.body, plan, run_id, folder.federation.roster)
            if site is not None:
                nodes.setdefault(site, node)
    if len(nodes) < least:
        refusals = sorted({o.code for o in outcomes.values() if isinstance(o, Refused)})
        reason = f"; refused: {', '.join(refusals)}" if refusals else ""
        raise RecommonsError(
            "run/refused" if refusals else "run/sites",
            f"{len(nodes)} of {len(plan.cohort)} sites joined; required: {least}; "
            f"not among them: {_some(site for site in plan.cohort if site not in nodes)}{reason}",
        )
    return Cohort(nodes=nodes)


def _some(sites: Iterable[str]) -> str:
    """Names of sites, the first of many."""
    names = sorted(sites)
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + rest
