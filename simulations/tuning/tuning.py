"""Choose a model's rate, number of rounds and clip for a budget, without anybody's data.

Each candidate is trained centrally with the noise the plan would have (`central`), on public
data that the operator names or on made-up users over the plan's catalogue, and judged by what it
finds of items hidden from users who did not train. What trains is the plan's model with the
settings that its file gives, under the noise of its rounds and spare attempts; where fewer users
train than the plan declares, the noise is narrower by as much, so that signal to noise is that of
the declared federation. One setting is varied at a time, from the plan's own. What comes out is a
plan's setting like any other: it depends on public input alone, and costs no privacy.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from recommons.client.sources import load_dataset
from recommons.common.data.dataset import split_dataset
from recommons.common.data.interactions import Interactions
from recommons.common.data.splits import apply_roles, draw_roles
from recommons.common.errors import InvalidInput
from recommons.common.metrics import evaluate
from recommons.common.models.interface import FederatedModel, PublicFigures
from recommons.common.models.registry import build_model
from recommons.common.models.scoring import GlobalModel
from recommons.common.toml_file import read_settings
from recommons.server.planning.plan_file import PlanFile, PlannedRun, read_plan_file
from recommons.server.planning.wish import specs_for
from recommons.simulations.central import train_centrally
from recommons.simulations.tuning.made_up import made_up_users

__all__ = ["CHOICES", "Trial", "tune"]

CHOICES: Mapping[str, tuple[Any, ...]] = {
    "learning_rate": (3e-4, 1e-3, 3e-3, 1e-2),
    "clip": (0.03, 0.1, 0.3),
    "steps": (4, 8, 10, 20, 40),
    "rate": (0.02, 0.05, 0.2, 0.5),
    "warm_share": (0.05, 0.1, 0.5, 0.9, 0.97, 0.99),
}
"""What is tried, ascending: the defaults of every model are among them, and never at an edge."""

METRIC = "recall@20"
_MOST_USERS = 4_000
_OF_SITES = ("users", "most_users")
"""Settings that tell how many users there are: here they are those who train."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One candidate.

    Attributes:
        settings: What differs from the plan's own.
        quality: The metric, a mean over repetitions.
        upload_bytes: What a site sends over the whole plan.
    """

    settings: Mapping[str, Any]
    quality: float
    upload_bytes: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Ground:
    """Where candidates are tried.

    Attributes:
        run: The plan, over the catalogue on which candidates are tried.
        given: The settings that its file gives.
        train: Who trains: at most as many as the plan declares.
        fold_in: What a model may see of the users it is judged by.
        held_out: What it should find.
        repeats: Trainings of each candidate.
    """

    run: PlannedRun
    given: Mapping[str, Any]
    train: Interactions
    fold_in: Interactions
    held_out: Interactions
    repeats: int

    def trial(self, settings: Mapping[str, Any]) -> Trial:
        """Train and judge."""
        model, sites = self.model(settings), len(self.run.declared_users)
        specs = specs_for(model, self.run.declared_users, self.run.wish)
        scale = self.train.n_users / sum(self.run.declared_users.values())
        found = []
        for _ in range(self.repeats):
            done = train_centrally(model, self.train, specs, sites=sites, scale=scale)
            scorer = GlobalModel(release=model.release(done)).scorer
            found.append(evaluate(scorer.score, self.fold_in, self.held_out).means()[METRIC])
        upload = sum(spec.size * spec.ring_bits // 8 for spec in specs)
        return Trial(settings=dict(settings), quality=mean(found), upload_bytes=upload)

    def model(self, tried: Mapping[str, Any]) -> FederatedModel:
        """The plan's model for those who train, with what is tried in the place of its own."""
        figures = PublicFigures(
            declared_users={"all": self.train.n_users},
            n_items=self.train.n_items,
            epsilon=self.run.wish.epsilon,
        )
        loss = self.run.model.settings()["loss"]  # where it is left out, the catalogue decides
        given = {name: value for name, value in self.given.items() if name not in _OF_SITES}
        return build_model(
            self.run.model.name,
            self.run.catalogue,
            figures,
            settings={"loss": loss, **given, **tried},
        )


