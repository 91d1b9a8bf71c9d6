"""A real run with canaries in it: founded, carried out, and read back from its folder."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recommons.client.sources import load_dataset
from recommons.common.data.dataset import Dataset
from recommons.common.models.interface import FederatedModel, ModelRelease, PublicFigures
from recommons.common.models.registry import build_model
from recommons.common.plan import Plan
from recommons.common.privacy.calibration import default_delta
from recommons.server.planning.wish import Wish
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.records.ledger import LedgerFile
from recommons.server.rounds.training import Listener
from recommons.simulations.empirical.canaries import Canaries, add_canaries
from recommons.simulations.empirical.coins import SEED_BYTES, coins, commitment
from recommons.simulations.empirical.faults import Fault, injected
from recommons.simulations.empirical.settings import EmpiricalSettings
from recommons.simulations.founding import found_federation
from recommons.simulations.online_retail import load_online_retail
from recommons.simulations.populations import declared_users, partition
from recommons.simulations.training_run import run_in_process

__all__ = ["CanaryRun", "carry_out"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CanaryRun:
    """What is left of a run, and what an auditor knows about it.

    Attributes:
        plan: The plan that was carried out.
        model: The model that the plan names.
        canaries: Everybody, and who they are.
        sums: By round, int64: the released sum as it was opened.
        survivors: By round, number of sites in the sum.
        release: The published model.
        run_id: Our run id.
        commitment: What stood in the ledger before the run.
        seed: What stands in it now.
    """

    plan: Plan
    model: FederatedModel
    canaries: Canaries
    sums: tuple[npt.NDArray[np.int64], ...] = field(repr=False)
    survivors: tuple[int, ...]
    release: ModelRelease = field(repr=False)
    run_id: bytes
    commitment: bytes
    seed: bytes = field(repr=False)

    @property
    def coins(self) -> npt.NDArray[np.bool_]:
        """Which canaries took part, by the revealed seed."""
        return coins(self.seed, self.canaries.count)


def carry_out(
    settings: EmpiricalSettings, folder: Path, listen: Listener, *, fault: Fault = "none"
) -> CanaryRun:
    """Found a federation, flip the coins, train, reveal the coins.

    Args:
        settings: The audit.
        folder: An empty folder for the federation.
        listen: Told of every step of the run.
        fault: What is wrong with the sites, for controls.

    Raises:
        RecommonsError: The run could not be carried out.
    """
    rng = np.random.default_rng(settings.seed)
    canaries = add_canaries(
        _others(settings),
        count=settings.canaries,
        history=settings.history,
        items=settings.canary_items,
        rng=rng,
    )
    seed = (
        secrets.token_bytes(SEED_BYTES)
        if settings.coin_seed is None
        else bytes.fromhex(settings.coin_seed)
    )
    taking_part = coins(seed, canaries.count)
    at_site, declared = _places(settings, canaries, rng)
    present = np.concatenate([np.ones(canaries.others, np.bool_), taking_part])
    own = {site: users[present[users]] for site, users in at_site.items()}
    coordinator = _found(settings, folder, canaries, own, declared)
    ledger = LedgerFile.open(coordinator.records / "ledger.jsonl", coordinator.identity)
    run_id, committed = coordinator.run_id, commitment(coordinator.run_id, seed)
    ledger.append("canaries-committed", {"run": run_id.hex(), "commitment": committed.hex()})
    with injected(fault):
        result = run_in_process(folder, coordinator, listen)
    ledger = LedgerFile.open(coordinator.records / "ledger.jsonl", coordinator.identity)
    ledger.append("canaries-revealed", {"run": run_id.hex(), "seed": seed.hex()})
    sums = [
        coordinator.load_sum(entry.body["round"], entry.body["sum"])
        for entry in ledger.of_run("sum", run_id)
    ]
    return CanaryRun(
        plan=coordinator.plan,
        model=_model(settings, canaries, declared),
        canaries=canaries,
        sums=tuple(total for total, _ in sums),
        survivors=tuple(count for _, count in sums),
        release=result.release,
        run_id=run_id,
        commitment=committed,
        seed=seed,
    )


def _others(settings: EmpiricalSettings) -> Dataset:
    return load_online_retail() if settings.data is None else load_dataset(settings.data)


def _places(
    settings: EmpiricalSettings, canaries: Canaries, rng: np.random.Generator
) -> tuple[Mapping[str, npt.NDArray[np.int64]], Mapping[str, int]]:
    """Users by site, all canaries included, and what each site declares: coins decide nothing."""
    population = partition("uniform", canaries.others, settings.sites, rng)
    names = population.site_names
    at_site = {
        site: np.concatenate(
            [
                population.users_of(site),
                canaries.others + np.arange(place, canaries.count, len(names)),
            ]
        )
        for place, site in enumerate(names)
    }
    return at_site, {site: declared_users(len(users)) for site, users in at_site.items()}


def _model(
    settings: EmpiricalSettings, canaries: Canaries, declared: Mapping[str, int]
) -> FederatedModel:
    catalogue = canaries.dataset.catalogue
    figures = PublicFigures(
        declared_users=declared, n_items=len(catalogue), epsilon=settings.epsilon
    )
    return build_model("als", catalogue, figures, dim=settings.dim, seed=settings.seed)


def _found(
    settings: EmpiricalSettings,
    folder: Path,
    canaries: Canaries,
    own_users: Mapping[str, npt.NDArray[np.int64]],
    declared: Mapping[str, int],
) -> CoordinatorFolder:
    wish = Wish(
        epsilon=settings.epsilon,
        delta=settings.delta or default_delta(sum(declared.values())),
        colluding=settings.colluding,
        min_survivors=settings.min_survivors or settings.sites,
    )
    model = _model(settings, canaries, declared)
    return found_federation(folder, canaries.dataset, own_users, declared, model, wish).coordinator
