"""`recommons bench attacks`: both attacks at several ε, with the plan's noise and without."""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.special import ndtr, ndtri

from recommons.client.sources import load_dataset
from recommons.common.data.dataset import Dataset
from recommons.common.privacy.accounting import epsilon as epsilon_of_events
from recommons.common.privacy.events import Reading, events_of_round
from recommons.common.privacy.gaussian import gaussian_mu
from recommons.simulations.benchmarks.results_folder import writable_folder
from recommons.simulations.empirical.decoding import area_under_curve
from recommons.simulations.online_retail import load_online_retail
from recommons.simulations.release_attacks.membership import (
    decoded_scores,
    shadow_scores,
    true_positives_at,
)
from recommons.simulations.release_attacks.picture import draw
from recommons.simulations.release_attacks.scene import Attacked, carry_out
from recommons.simulations.release_attacks.touching import (
    VIEWS,
    has_item,
    item_scores,
    named_rightly,
    right_pairs,
)
from recommons.simulations.run_folders import calm_flower

__all__ = ["DIM", "FALSE_ACCUSATIONS", "AttackRow", "attack_run", "measure_attacks"]

DIM = 16
"""Factors in every row: shadow models are trained in numbers, and ranks should not differ."""

FALSE_ACCUSATIONS = 0.01
_WHO = {
    "shadows": "membership, shadow models",
    "decoder": "membership, decoding the counts",
    "sums": "which site: released sums",
    "masked": "which site: masked vector",
    "noised": "which site: unmasked, noised",
    "exact": "which site: unmasked, exact",
}


@dataclass(frozen=True, kw_only=True)
class AttackRow:
    """One attack on one run.

    Attributes:
        epsilon: Target ε of the plan; None for no noise.
        attack: ``shadows``, ``decoder``, or a view of `touching`.
        auc: Area under the curve; for views, right pairs of sites. One half is guessing.
        most_auc: No attack on one user's membership reaches more, by the noise in the run; None
            without noise and for views.
        found: Members found at `FALSE_ACCUSATIONS`; for views, single sites named rightly.
        most_found: As `most_auc`; for views, what guessing reaches.
    """

    epsilon: float | None
    attack: str
    auc: float
    most_auc: float | None
    found: float
    most_found: float | None


def measure_attacks(
    *,
    data: Path | None,
    epsilons: tuple[float, ...],
    sites: int,
    shadows: int,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> tuple[AttackRow, ...]:
    """Run, attack, print, and write `attacks.json` and `attacks.svg`; see `commands.attacks`.

    Raises:
        RecommonsError: ``bench/output``, before the first run, or a run failed.
    """
    output = writable_folder(output)
    calm_flower()
    console = Console(stderr=True)
    dataset = load_online_retail() if data is None else load_dataset(data)
    rows: list[AttackRow] = []
    for target in epsilons:
        start = time.perf_counter()
        rows += attack_run(
            dataset, epsilon=target, sites=sites, dim=DIM, shadows=shadows, seed=seed
        )
        console.print(f"ε = {target:g}: {time.perf_counter() - start:.0f} s", style="dim")
        if output is not None:  # after every run: a long measurement may be cut short
            (output / "attacks.json").write_text(_json(rows))
            (output / "attacks.svg").write_text(draw(rows))
    if as_json:
        sys.stdout.write(_json(rows))
    else:
        Console().print(_table(rows))
    return tuple(rows)


def attack_run(
    dataset: Dataset, *, epsilon: float, sites: int, dim: int, shadows: int, seed: int
) -> list[AttackRow]:
    """Every attack on one run.

    Args:
        dataset: Everybody; half of the users take part.
        epsilon: Target ε; infinite for no noise.
        sites: N.
        dim: Factors of `als`.
        shadows: Models that the attacker trains; even.
        seed: Of who takes part, and of the attacker's draws.

    Raises:
        RecommonsError: The run failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        attacked = carry_out(
            dataset, Path(folder), epsilon=epsilon, sites=sites, dim=dim, seed=seed
        )
    return [*_membership(attacked, shadows, seed), *_touching(attacked)]


def _membership(attacked: Attacked, shadows: int, seed: int) -> list[AttackRow]:
    users, members = attacked.dataset.interactions, attacked.members
    stddev = attacked.sums[0]["counts"].stddev
    scores = {
        "shadows": shadow_scores(
            attacked.release,
            attacked.model,
            attacked.plan.specs(),
            users,
            shares=len(attacked.users_at),
            shadows=shadows,
            rng=np.random.default_rng(seed + 1),
        ),
        "decoder": decoded_scores(attacked.release, users, counts_stddev=stddev),
    }
    mu = _mu_as_run(attacked)
    return [
        AttackRow(
            epsilon=attacked.plan.privacy.epsilon,
            attack=attack,
            auc=area_under_curve(found, members),
            most_auc=None if mu is None else float(ndtr(mu / np.sqrt(2))),
            found=true_positives_at(found, members, FALSE_ACCUSATIONS),
            most_found=None if mu is None else float(ndtr(ndtri(FALSE_ACCUSATIONS) + mu)),
        )
        for attack, found in scores.items()
    ]


def _touching(attacked: Attacked) -> list[AttackRow]:
    truth, rows = has_item(attacked), []
    for view in VIEWS:
        scores = item_scores(attacked, view)
        rows.append(
            AttackRow(
                epsilon=attacked.plan.privacy.epsilon,
                attack=view,
                auc=right_pairs(scores, truth),
                most_auc=None,
                found=named_rightly(scores, truth),
                most_found=1 / len(attacked.users_at),
            )
        )
    return rows


def _mu_as_run(attacked: Attacked) -> float | None:
    """μ of everything released, all sites' noise counted; None without noise."""
    plan = attacked.plan
    if plan.privacy.epsilon is None:
        return None
    events = [
        event
        for number, spec in enumerate(plan.specs())
        for event in events_of_round(spec, plan.noise_cohort(), round_index=number)
    ]
    spent = epsilon_of_events(events, plan.privacy.delta, Reading.ALL_HONEST)
    return gaussian_mu(spent, plan.privacy.delta)


def _json(rows: Sequence[AttackRow]) -> str:
    return json.dumps({"results": [asdict(row) for row in rows]}, indent=2) + "\n"


def _table(rows: Sequence[AttackRow]) -> Table:
    table = Table("ε", "attack", title="Known attacks; one half (AUC) is guessing", box=None)
    for name in ("AUC", "at most", f"found at {FALSE_ACCUSATIONS:.0%}", "at most"):
        table.add_column(name, justify="right")
    for row in rows:
        guessing = row.attack in VIEWS
        table.add_row(
            "∞" if row.epsilon is None else f"{row.epsilon:g}",
            _WHO[row.attack],
            f"{row.auc:.3f}",
            "" if row.most_auc is None else f"{row.most_auc:.3f}",
            f"{row.found:.3f}",
            "" if row.most_found is None or guessing else f"{row.most_found:.3f}",
        )
    return table
