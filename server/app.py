"""The coordinator's Flower ServerApp; installed here, never shipped to anyone."""

from collections.abc import Callable
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from recommons.server.folder import CoordinatorFolder
from recommons.server.progress import RoundProgress
from recommons.server.training import TrainingResult, train

__all__ = ["app", "server_app"]


def server_app(
    listen: Callable[[RoundProgress], None],
    keep: Callable[[TrainingResult], None],
) -> ServerApp:
    """A ServerApp that carries out the plan in the folder ``coordinator-dir`` names.

    Args:
        listen: Told of every step.
        keep: Given the result.
    """
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        folder = CoordinatorFolder.open(Path(str(context.run_config["coordinator-dir"])))
        keep(train(grid, folder, listen))

    return server


app = server_app(lambda _progress: None, lambda _result: None)
