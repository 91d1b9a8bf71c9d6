"""Choose a model's rate, number of rounds and clip for a budget, without anybody's data.

Each candidate is trained centrally with the noise the plan would have (`central`), on public
data that the operator names or on made-up users over the plan's catalogue, and judged by what it
finds of items hidden from users who did not train. One setting is varied at a time, from the
model's defaults. What comes out is a plan's setting like any other: it depends on public input
alone, and costs no privacy.
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
from recommons.common.data.interactions import Interactions
from recommons.common.data.splits import apply_roles, draw_roles
from recommons.common.errors import InvalidInput
from recommons.common.metrics import evaluate
from recommons.common.models.interface import FederatedModel, PublicFigures
from recommons.common.models.registry import build_model
from recommons.common.models.scoring import GlobalModel
from recommons.server.plan_file import PlannedRun, read_plan_file
from recommons.server.planning import noise_cohort
from recommons.simulations.central import central_specs, train_centrally
from recommons.simulations.tuning.made_up import made_up_users

__all__ = ["CHOICES", "Trial", "tune"]

CHOICES: Mapping[str, tuple[Any, ...]] = {
    "learning_rate": (3e-4, 1e-3, 3e-3),
    "clip": (0.03, 0.1, 0.3),
    "steps": (10, 20, 40),
    "rate": (0.05, 0.2, 0.5),
    "warm_share": (0.5, 0.8, 0.9),
}
"""What is tried, in this order; the middle one is near the defaults."""

METRIC = "recall@20"
_MOST_USERS = 4_000


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One candidate.

    Attributes:
        settings: What differs from the model's defaults.
        quality: The metric, a mean over repetitions.
        upload_bytes: What a site sends over the whole plan.
    """

    settings: Mapping[str, Any]
    quality: float
    upload_bytes: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Ground:
    """Where candidates are tried."""

    run: PlannedRun
    train: Interactions
    fold_in: Interactions
    held_out: Interactions
    repeats: int

    def trial(self, settings: Mapping[str, Any]) -> Trial:
        """Train and judge."""
        model = self._model(settings)
        wish, cohort = self.run.wish, noise_cohort(self.run.wish, len(self.run.declared_users))
        specs = central_specs(
            model, cohort, self.train.n_users, epsilon=wish.epsilon, delta=wish.delta
        )
        found = []
        for _ in range(self.repeats):
            done = train_centrally(model, self.train, specs, sites=cohort.sites)
            scorer = GlobalModel(release=model.release(done)).scorer
            found.append(evaluate(scorer.score, self.fold_in, self.held_out).means()[METRIC])
        upload = sum(spec.size * spec.ring_bits // 8 for spec in specs)
        return Trial(settings=dict(settings), quality=mean(found), upload_bytes=upload)

    def _model(self, settings: Mapping[str, Any]) -> FederatedModel:
        figures = PublicFigures(
            declared_users={"all": self.train.n_users},
            n_items=self.train.n_items,
            epsilon=self.run.wish.epsilon,
        )
        pinned = self.run.model.settings()
        kept = {name: pinned[name] for name in ("dim", "loss") if name in pinned}
        return build_model(
            self.run.model.name, self.run.catalogue, figures, settings={**kept, **settings}
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
    ground = _ground(run, data, users, repeats, seed)
    console, trials = Console(stderr=True), []
    for trial in _search(ground, names):
        trials.append(trial)
        console.print(f"{METRIC} {trial.quality:.4f}  {dict(trial.settings)}", style="dim")
    best = max(trials, key=lambda trial: trial.quality)
    if as_json:
        rows = [vars(trial) for trial in trials]
        text = json.dumps({"best": dict(best.settings), "trials": rows}, indent=2)
        sys.stdout.write(text + "\n")
        return
    Console().print(_table(trials, best))
    lines = [f"{name} = {value}" for name, value in best.settings.items()]
    sys.stdout.write("\n".join(["[settings]", *lines]) + "\n")


def _search(ground: _Ground, names: Sequence[str]) -> Iterator[Trial]:
    """The defaults first; then each setting in turn, the others at the best so far."""
    best = ground.trial({})
    yield best
    for name in names:
        for value in CHOICES[name]:
            trial = ground.trial({**best.settings, name: value})
            yield trial
            if trial.quality > best.quality:
                best = trial


def _ground(
    run: PlannedRun, data: Path | None, users: int | None, repeats: int, seed: int
) -> _Ground:
    rng = np.random.default_rng(seed)
    if data is None:
        count = users or min(sum(run.declared_users.values()), _MOST_USERS)
        everyone = made_up_users(run.catalogue, count, rng)
        split = apply_roles(everyone, draw_roles(everyone, rng))
    else:
        dataset = load_dataset(data)
        roles = dataset.roles or draw_roles(dataset.interactions, rng)
        split = apply_roles(dataset.interactions, roles)
        run = replace(run, catalogue=dataset.catalogue, counted_only=False)
    return _Ground(
        run=run,
        train=split.train,
        fold_in=split.validation.fold_in,
        held_out=split.validation.held_out,
        repeats=repeats,
    )


def _table(trials: Sequence[Trial], best: Trial) -> Table:
    from recommons.common.units import byte_size

    table = Table("settings", METRIC, "a site sends")
    for trial in trials:
        text = ", ".join(f"{name}={value}" for name, value in trial.settings.items()) or "defaults"
        style = "bold" if trial is best else None
        table.add_row(text, f"{trial.quality:.4f}", byte_size(trial.upload_bytes), style=style)
    return table
