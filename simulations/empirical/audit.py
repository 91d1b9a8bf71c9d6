"""The audit: run, score, bound, test the noise, and compare with the claim."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from recommons.common.models.interface import NoisySum
from recommons.common.privacy.accounting import epsilon
from recommons.common.privacy.events import Reading, events_of_round
from recommons.common.privacy.mechanism import RoundSpec
from recommons.server.rounds.tally import noisy_sums
from recommons.server.rounds.training import Listener
from recommons.simulations.empirical.bounds import epsilon_by_counting, epsilon_by_tradeoff
from recommons.simulations.empirical.contributions import canary_parts, contribution
from recommons.simulations.empirical.crosscheck import other_implementation
from recommons.simulations.empirical.decoding import (
    Guesses,
    Observation,
    area_under_curve,
    guess,
    least_squares,
)
from recommons.simulations.empirical.faults import FAULTS, Fault
from recommons.simulations.empirical.model_view import model_observations
from recommons.simulations.empirical.residuals import VARIANCE_LEVEL, NoiseCheck, check_noise
from recommons.simulations.empirical.result import (
    BoundFigures,
    Control,
    Controls,
    EmpiricalResult,
    Finding,
    NoiseFigures,
    ScoreFigures,
    Source,
    Theorem,
)
from recommons.simulations.empirical.run import CanaryRun, carry_out
from recommons.simulations.empirical.settings import EmpiricalSettings

__all__ = ["CONFIDENCE", "SOURCES", "audit_by_experiment", "control_audit"]

CONFIDENCE = 0.95
_BOUNDS = 6
"""Three sources and two theorems: each bound has a sixth of the level, so that all hold."""

_EXPECTED: dict[Fault, tuple[str, ...]] = {
    "none": (),
    "no-noise": ("empirical/bound", "empirical/noise-too-small"),
    "no-clipping": ("empirical/bound",),
    "half-noise": ("empirical/noise-too-small",),
}
_THEOREMS: dict[Theorem, Callable[..., float]] = {
    "counting": epsilon_by_counting,
    "trade-off": epsilon_by_tradeoff,
}
_BINS = 40

SOURCES: dict[Source, str] = {
    "sums": "released sums",
    "counts": "model's counts",
    "factors": "model's factors",
}
"""How sentences and tables name what was scored."""


def audit_by_experiment(
    settings: EmpiricalSettings,
    folder: Path,
    listen: Listener,
    *,
    command: str,
    fault: Fault = "none",
) -> EmpiricalResult:
    """One run with canaries, and what follows for the claim.

    Args:
        settings: The audit.
        folder: An empty folder for the federation.
        listen: Told of every step of the run.
        command: The command line, for the report.
        fault: What is wrong with the sites, for controls.

    Raises:
        RecommonsError: The run could not be carried out.
    """
    start = time.perf_counter()
    run = carry_out(settings, folder, listen, fault=fault)
    seen = _Seen(run)
    scores = tuple(
        _score(source, observations, run) for source, observations in seen.by_source.items()
    )
    noise = check_noise(seen.residuals, run.plan.specs(), len(run.plan.cohort))
    findings = (*_refutations(scores, run), *_noise_findings(noise))
    privacy = run.plan.privacy
    return EmpiricalResult(
        verdict="failed" if findings else "passed",
        fault=fault,
        epsilon=settings.epsilon,
        delta=privacy.delta,
        epsilon_as_run=_epsilon_as_run(run),
        canaries=run.canaries.count,
        took_part=int(run.coins.sum()),
        history=settings.history,
        others=run.canaries.others,
        sites=len(run.plan.cohort),
        rounds=len(run.sums),
        run=run.run_id.hex(),
        commitment=run.commitment.hex(),
        coin_seed=run.seed.hex(),
        seed=settings.seed,
        confidence=CONFIDENCE,
        variance_level=VARIANCE_LEVEL,
        scores=scores,
        noise=tuple(NoiseFigures(**asdict(check)) for check in noise),
        findings=findings,
        seconds=time.perf_counter() - start,
        software=version("recommons"),
        command=command,
    )


def control_audit(
    settings: EmpiricalSettings, folder: Path, listen: Listener, *, command: str
) -> Controls:
    """Audit sites that are sound, then with each fault: is every fault noticed, and nothing else?

    Args:
        settings: The audit; coins too follow from its seed.
        folder: An empty folder; each control has its own in it.
        listen: Told of every step of the runs.
        command: The command line, for the report.

    Raises:
        RecommonsError: A run could not be carried out.
    """
    controls = []
    for fault in FAULTS:
        result = audit_by_experiment(settings, folder / fault, listen, command=command, fault=fault)
        found = {finding.code for finding in result.findings}
        expected = _EXPECTED[fault]
        as_expected = found >= set(expected) if expected else not found
        controls.append(Control(expected=expected, as_expected=as_expected, result=result))
    verdict = all(control.as_expected for control in controls)
    return Controls(verdict="passed" if verdict else "failed", controls=tuple(controls))


class _Seen:
    """What the sums and the model show to somebody who knows everything but coins and noise.

    Attributes:
        by_source: Observations of the canaries' own coordinates.
        residuals: By round, int64: the sum less everybody's contributions; noise, if all is well.
    """

    def __init__(self, run: CanaryRun) -> None:
        canaries, model, specs = run.canaries, run.model, run.plan.specs()
        others = canaries.other_histories
        taking_part = canaries.histories.take(np.flatnonzero(run.coins))
        done: list[dict[str, NoisySum]] = []
        sums: list[Observation] = []
        self.residuals: list[npt.NDArray[np.int64]] = []
        for number, (spec, total) in enumerate(zip(specs, run.sums, strict=True)):
            state = model.public_state(tuple(done))
            parts = canary_parts(model, number, state, canaries, spec)
            sums.append(
                Observation(
                    matrix=parts.matrix,
                    values=total[parts.coordinates].astype(np.float64),
                    stddev=parts.stddev * np.sqrt(run.survivors[number]),
                )
            )
            known = contribution(model, number, state, others, spec)
            joined = contribution(model, number, state, taking_part, spec)
            self.residuals.append(total - known - joined)
            done.append(dict(noisy_sums(spec, total, run.survivors[number])))
        place, grid = _gram(specs[-1])
        counts, factors = model_observations(
            run.release,
            canaries,
            state=state,
            others_gram=np.multiply(known[place], grid, dtype=np.float64),
        )
        self.by_source: dict[Source, Sequence[Observation]] = {
            "sums": sums,
            "counts": [counts],
            "factors": [factors],
        }


def _gram(spec: RoundSpec) -> tuple[slice, float]:
    """Where Σ zzᵀ lies in a round's vector, and its grid."""
    return next((place, block.grid) for block, place in spec.slices() if block.name == "gram")


