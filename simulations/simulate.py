"""One simulation from data to report: read, found, train, evaluate, write."""

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from recommons.client.serving.release_files import write_release
from recommons.client.sources import ColumnNames, load_dataset
from recommons.common.data.dataset import Dataset, split_dataset
from recommons.common.data.splits import Split
from recommons.common.errors import InvalidInput
from recommons.common.models.interface import FederatedModel, PublicFigures
from recommons.common.models.registry import build_model
from recommons.common.privacy.calibration import default_delta
from recommons.server.operating.display import Display
from recommons.server.planning.wish import Wish, specs_for
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.rounds.training import TrainingResult
from recommons.simulations.evaluation import Evaluated, evaluate_sites
from recommons.simulations.founding import found_federation
from recommons.simulations.online_retail import load_online_retail
from recommons.simulations.outages import random_outages
from recommons.simulations.populations import Population, declared_users, partition
from recommons.simulations.report.gather import RunFigures, gather_report, release_metadata
from recommons.simulations.report.page import render_page
from recommons.simulations.report.schema import Report, report_json
from recommons.simulations.settings import SimulationSettings
from recommons.simulations.training_run import run_in_process

__all__ = ["Outcome", "Scene", "found", "open_output", "simulate"]

_SETTINGS = "simulation.json"
_COMMAND = "command.txt"


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """The data and who holds them.

    Attributes:
        dataset: All users' events and the catalogue.
        split: Who trains and who is tested.
        population: Which user is at which site.
        declared: Rounded number of users by site.
    """

    dataset: Dataset
    split: Split
    population: Population
    declared: Mapping[str, int]

    @classmethod
    def set_up(cls, settings: SimulationSettings) -> Self:
        """Read the data, split them and spread them over sites, all by the settings' seed.

        Raises:
            DataError: The data cannot be read.
        """
        if settings.data is None:
            dataset = load_online_retail()
        else:
            dataset = load_dataset(settings.data, names=ColumnNames(**settings.columns))
        rng = np.random.default_rng(settings.seed)
        split = split_dataset(dataset, rng)
        population = partition(
            settings.partition, dataset.n_users, settings.sites, rng, countries=dataset.countries
        )
        declared = {site: declared_users(n) for site, n in population.sizes().items()}
        return cls(dataset=dataset, split=split, population=population, declared=declared)

    def training_users(self) -> dict[str, npt.NDArray[np.int64]]:
        """Positions of each site's training users."""
        return {
            site: np.intersect1d(self.population.users_of(site), self.split.train_users)
            for site in self.population.site_names
        }

    def wish(self, settings: SimulationSettings) -> Wish:
        """The guarantee that the settings ask for."""
        return Wish(
            epsilon=settings.epsilon,
            delta=settings.delta or default_delta(sum(self.declared.values())),
            colluding=settings.colluding,
            min_survivors=settings.survivors,
            spare_attempts=settings.spare,
            max_sites_per_person=settings.max_sites_per_person,
            ring_bits=settings.ring_bits,
        )

    def model(self, settings: SimulationSettings) -> FederatedModel:
        """The model with its defaults for these public figures."""
        figures = PublicFigures(
            declared_users=self.declared,
            n_items=len(self.dataset.catalogue),
            epsilon=settings.epsilon,
        )
        return build_model(
            settings.model,
            self.dataset.catalogue,
            figures,
            dim=settings.dim,
            seed=settings.seed,
            settings=settings.settings,
        )


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a finished simulation tells its caller.

    Attributes:
        report: The report.
        example_items: Ids of some much-bought items, by the noised counts, to try the model with.
    """

    report: Report
    example_items: tuple[str, ...]


@dataclass
class Stages:
    """Seconds by stage, told to the display as they begin."""

    display: Display
    seconds: dict[str, float] = field(default_factory=dict)
    _began: float = field(default_factory=time.perf_counter)
    _name: str = ""

    def begin(self, name: str) -> None:
        """End the stage that runs and begin the next."""
        self.end()
        self._name = name
        self.display.stage(name)

    def end(self) -> None:
        """End the stage that runs."""
        now = time.perf_counter()
        if self._name:
            self.seconds[self._name] = now - self._began
        self._began, self._name = now, ""


def open_output(folder: Path, settings: SimulationSettings | None) -> SimulationSettings:
    """Check that a new run may use the folder, or take up the run in it.

    Args:
        folder: The output folder.
        settings: Of the new run, or None to resume.

    Returns:
        The settings of the run.

    Raises:
        InvalidInput: The folder is not empty, or holds no unfinished run to resume.
    """
    path = folder / _SETTINGS
    if settings is not None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InvalidInput("run/output", f"--output is {folder}; required: an empty folder")
        return settings
    if (folder / "report.json").exists():
        raise InvalidInput("run/resume", f"the run in {folder} is finished")
    if not path.exists():
        raise InvalidInput("run/resume", f"{folder} holds no run of `recommons simulate`")
    return SimulationSettings.load(None, json.loads(path.read_text()))


def simulate(
    settings: SimulationSettings, folder: Path, display: Display, *, command: str
) -> Outcome:
    """Run the simulation, or the rest of it, and leave its results in the folder.

    Args:
        settings: What `open_output` returned.
        folder: The output folder.
        display: Told of stages and rounds.
        command: The command line, for the report: where the run was founded by an earlier one, the
            report has that, which repeats all of it.

    Returns:
        The report, which is also in ``report.json`` and ``report.html``, and items to try.

    Raises:
        RecommonsError: The run could not be carried out; the message says why.
    """
    start = time.perf_counter()
    stages = Stages(display)
    stages.begin("reading the data")
    scene = Scene.set_up(settings)
    stages.begin("founding the federation")
    coordinator = _coordinator(settings, scene, folder, command)
    stages.begin("training")
    training = _train(settings, folder, coordinator, display)
    stages.begin("evaluating four ways to recommend")
    evaluated = evaluate_sites(
        training.release, scene.dataset, scene.split, scene.population, seed=settings.seed
    )
    stages.begin("writing the report")
    figures = RunFigures(
        settings=settings,
        dataset=scene.dataset,
        declared=scene.declared,
        plan=coordinator.plan,
        training=training,
        evaluated=evaluated,
        version=version("recommons"),
        command=_founding_command(folder) or command,
    )
    write_release(folder / "model", training.release, release_metadata(figures))
    _leave_serving(folder, evaluated)
    stages.end()
    report = gather_report(figures, stages.seconds, time.perf_counter() - start)
    (folder / "report.html").write_text(
        render_page(report, example_items=",".join(evaluated.example_items)), encoding="utf-8"
    )
    (folder / "report.json").write_text(report_json(report), encoding="utf-8")
    return Outcome(report=report, example_items=evaluated.example_items)


def found(settings: SimulationSettings, folder: Path, *, command: str = "") -> CoordinatorFolder:
    """Found the federation and its plan, for somebody else's engine to carry out.

    Args:
        settings: What `open_output` returned.
        folder: The output folder.
        command: The command line that founds it, for the report.

    Raises:
        RecommonsError: The data cannot be read, or the plan does not hold.
    """
    return _coordinator(settings, Scene.set_up(settings), folder, command)


def _founding_command(folder: Path) -> str:
    """The command line that founded the run; empty where nobody noted it."""
    try:
        return (folder / _COMMAND).read_text("utf-8").strip()
    except FileNotFoundError:
        return ""


def _coordinator(
    settings: SimulationSettings, scene: Scene, folder: Path, command: str = ""
) -> CoordinatorFolder:
    """The coordinator of the run: founded now, or before the process was stopped."""
    path = folder / "coordinator"
    if (path / "run.json").exists():
        return CoordinatorFolder.open(path)
    # A founding that was cut short has sent nothing: it is done again from the start.
    for half in (path, folder / "sites"):
        if half.exists():
            shutil.rmtree(half)
    model, wish = scene.model(settings), scene.wish(settings)
    specs = specs_for(model, scene.declared, wish)  # before anything is written
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _founding_command(folder):  # it is that of the first founding, whatever became of it
        (folder / _COMMAND).write_text(command + "\n", "utf-8")
    (folder / _SETTINGS).write_text(settings.model_dump_json(indent=2) + "\n")
    found = found_federation(
        folder,
        scene.dataset,
        scene.training_users(),
        scene.declared,
        model,
        wish,
        specs,
    )
    return found.coordinator


def _train(
    settings: SimulationSettings, folder: Path, coordinator: CoordinatorFolder, display: Display
) -> TrainingResult:
    outage = random_outages(settings.dropout, settings.seed)
    return run_in_process(folder, coordinator, display.round, outage=outage)


def _leave_serving(folder: Path, evaluated: Evaluated) -> None:
    """Keep at each site what it chose for its own scores; `recommons recommend --site` reads it."""
    for site, choice in evaluated.choices.items():
        path = folder / "sites" / site / "serving.json"
        path.write_text(json.dumps(asdict(choice), indent=2) + "\n")
