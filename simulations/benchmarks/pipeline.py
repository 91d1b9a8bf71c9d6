"""One whole training run for a benchmark: founded sites, real apps, real sums, real noise."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.dataset import Dataset
from recommons.common.data.interactions import Interactions
from recommons.common.models.interface import ModelRelease, PublicFigures
from recommons.common.models.registry import build_model
from recommons.common.privacy.calibration import default_delta
from recommons.server.planning.wish import Wish
from recommons.server.rounds.training import TrainingResult
from recommons.simulations.founding import found_federation
from recommons.simulations.populations import declared_users, partition
from recommons.simulations.training_run import run_in_process

__all__ = ["whole_run"]


def whole_run(
    catalogue: Catalogue,
    user_ids: pl.Series,
    users: Interactions,
    *,
    model: str,
    epsilon: float,
    delta: float | None = None,
    settings: Mapping[str, Any] | None = None,
    sites: int = 8,
    seed: int = 0,
    name: str = "benchmark",
    progress: Any = None,  # noqa: ANN401 - a listener of rounds
) -> tuple[ModelRelease, TrainingResult]:
    """Train a model on all the given users, spread evenly over sites, with c = 0.

    Args:
        catalogue: The public catalogue.
        user_ids: One id a row of `users`.
        users: Everyone who trains, with times for models that read an order.
        model: Its name.
        epsilon: ε; infinite for no noise.
        delta: δ; None for the plan's default.
        settings: Hyperparameters by name.
        sites: Number of sites.
        seed: Of the partition and the plan.
        name: Of the data, for the plan.
        progress: Told of every step of every round.

    Raises:
        RecommonsError: The run could not be carried out.
    """
    rng = np.random.default_rng(seed)
    population = partition("uniform", users.n_users, sites, rng, countries=None)
    declared = {site: declared_users(n) for site, n in population.sizes().items()}
    figures = PublicFigures(declared_users=declared, n_items=len(catalogue), epsilon=epsilon)
    built = build_model(model, catalogue, figures, seed=seed, settings=settings)
    wish = Wish(
        epsilon=epsilon,
        delta=delta or default_delta(sum(declared.values())),
        colluding=0,
        min_survivors=sites,
        spare_attempts=0,
        max_sites_per_person=1,
        ring_bits=None,
    )
    own: dict[str, npt.NDArray[np.int64]] = {
        site: population.users_of(site) for site in population.site_names
    }
    dataset = Dataset(name=name, catalogue=catalogue, user_ids=user_ids, interactions=users)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        found = found_federation(folder, dataset, own, declared, built, wish)
        listen = progress if progress is not None else (lambda _event: None)
        training = run_in_process(folder, found.coordinator, listen)
    return training.release, training
