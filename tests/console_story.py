"""A federation with a history to look at: dropouts, an abort, a refusal, an open round."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Message
from flwr.common.serde import message_to_proto

from recommons.client.app import app
from recommons.client.records.outbox import note_outbound
from recommons.client.sources import load_dataset
from recommons.common.errors import RecommonsError
from recommons.common.models.interface import PublicFigures
from recommons.common.models.registry import build_model
from recommons.server.operating.attendance import ProgressFiles
from recommons.server.planning.wish import Wish
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.rounds.progress import RoundProgress
from recommons.server.rounds.training import Watch, train
from recommons.server.transport.line import Line
from recommons.simulations.founding import found_federation
from recommons.simulations.inprocess import InProcessGrid

SITES = ("berlin", "cork", "lyon", "oslo", "turin")


class Killed(BaseException):
    """The coordinator's process dies."""


@dataclass(frozen=True)
class Story:
    """Where everything lies.

    Attributes:
        coordinator: The coordinator's folder.
        sites: Folder of all sites.
    """

    coordinator: Path
    sites: Path

    @classmethod
    def found(cls, folder: Path, data: Path) -> "Story":
        """Five sites, ε = 8, of which four must survive; two spare attempts."""
        wish = Wish(epsilon=8.0, delta=1e-5, colluding=1, min_survivors=4, spare_attempts=2)
        dataset = load_dataset(data)
        declared = dict.fromkeys(SITES, 20)
        figures = PublicFigures(
            declared_users=declared, n_items=len(dataset.catalogue), epsilon=8.0
        )
        model = build_model("als", dataset.catalogue, figures, dim=3, seed=0)
        found_federation(
            folder,
            dataset,
            {site: np.arange(k, 90, 5) for k, site in enumerate(SITES)},
            declared,
            model,
            wish,
        )
        return cls(coordinator=folder / "coordinator", sites=folder / "sites")

    def run(self, *, until: tuple[int, str] | None = None) -> None:
        """Carry out the plan; `oslo` is lost in round 1, two sites in the first try at round 2.

        Args:
            until: (round from 1, step) at which the coordinator dies; by default it goes to the
                end.
        """
        files = ProgressFiles(self.coordinator)
        now = [0, 0]

        def listen(progress: RoundProgress) -> None:
            files.listen(progress)
            now[:] = [progress.round, progress.attempt]
            if (progress.round, progress.step) == until:
                raise Killed

        def outage(node: int, message: Message) -> str | None:
            lost = {(1, 1): {"oslo"}, (2, 1): {"cork", "turin"}}.get((now[0], now[1]), set())
            masked = message.metadata.message_type.endswith("masked")
            return "after" if masked and SITES[node - 101] in lost else None

        def witness(config: object, request: Message, reply: Message) -> None:
            assert isinstance(config, dict)
            note_outbound(
                Path(config["site-dir"]),
                kind=request.metadata.message_type,
                size=len(message_to_proto(reply).SerializeToString()),
                sha256=reply.object_id,
                code=None,
                now=1_800_000_000 + now[0],
            )

        nodes = [{"site-dir": str(self.sites / site)} for site in SITES]
        with closing(InProcessGrid(app, nodes, outage=outage, witness=witness)) as grid:
            train(Line.of(grid), CoordinatorFolder.open(self.coordinator), Watch(listen=listen))

    def run_until(self, round_: int, step: str) -> None:
        """As `run`, and the coordinator dies at this step."""
        try:
            self.run(until=(round_, step))
        except Killed:
            return
        raise AssertionError("the run went to its end")

    def refused_run(self) -> None:
        """The same plan again: every site's budget is for one run."""
        opened = CoordinatorFolder.open(self.coordinator)
        catalogue = (self.coordinator / "catalogue.json").read_bytes()
        CoordinatorFolder.create(
            self.coordinator, opened.identity, opened.federation, opened.plan, catalogue
        )
        with pytest.raises(RecommonsError) as error:
            self.run()
        assert error.value.code == "run/refused"


def told(folder: Path, data: Path) -> tuple[Story, Story]:
    """(one whose last round goes on, one that is done and whose second run was refused)."""
    live = Story.found(folder / "live", data)
    live.run_until(3, "masked")
    done = Story.found(folder / "done", data)
    done.run()
    done.refused_run()
    return live, done
