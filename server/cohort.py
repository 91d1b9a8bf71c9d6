"""Who takes part: the plan is announced to every node, and the sites that accept it are known."""

from dataclasses import dataclass

from flwr.serverapp import Grid

from recommons.common.errors import RecommonsError
from recommons.common.federation import open_acceptance, sign_announcement
from recommons.common.wire import Envelope
from recommons.server.folder import CoordinatorFolder
from recommons.server.transport import Answer, Refused, exchange

__all__ = ["Cohort", "join_cohort"]


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """The sites that joined a run.

    Attributes:
        nodes: Flower's node id by site. Routing only: every message proves its sender again.
    """

    nodes: dict[str, int]

    def dismiss(self, grid: Grid, run_id: bytes, deadline_seconds: float) -> None:
        """Tell the sites that the run is over; those who are silent now need not know."""
        exchange(
            grid,
            Envelope(run_id=run_id, exchange="finish"),
            dict.fromkeys(self.nodes.values(), b""),
            deadline_seconds=deadline_seconds,
        )


def join_cohort(grid: Grid, folder: CoordinatorFolder, deadline_seconds: float) -> Cohort:
    """Announce the plan to every connected node.

    Raises:
        RecommonsError: ``run/refused`` or ``run/sites``: fewer sites accepted than a sum needs.
    """
    plan, run_id = folder.plan, folder.run_id
    outcomes = exchange(
        grid,
        Envelope(run_id=run_id, exchange="join"),
        dict.fromkeys(grid.get_node_ids(), sign_announcement(plan, run_id, folder.identity)),
        deadline_seconds=deadline_seconds,
    )
    nodes: dict[str, int] = {}
    for node, outcome in sorted(outcomes.items()):
        if isinstance(outcome, Answer):
            site = open_acceptance(outcome.body, plan, run_id, folder.federation.roster)
            if site is not None:
                nodes.setdefault(site, node)
    if len(nodes) < plan.privacy.min_survivors:
        refusals = sorted({o.code for o in outcomes.values() if isinstance(o, Refused)})
        reason = f"; refused: {', '.join(refusals)}" if refusals else ""
        raise RecommonsError(
            "run/refused" if refusals else "run/sites",
            f"{len(nodes)} of {len(plan.cohort)} sites joined; required: "
            f"{plan.privacy.min_survivors}{reason}",
        )
    return Cohort(nodes=nodes)
