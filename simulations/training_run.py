"""The run of a founded federation: the real apps over an in-process grid."""

from contextlib import closing
from pathlib import Path

from flwr.app import Context, RecordDict

from recommons.client.app import app as client_app
from recommons.server.app import server_app
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.rounds.training import Listener, TrainingResult
from recommons.simulations.inprocess import InProcessGrid, Outage, Witness

__all__ = ["run_in_process"]


def run_in_process(
    folder: Path,
    coordinator: CoordinatorFolder,
    listen: Listener = lambda _event: None,
    *,
    outage: Outage = lambda _node, _message: None,
    witness: Witness = lambda _config, _request, _reply: None,
) -> TrainingResult:
    """Carry out the coordinator's plan with the sites under ``folder/sites``.

    Args:
        folder: As `found_federation` left it.
        coordinator: The coordinator's folder in it.
        listen: Told of every step.
        outage: Which messages are lost; by default none.
        witness: Sees every exchange; by default nobody.

    Raises:
        RecommonsError: The plan could not be carried out; the ledger holds why.
    """
    nodes = [{"site-dir": str(folder / "sites" / site)} for site in coordinator.plan.cohort]
    results: list[TrainingResult] = []
    with closing(InProcessGrid(client_app, nodes, outage=outage, witness=witness)) as grid:
        context = Context(
            run_id=1,
            node_id=1,
            node_config={},
            state=RecordDict(),
            run_config={"coordinator-dir": str(coordinator.folder)},
        )
        server_app(listen, results.append)(grid, context)
    return results[0]
