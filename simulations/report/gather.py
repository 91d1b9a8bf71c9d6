"""From what a run left to its report: every figure is read off a result, none is typed."""

import math
import resource
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from recommons.common.data.dataset import Dataset
from recommons.common.models.release import ReleaseMetadata
from recommons.common.plan import Plan
from recommons.common.privacy.accounting import account, cost_of, epsilon_of
from recommons.common.privacy.accounting import epsilon as epsilon_of_events
from recommons.common.privacy.calibration import noise_price
from recommons.common.privacy.crosschecks import cross_checks, disagreements
from recommons.common.privacy.events import GaussianSumRelease, Reading
from recommons.server.rounds.training import TrainingResult
from recommons.simulations.evaluation import Evaluated
from recommons.simulations.report.schema import (
    Abort,
    Baselines,
    DataFigures,
    Metrics,
    ModelFigures,
    PrivacyFigures,
    Release,
    Report,
    SecureAggregationFigures,
    SiteFigures,
    WaysMeasured,
)
from recommons.simulations.settings import SimulationSettings

__all__ = ["RunFigures", "gather_report", "release_metadata"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RunFigures:
    """Everything a finished run can tell.

    Attributes:
        settings: What was asked for.
        dataset: The data.
        declared: Rounded number of users by site.
        plan: The plan.
        training: What training left.
        evaluated: What evaluation found.
        version: Of recommons.
        command: The command line that repeats the run.
    """

    settings: SimulationSettings
    dataset: Dataset
    declared: Mapping[str, int]
    plan: Plan
    training: TrainingResult
    evaluated: Evaluated
    version: str
    command: str

    @cached_property
    def privacy(self) -> PrivacyFigures:
        """What is guaranteed; the cross-checks by other accountants take seconds."""
        return _privacy(self.plan, self.training)


def gather_report(run: RunFigures, seconds_by_stage: Mapping[str, float], seconds: float) -> Report:
    """The report of a run."""
    ways = run.evaluated.means
    central = ways.get("ease_centralised")
    return Report(
        data=DataFigures(
            name=run.dataset.name,
            users=run.dataset.n_users,
            items=len(run.dataset.catalogue),
            interactions=len(run.dataset.interactions.indices),
            sites=len(run.plan.cohort),
            catalogue="assumed public" if run.dataset.catalogue.inferred else "public",
        ),
        model=ModelFigures(
            name=run.plan.model.name,
            dim=_dim(run.plan),
            rounds=len(run.plan.rounds),
        ),
        metrics=WaysMeasured(
            global_model=_metrics(ways["global"]), served=_metrics(ways["served"])
        ),
        baselines=Baselines(
            site_alone=_metrics(ways["alone"]),
            popularity=_metrics(ways["popularity"]),
            ease_centralised=None if central is None else _metrics(central),
        ),
        privacy=run.privacy,
        secure_aggregation=_secure_aggregation(run),
        sites=tuple(_site(run, site) for site in run.plan.cohort),
        seconds=seconds,
        seconds_by_stage=dict(seconds_by_stage),
        peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        plan_hash=run.plan.hash().hex(),
        version=run.version,
        seed=run.settings.seed,
        command=run.command,
    )


def release_metadata(run: RunFigures) -> ReleaseMetadata:
    """What `model.json` says beside the arrays."""
    catalogue = run.dataset.catalogue
    return ReleaseMetadata(
        item_ids=catalogue.item_ids,
        titles=catalogue.titles,
        plan_hash=run.plan.hash().hex(),
        features=tuple(column.name for column in catalogue.features),
        privacy=run.privacy.model_dump(mode="json"),
        catalogue_assumed_public=catalogue.inferred,
    )


def _metrics(means: Mapping[str, float]) -> Metrics:
    return Metrics.model_validate({name: means[name] for name in _METRICS})


_METRICS = ("recall@20", "ndcg@20", "ndcg@100", "coverage@20")


def _dim(plan: Plan) -> int | None:
    dim: int | None = plan.model.settings.get("dim")
    return dim


def _privacy(plan: Plan, training: TrainingResult) -> PrivacyFigures:
    events = [event for released in training.events for event in released]
    private, delta = plan.privacy.epsilon is not None, plan.privacy.delta
    cohort = plan.noise_cohort()
    headline = account(events, delta)
    checks = cross_checks(events, delta) if private else {}
    return PrivacyFigures(
        unit=headline.unit,
        neighbours=headline.neighbours,
        epsilon=_finite(headline.epsilon),
        delta=delta if private else None,
        epsilon_reserved=_finite(epsilon_of(plan.reserved(), delta)),
        target_epsilon=plan.privacy.epsilon,
        min_survivors=plan.privacy.min_survivors,
        colluding=plan.privacy.colluding,
        epsilon_all_honest=_finite(epsilon_of_events(events, delta, Reading.ALL_HONEST)),
        epsilon_own_share_only=_finite(epsilon_of_events(events, delta, Reading.OWN_SHARE)),
        accountant=headline.accountant if private else "none",
        zcdp_epsilon=_finite(headline.zcdp_epsilon),
        max_sites_per_person=plan.privacy.max_sites_per_person,
        noise_price=noise_price(cohort) if private else None,
        cross_checks={name: _finite(value) for name, value in checks.items()},
        disagreements=disagreements(_finite(headline.epsilon), checks),
        releases=_releases(events, delta),
    )


def _releases(events: list[GaussianSumRelease], delta: float) -> tuple[Release, ...]:
    return tuple(
        Release(
            round=event.round + 1,
            attempt=event.attempt + 1,
            block=event.block,
            mu=_finite(math.sqrt(cost_of(event).mu_squared)),
            sampling=event.sampling,
            epsilon_cumulative=_finite(epsilon_of_events(events[: place + 1], delta)),
        )
        for place, event in enumerate(events)
    )


def _secure_aggregation(run: RunFigures) -> SecureAggregationFigures:
    traffic, sites = run.training.traffic, len(run.plan.cohort)
    return SecureAggregationFigures(
        rounds=run.training.attempts - len(run.training.aborts),
        attempts=run.training.attempts,
        aborted=len(run.training.aborts),
        aborts=tuple(
            Abort(round=number + 1, attempt=attempt + 1, code=code)
            for number, attempt, code in run.training.aborts
        ),
        bytes_up_per_site=traffic.bytes_up.total() // sites,
        bytes_down_per_site=traffic.bytes_down.total() // sites,
        seconds_by_step=dict(traffic.seconds),
        bytes_up_by_step=_by_step(traffic.bytes_up),
        bytes_down_by_step=_by_step(traffic.bytes_down),
    )


def _by_step(counted: Counter[tuple[str, str]]) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for (_site_name, step), count in counted.items():
        totals[step] += count
    return dict(totals)


def _site(run: RunFigures, site: str) -> SiteFigures:
    recall = {way: found["recall@20"] for way, found in run.evaluated.by_site[site].items()}
    traffic = run.training.traffic
    return SiteFigures(
        name=site,
        users_declared=run.declared[site],
        test_users=run.evaluated.test_users[site],
        popularity=_finite(recall["popularity"]),
        alone=_finite(recall["alone"]),
        global_model=_finite(recall["global"]),
        served=_finite(recall["served"]),
        rho=run.evaluated.choices[site].local_weight,
        bytes_up=sum(n for (name, _), n in traffic.bytes_up.items() if name == site),
        bytes_down=sum(n for (name, _), n in traffic.bytes_down.items() if name == site),
        dropped=run.training.dropped[site],
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