def tune(
    plan: Path,
    *,
    data: Path | None,
    names: Sequence[str],
    users: int | None,
    repeats: int,
    seed: int,
    as_json: bool,
) -> None:
    """Try, print what was found, and the lines to put into the plan; see the command.

    Raises:
        InvalidInput: ``plan/file``, ``run/settings``: a setting that cannot be tuned.
    """
    unknown = [name for name in names if name not in CHOICES]
    if unknown:
        raise InvalidInput(
            "run/settings", f"--only is {unknown}; required: of {', '.join(CHOICES)}"
        )
    run = read_plan_file(plan)
    if "rate" not in run.model.settings():
        raise InvalidInput(
            "run/settings", f"model is {run.model.name!r}; required: one whose rounds draw users"
        )
    given = read_settings(plan, PlanFile, "plan/file").settings
    ground = _ground(run, given, data, users, repeats, seed)
    console, trials = Console(stderr=True), []
    for trial in _search(ground, names):
        trials.append(trial)
        console.print(f"{METRIC} {trial.quality:.4f}  {dict(trial.settings)}", style="dim")
    best = max(trials, key=lambda trial: trial.quality)
    settings = {**given, **best.settings}
    if as_json:
        rows = [vars(trial) for trial in trials]
        found = {"best": dict(best.settings), "settings": settings, "trials": rows}
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return
    Console().print(_table(trials, best))
    lines = [f"{name} = {_toml(value)}" for name, value in settings.items()]
    sys.stdout.write("\n".join(["[settings]", *lines]) + "\n")


def _search(ground: _Ground, names: Sequence[str]) -> Iterator[Trial]:
    """The plan as it is; then each setting in turn, the others at the best so far."""
    best = ground.trial({})
    yield best
    for name in names:
        own = ground.model(best.settings).settings()[name]
        for value in CHOICES[name]:
            if value == own:  # tried: a second draw of noise would be a second chance
                continue
            trial = ground.trial({**best.settings, name: value})
            yield trial
            if trial.quality > best.quality:
                best = trial


def _ground(
    run: PlannedRun,
    given: Mapping[str, Any],
    data: Path | None,
    users: int | None,
    repeats: int,
    seed: int,
) -> _Ground:
    rng, declared = np.random.default_rng(seed), sum(run.declared_users.values())
    if data is None:
        everyone = made_up_users(run.catalogue, users or min(declared, _MOST_USERS), rng)
        split = apply_roles(everyone, draw_roles(everyone, rng, times=everyone.times))
    else:
        dataset = load_dataset(data)
        split = split_dataset(dataset, rng)
        run = replace(run, catalogue=dataset.catalogue, counted_only=False)
    train = split.train
    if train.n_users > declared:  # a federation of so few would not have learnt from more
        train = train.take(np.sort(rng.choice(train.n_users, declared, replace=False)))
    return _Ground(
        run=run,
        given=given,
        train=train,
        fold_in=split.validation.fold_in,
        held_out=split.validation.held_out,
        repeats=repeats,
    )


def _table(trials: Sequence[Trial], best: Trial) -> Table:
    from recommons.common.units import byte_size

    table = Table("settings", METRIC, "a site sends")
    for trial in trials:
        text = (
            ", ".join(f"{name}={value}" for name, value in trial.settings.items()) or "as planned"
        )
        style = "bold" if trial is best else None
        table.add_row(text, f"{trial.quality:.4f}", byte_size(trial.upload_bytes), style=style)
    return table


def _toml(value: Any) -> str:  # noqa: ANN401 - a setting's value
    """A value as TOML writes it in one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(v)}" for name, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return json.dumps(value)