def _score(source: Source, observations: Sequence[Observation], run: CanaryRun) -> ScoreFigures:
    scores = least_squares(observations, run.canaries.count)
    guesses = guess(scores, run.coins)
    edges = np.histogram_bin_edges(scores, _BINS)
    return ScoreFigures(
        source=source,
        guesses=guesses.made,
        correct=guesses.correct,
        area=area_under_curve(scores, run.coins),
        bounds=_bounds(guesses, run),
        histogram=(
            tuple(edges.tolist()),
            tuple(np.histogram(scores[~run.coins], edges)[0].tolist()),
            tuple(np.histogram(scores[run.coins], edges)[0].tolist()),
        ),
    )


def _bounds(guesses: Guesses, run: CanaryRun) -> tuple[BoundFigures, ...]:
    delta, level = run.plan.privacy.delta, (1 - CONFIDENCE) / _BOUNDS
    canaries, made = run.canaries.count, guesses.made
    others = other_implementation(canaries, made, guesses.correct, delta=delta, level=level)
    return tuple(
        BoundFigures(
            theorem=theorem,
            epsilon=bound(canaries, made, guesses.correct, delta=delta, level=level),
            most=bound(canaries, made, made, delta=delta, level=level),
            other_implementation=other,
        )
        for (theorem, bound), other in zip(_THEOREMS.items(), others, strict=True)
    )


def _refutations(scores: Sequence[ScoreFigures], run: CanaryRun) -> list[Finding]:
    claim = run.plan.privacy.target
    return [
        Finding(
            code="empirical/bound",
            message=f"the {SOURCES[score.source]} prove epsilon ≥ {bound.epsilon:.4g} by "
            f"{bound.theorem} ({score.correct} of {score.guesses} guesses right); "
            f"claimed: {claim:g}",
        )
        for score in scores
        for bound in score.bounds
        if bound.epsilon > claim
    ]


def _noise_findings(checks: Sequence[NoiseCheck]) -> list[Finding]:
    found = []
    for check in checks:
        place = f"round {check.round + 1}, block {check.block!r}"
        if check.too_small:
            found.append(
                Finding(
                    code="empirical/noise-too-small",
                    message=f"{place}: the residuals have {check.ratio:.4g} times the planned "
                    f"variance; required: at least {check.least_ratio:.4g}",
                )
            )
        if check.too_large:
            found.append(
                Finding(
                    code="empirical/noise-too-large",
                    message=f"{place}: the residuals have {check.ratio:.4g} times the planned "
                    f"variance; required: at most {check.largest_ratio:.4g}",
                )
            )
    return found


def _epsilon_as_run(run: CanaryRun) -> float:
    """ε when every site is honest and present: all their noise is in the sum."""
    events = [
        event
        for number, spec in enumerate(run.plan.specs())
        for event in events_of_round(spec, run.plan.noise_cohort(), round_index=number)
    ]
    return epsilon(events, run.plan.privacy.delta, Reading.ALL_HONEST)
