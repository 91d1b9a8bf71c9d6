"""`recommons bench deployment`: whole secure rounds of real processes, beside stock SuperNodes.

Both sides are the same sites with TLS and node authentication on loopback, the same plan, the same
ServerApp and the same ClientApp. Ours has the gateway in front and the pinned agent at each site;
the other has Flower's SuperLink alone and its SuperNodes, on which the package is installed. In
each round a site receives a public state and sends a masked vector of the size asked for.
"""

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.dataset import Dataset
from recommons.common.data.interactions import Interactions
from recommons.common.errors import RecommonsError
from recommons.common.models.als import AlsModel, AlsSettings
from recommons.server.operating.attendance import HISTORY, is_attended
from recommons.server.operating.control import Control
from recommons.server.operating.starting import start_run
from recommons.server.planning.wish import Wish
from recommons.server.records.folder import CoordinatorFolder
from recommons.simulations.benchmarks.results_folder import writable_folder
from recommons.simulations.founding import found_federation
from recommons.simulations.loopback import Loopback, wait_until
from recommons.simulations.stock import StockNodes

__all__ = ["Case", "SideFigures", "measure_deployment", "measure_side"]

STEPS = ("advertise", "shares", "masked", "sign", "reveal")
_DIM = 32
_BYTES = 8
_USERS = 40
_BASKET = 40
_SECONDS_A_ROUND = 240.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is carried out.

    Attributes:
        sites: Number of sites.
        megabytes: Each way and site, in millions of bytes.
        rounds: Rounds of ours that are measured.
        stock_rounds: Rounds over stock SuperNodes; 0 leaves them out.
    """

    sites: int = 5
    megabytes: float = 8.0
    rounds: int = 5
    stock_rounds: int = 1

    @property
    def items(self) -> int:
        """Of a catalogue whose factors have the size."""
        return max(1, round(self.megabytes * 1e6 / (_BYTES * _DIM)))


@dataclass(frozen=True, kw_only=True)
class SideFigures:
    """One side.

    Attributes:
        side: ``recommons`` or ``stock``.
        rounds: Seconds of every whole secure round, from its first message to the opened sum but
            for those of `model`.
        steps: Median seconds by step.
        model: Median seconds in which all waited for the coordinator to make the round's public
            state, beyond what the first exchange hides: the model's, not the round's.
        bytes_up: Of one site's largest round, masked vector included.
        bytes_down: Likewise.
    """

    side: str
    rounds: tuple[float, ...]
    steps: dict[str, float]
    model: float
    bytes_up: int
    bytes_down: int

    @property
    def median(self) -> float:
        """Of `rounds`."""
        return statistics.median(self.rounds)


def measure_deployment(case: Case, *, output: Path | None, as_json: bool) -> None:
    """Run the command.

    Raises:
        RecommonsError: ``bench/run``: a side did not come to its end.
    """
    if output is not None:
        writable_folder(output)
    progress = Console(stderr=True)
    sides: list[SideFigures] = []
    for side, rounds in (("recommons", case.rounds), ("stock", case.stock_rounds)):
        if rounds:
            progress.print(f"{side}: {rounds} rounds and one to warm up", highlight=False)
            sides.append(measure_side(side, case, rounds))
            progress.print(f"{side}: {sides[-1].median:.2f} s a round", highlight=False)
    document = {"case": asdict(case), "sides": [_document(side) for side in sides]}
    if output is not None:
        (output / "deployment.json").write_text(json.dumps(document, indent=2) + "\n")
    if as_json:
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        Console().print(_table(case, sides))


def measure_side(side: str, case: Case, rounds: int) -> SideFigures:
    """Deploy one side, carry out a run and read its clock.

    Raises:
        RecommonsError: ``bench/run``.
    """
    with tempfile.TemporaryDirectory(prefix="recommons-") as scratch:
        folder = Path(scratch)
        run = _found(folder, case, rounds)
        loopback = Loopback.enrol(folder / "home", run, folder / "sites")
        kept = CoordinatorFolder.create(
            loopback.home.folder / "runs" / "001",
            run.identity,
            run.federation,
            run.plan,
            (run.folder / "catalogue.json").read_bytes(),
            records=loopback.home.folder,
        )
        deployed = loopback if side == "recommons" else StockNodes(loopback)
        with deployed.running(), Control(loopback.home) as control:
            flower = start_run(control, kept.folder)
            seconds = _SECONDS_A_ROUND * (rounds + 1)
            wait_until(lambda: control.run_state(flower).over, seconds, pause=1.0)
            wait_until(lambda: not is_attended(kept.folder))
        events = _events(kept.folder / HISTORY)
    return _figures(side, events)


def _found(folder: Path, case: Case, rounds: int) -> CoordinatorFolder:
    """A federation whose model has factors of the size asked for, and a plan of so many rounds."""
    dataset, own = _dataset(case)
    declared = dict.fromkeys(own, _USERS)
    wish = Wish(
        epsilon=8.0,
        delta=1e-6,
        colluding=1,
        min_survivors=case.sites,
        ring_bits=8 * _BYTES,
    )
    shares = (1.0 / rounds,) * rounds
    options = AlsSettings(dim=_DIM, round_shares=shares)
    model = AlsModel(catalogue=dataset.catalogue, options=options)
    return found_federation(folder, dataset, own, declared, model, wish).coordinator


def _dataset(case: Case) -> tuple[Dataset, dict[str, Any]]:
    """Made-up users; what they chose does not matter here."""
    items, users = case.items, _USERS * case.sites
    rng, basket = np.random.default_rng(0), min(_BASKET, case.items)
    rows = [np.sort(rng.choice(items, basket, replace=False)) for _ in range(users)]
    names = tuple(f"item-{number:08d}" for number in range(items))
    dataset = Dataset(
        name="made up",
        catalogue=Catalogue(item_ids=names, titles=("",) * items),
        user_ids=pl.Series("user_id", [f"u{number:06d}" for number in range(users)]),
        interactions=Interactions(
            indptr=np.arange(users + 1, dtype=np.int64) * basket,
            indices=np.concatenate(rows).astype(np.int32),
            n_items=items,
        ),
    )
    sites = [f"site-{number:02d}" for number in range(1, case.sites + 1)]
    return dataset, {site: np.arange(n * _USERS, (n + 1) * _USERS) for n, site in enumerate(sites)}


def _events(history: Path) -> list[dict[str, Any]]:
    if not history.exists():
        raise RecommonsError("bench/run", "the run did not begin")
    return [json.loads(line) for line in history.read_bytes().splitlines()]


def _figures(side: str, events: Iterable[dict[str, Any]]) -> SideFigures:
    """Read the clock; the first round, of counts, is small and is left out.

    Raises:
        RecommonsError: ``bench/run``: no round was carried out at its first attempt.
    """
    begun: dict[int, dict[str, dict[str, Any]]] = {}
    for event in events:
        if event["attempt"] > 1:
            raise RecommonsError("bench/run", f"round {event['round']} was not done at once")
        begun.setdefault(event["round"], {})[event["step"]] = event
    ends = ("keys", *STEPS[2:], "release")
    measured = [steps for number, steps in sorted(begun.items()) if number > 1]
    if not measured or any("release" not in steps for steps in measured):
        raise RecommonsError("bench/run", "a round was not finished")
    split = {
        step: statistics.median(s[end]["elapsed"] - s[step]["elapsed"] for s in measured)
        for step, end in zip(STEPS, ends, strict=True)
    }
    waits = [s["shares"]["elapsed"] - s["keys"]["elapsed"] for s in measured]
    return SideFigures(
        side=side,
        rounds=tuple(
            s["release"]["elapsed"] - s["advertise"]["elapsed"] - waited
            for s, waited in zip(measured, waits, strict=True)
        ),
        steps=split,
        model=statistics.median(waits),
        bytes_up=_a_site(measured, lambda event: event["bytes_up"]),
        bytes_down=_a_site(measured, lambda event: event["bytes_down"]),
    )


def _a_site(rounds: list[dict[str, Any]], of: Callable[[dict[str, Any]], int]) -> int:
    sites = rounds[0]["advertise"]["sites_total"]
    moved = [of(steps["release"]) - of(steps["advertise"]) for steps in rounds]
    return max(moved) // int(sites)


def _document(side: SideFigures) -> dict[str, Any]:
    return asdict(side) | {"median": side.median}


def _table(case: Case, sides: list[SideFigures]) -> Table:
    table = Table(
        title=f"{case.sites} sites, {case.megabytes:g} MB each way, TLS and node authentication",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("seconds")
    for side in sides:
        table.add_column(side.side, justify="right")
    table.add_row("whole secure round, median", *(f"{side.median:.2f}" for side in sides))
    if len(sides) > 1:
        ratios = (f"{side.median / sides[0].median:.1f}" for side in sides)
        table.add_row("times as long", *ratios)
    table.add_row("fastest", *(f"{min(side.rounds):.2f}" for side in sides))
    table.add_row("slowest", *(f"{max(side.rounds):.2f}" for side in sides), end_section=True)
    for step in STEPS:
        table.add_row(f"  {step}", *(f"{side.steps[step]:.2f}" for side in sides))
    waited = (f"{side.model:.2f}" for side in sides)
    table.add_row("beside it: waiting for the model", *waited, style="dim")
    table.add_row("MB from a site", *(f"{side.bytes_up / 1e6:.1f}" for side in sides), style="dim")
    table.add_row("MB to a site", *(f"{side.bytes_down / 1e6:.1f}" for side in sides), style="dim")
    table.add_row("rounds measured", *(str(len(side.rounds)) for side in sides), style="dim")
    return table
