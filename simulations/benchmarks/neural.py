"""Any model trained centrally with the noise of a federation, measured on *validation* users.

So that defaults may be chosen by it, and test users stay for the end:

    python -m recommons.simulations.benchmarks.neural ml-1m --epsilon 8 --set clip=0.2

At the end the global model, without what sites add to it, by a whole run of real apps and sums:

    python -m recommons.simulations.benchmarks.neural ml-1m --epsilon 8 --whole --users test
"""

import json
import math
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from recommons.client.sources import load_dataset
from recommons.common.commandline import run_alone
from recommons.common.data.dataset import Dataset
from recommons.common.data.splits import Split, apply_roles
from recommons.common.errors import InvalidInput
from recommons.common.metrics import evaluate
from recommons.common.models.interface import PublicFigures
from recommons.common.models.registry import build_model
from recommons.common.models.scoring import GlobalModel
from recommons.common.privacy.events import Cohort
from recommons.simulations.benchmarks.given import JudgedUsers, named_values
from recommons.simulations.benchmarks.pipeline import whole_run
from recommons.simulations.central import Sums, central_specs, train_centrally
from recommons.simulations.online_retail import load_online_retail

__all__ = ["main"]

_SITES = 8


def main(
    data: Annotated[
        Path | None, typer.Argument(help="As in `recommons simulate`; by default embedded data.")
    ] = None,
    model: Annotated[str, typer.Option(help="The model.")] = "two-tower",
    epsilon: Annotated[float, typer.Option(help="Target ε of the whole training.")] = math.inf,
    delta: Annotated[float, typer.Option(help="δ.")] = 0.000207,
    dim: Annotated[int | None, typer.Option(help="d.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE, a field of the settings.")
    ] = None,
    every: Annotated[int, typer.Option(help="Measure every so many rounds.")] = 10,
    whole: Annotated[
        bool, typer.Option("--whole", help="A whole run, measured at its end.")
    ] = False,
    users: Annotated[
        JudgedUsers, typer.Option(help="With --whole: who is judged.")
    ] = JudgedUsers.VALIDATION,
    seed: Annotated[int, typer.Option(min=0, help="With --whole: of sites and plan.")] = 0,
) -> None:
    """Train once and print lines of metrics."""
    dataset = load_online_retail() if data is None else load_dataset(data)
    if dataset.roles is None:
        raise InvalidInput("input/argument", f"data is {data}; required: a benchmark with a split")
    split = apply_roles(dataset.interactions, dataset.roles)
    given = named_values(settings or [])
    if not whole:
        _centrally(dataset, split, model, epsilon, delta, dim, given, every)
        return
    start = time.perf_counter()
    release, _ = whole_run(
        dataset.catalogue,
        dataset.user_ids.gather(split.train_users),
        split.train,
        model=model,
        epsilon=epsilon,
        delta=delta,
        settings=given if dim is None else given | {"dim": dim},
        sites=_SITES,
        seed=seed,
        name=dataset.name,
    )
    held = users.of(split)
    means = evaluate(GlobalModel(release=release).scorer.score, held.fold_in, held.held_out).means()
    row = {"seed": seed, "model": model, "epsilon": epsilon, "users": users, **means}
    sys.stdout.write(json.dumps(row | {"seconds": round(time.perf_counter() - start)}) + "\n")


def _centrally(
    dataset: Dataset,
    split: Split,
    model: str,
    epsilon: float,
    delta: float,
    dim: int | None,
    given: dict[str, Any],
    every: int,
) -> None:
    """A line of validation metrics every so many rounds."""
    users = split.train.n_users
    figures = PublicFigures(
        declared_users={"all": users}, n_items=len(dataset.catalogue), epsilon=epsilon
    )
    built = build_model(model, dataset.catalogue, figures, dim=dim, settings=given)
    cohort = Cohort(sites=_SITES, min_survivors=_SITES, colluding=0)
    specs = central_specs(built, cohort, users, epsilon=epsilon, delta=delta)
    sys.stdout.write(f"{json.dumps(built.settings())}\n")
    start = time.perf_counter()
    warm = sum(1 for rate in built.sampling() if rate is None)

    def listen(done: tuple[Sums, ...]) -> None:
        steps = len(done) - warm
        if steps < 0 or (steps % every and len(done) != len(specs)):
            return
        scorer = GlobalModel(release=built.release(done)).scorer
        held = split.validation
        means = evaluate(scorer.score, held.fold_in, held.held_out).means()
        text = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        sys.stdout.write(f"{steps:4d}  {text}  {time.perf_counter() - start:.0f} s\n")
        sys.stdout.flush()

    train_centrally(built, split.train, specs, sites=_SITES, listen=listen)


if __name__ == "__main__":
    sys.exit(run_alone(main, "python -m recommons.simulations.benchmarks.neural"))
