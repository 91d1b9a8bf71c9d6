"""A federation of four sites with real runs over the in-process grid, as small as they come."""

import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from math import inf
from pathlib import Path

import numpy as np

from recommons.client.app import app
from recommons.client.sources import load_dataset
from recommons.common.heads import Receipt, SignedHead
from recommons.common.models.interface import PublicFigures
from recommons.common.models.registry import build_model
from recommons.common.privacy.ledger import Entry, Head, split_lines, verify_chain
from recommons.server.operating.stopping import StopRequest
from recommons.server.planning.wish import Wish
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.rounds.progress import RoundProgress
from recommons.server.rounds.training import TrainingResult, Watch, train
from recommons.server.transport.line import Line
from recommons.simulations.founding import found_federation
from recommons.simulations.inprocess import InProcessGrid, Outage

SITES = ("site-0", "site-1", "site-2", "site-3")
COORDINATOR = "coordinator"
WRITERS = (*SITES, COORDINATOR)

Listener = Callable[[RoundProgress], None]


@dataclass(frozen=True)
class Federation:
    """Its folders; every run goes on in the same ledgers."""

    folder: Path

    @classmethod
    def found(cls, folder: Path, data: Path, *, rounds: int = 2) -> "Federation":
        """22 users a site; no noise, so that budgets last; three of four sites must survive."""
        wish = Wish(epsilon=inf, delta=1e-5, colluding=0, min_survivors=3, spare_attempts=8)
        dataset = load_dataset(data)
        declared = dict.fromkeys(SITES, 10)
        figures = PublicFigures(
            declared_users=declared, n_items=len(dataset.catalogue), epsilon=inf
        )
        model = build_model("als", dataset.catalogue, figures, dim=2, seed=0)
        if rounds == 1:
            model = build_model("ease", dataset.catalogue, figures)
        found_federation(
            folder,
            dataset,
            {site: np.arange(k, 88, 4) for k, site in enumerate(SITES)},
            declared,
            model,
            wish,
        )
        return cls(folder)

    def copy(self, folder: Path) -> "Federation":
        shutil.copytree(self.folder, folder)
        return Federation(folder)

    @property
    def coordinator(self) -> CoordinatorFolder:
        return CoordinatorFolder.open(self.folder / "coordinator")

    def of(self, writer: str) -> Path:
        """The writer's folder."""
        return self.folder / (writer if writer == COORDINATOR else f"sites/{writer}")

    def key(self, writer: str) -> bytes:
        federation = self.coordinator.federation
        return (
            federation.coordinator_key if writer == COORDINATOR else federation.roster.keys[writer]
        )

    def run(
        self,
        listen: Listener = lambda _progress: None,
        outage: Outage = lambda _node, _message: None,
        stop: Callable[[], StopRequest | None] = lambda: None,
        keep: Callable[[TrainingResult], None] = lambda _result: None,
    ) -> TrainingResult:
        """Carry out the plan, or go on with it."""
        nodes = [{"site-dir": str(self.of(site))} for site in SITES]

        def hurried() -> bool:
            asked = stop()
            return asked is not None and asked.now

        with closing(InProcessGrid(app, nodes, outage=outage)) as grid:
            line = Line.of(grid, hurried=hurried)
            return train(line, self.coordinator, Watch(listen=listen, stop=stop, keep=keep))

    def new_run(self) -> None:
        """The same plan again, as another run of the same coordinator."""
        now = self.coordinator
        catalogue = (now.folder / "catalogue.json").read_bytes()
        CoordinatorFolder.create(now.folder, now.identity, now.federation, now.plan, catalogue)

    def lines(self, writer: str) -> list[bytes]:
        return split_lines((self.of(writer) / "ledger.jsonl").read_bytes())

    def entries(self, writer: str, heads: Iterable[Head] = ()) -> tuple[Entry, ...]:
        return verify_chain(self.lines(writer), self.key(writer), writer=writer, heads=heads)

    def kinds(self, writer: str) -> list[str]:
        return [json.loads(line)["kind"] for line in self.lines(writer)]

    def receipts(self, holder: str) -> list[Receipt]:
        """What is in a receipts file, every signature checked."""
        path, federation = self.of(holder) / "receipts.jsonl", self.coordinator.federation
        found = [Receipt.from_bytes(line) for line in path.read_bytes().splitlines()]
        for receipt in found:
            receipt.check(
                federation=federation.roster.federation,
                keys=federation.roster.keys,
                coordinator_key=federation.coordinator_key,
            )
        return found

    def heads_held_by(self, holder: str) -> list[Head]:
        """Every head, of whomever, that a holder's own files hold; of a coordinator, the sites'.

        A coordinator's own head in its own receipts speaks for nobody but itself.
        """
        signed: list[SignedHead] = []
        for receipt in self.receipts(holder):
            signed += receipt.heads
            signed += [] if holder == COORDINATOR else [receipt.coordinator]
        return [head.head for head in signed]
