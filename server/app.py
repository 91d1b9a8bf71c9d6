"""The coordinator's Flower ServerApp; installed here, never shipped to anyone."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from recommons.common.bundle import COORDINATOR_SETTING
from recommons.server.operating.attendance import ProgressFiles, RunOptions, attended
from recommons.server.operating.stopping import stop_asked
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.records.releases import RELEASES, ReleaseShelf
from recommons.server.rounds.guarantee import metadata_of
from recommons.server.rounds.progress import RoundProgress
from recommons.server.rounds.training import TrainingResult, Watch, train
from recommons.server.transport.line import Line
from recommons.server.transport.wakeups import Wakeups

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
        folder = CoordinatorFolder.open(_named_folder(context))
        with attended(folder.folder, context.run_id, records=folder.records):
            train(Line.of(grid), folder, Watch(listen=listen, keep=keep))

    return server


app = ServerApp()


@app.main()
def carry_out(grid: Grid, context: Context) -> None:
    """Carry out a run of a coordinator's home: with nudges, progress on the disk and a release."""
    folder = CoordinatorFolder.open(_named_folder(context))
    shelf = ReleaseShelf(folder.records / RELEASES)

    def keep(result: TrainingResult) -> None:
        events = [event for released in result.events for event in released]
        metadata = metadata_of(folder, events)
        epsilon = metadata.privacy["epsilon"]
        shelf.publish(folder, result.release, metadata, epsilon=epsilon)

    def hurried() -> bool:
        asked = stop_asked(folder.folder)
        return asked is not None and asked.now

    with (
        attended(folder.folder, context.run_id, records=folder.records),
        closing(Wakeups.of_app()) as wakeups,
    ):
        train(
            Line.of(grid, wakeups, hurried),
            folder,
            Watch(
                listen=ProgressFiles(folder.folder).listen,
                keep=keep,
                stop=lambda: stop_asked(folder.folder),
            ),
            deadline_seconds=RunOptions.read(folder.folder).deadline_seconds,
        )


def _named_folder(context: Context) -> Path:
    return Path(str(context.run_config[COORDINATOR_SETTING]))
