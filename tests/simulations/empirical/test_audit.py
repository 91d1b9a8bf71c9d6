"""Whole audits on tiny data: real apps, real sums, real noise from the operating system.

What is asserted about noise fails by chance less than once in a million runs: the variance test has
that level, and a sound run's bound would have to be off by five standard deviations.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from recommons.client.rounds import contribution
from recommons.client.sources import read_histories
from recommons.common import commandline
from recommons.common.models import als_sums
from recommons.common.privacy.ledger import Entry, split_lines, verify_chain
from recommons.common.privacy.noise import clamp_and_add_noise
from recommons.common.privacy.quantization import quantize
from recommons.server.records.folder import CoordinatorFolder
from recommons.simulations.empirical.audit import audit_by_experiment
from recommons.simulations.empirical.coins import coins, commitment, seed_from_number
from recommons.simulations.empirical.faults import FAULTS, Fault, injected
from recommons.simulations.empirical.result import NOTE, EmpiricalResult, result_json
from recommons.simulations.empirical.settings import EmpiricalSettings

COINS = seed_from_number(5)


def audit(data: Path, folder: Path, fault: Fault = "none") -> EmpiricalResult:
    settings = EmpiricalSettings(
        data=data,
        sites=4,
        dim=2,
        canaries=240,
        history=256,
        canary_items=2048,
        coin_seed=COINS.hex(),
    )
    return audit_by_experiment(settings, folder, lambda _event: None, command="test", fault=fault)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audits")


@pytest.fixture(scope="module")
def results(tiny_data: Path, folder: Path) -> dict[Fault, EmpiricalResult]:
    return {fault: audit(tiny_data, folder / fault, fault) for fault in FAULTS}


def bounds(result: EmpiricalResult, source: str) -> list[float]:
    return [b.epsilon for s in result.scores if s.source == source for b in s.bounds]


def codes(result: EmpiricalResult) -> set[str]:
    return {finding.code for finding in result.findings}


def test_sound_sites_pass(results: dict[Fault, EmpiricalResult]) -> None:
    result = results["none"]
    assert result.verdict == "passed"
    assert not result.findings
    assert result.largest_bound <= result.epsilon == 1.0
    assert result.epsilon_as_run < 1.0  # with c = 1, one site more than counted on adds noise
    assert all(0.85 < noise.ratio < 1.15 for noise in result.noise if noise.coordinates > 1000)
    assert result.took_part == coins(COINS, 240).sum()


def test_missing_noise_is_proved_by_every_bound_on_sums_and_counts(
    results: dict[Fault, EmpiricalResult],
) -> None:
    result = results["no-noise"]
    assert result.verdict == "failed"
    assert codes(result) == {"empirical/bound", "empirical/noise-too-small"}
    for source in ("sums", "counts"):
        (score,) = (s for s in result.scores if s.source == source)
        assert score.correct == score.guesses == 120
        assert score.area == 1.0
        assert min(bounds(result, source)) > 3 > result.epsilon
    assert [noise.ratio for noise in result.noise] == [0, 0, 0]


def test_missing_clipping_is_proved_by_both_bounds_on_the_sums(
    results: dict[Fault, EmpiricalResult],
) -> None:
    result = results["no-clipping"]
    assert "empirical/bound" in codes(result)
    assert min(bounds(result, "sums")) > 1.5 > result.epsilon


def test_halved_noise_is_found_by_the_variance_of_the_residuals(
    results: dict[Fault, EmpiricalResult],
) -> None:
    result = results["half-noise"]
    assert codes(result) == {"empirical/noise-too-small"}
    blocks = {noise.block: noise for noise in result.noise}
    assert blocks["factors"].ratio == pytest.approx(0.25, rel=0.15)
    assert blocks["counts"].ratio == pytest.approx(0.25, rel=0.2)


def test_all_right_guesses_are_the_most_that_a_run_can_prove(
    results: dict[Fault, EmpiricalResult],
) -> None:
    for score in results["no-noise"].scores:
        for bound in score.bounds:
            assert bound.epsilon <= bound.most
    (sums, *_) = results["no-noise"].scores
    # At δ = 0: all right has probability (e^ε/(1 + e^ε))^r; the level is a sixth of 5 %.
    closed = -math.log((0.05 / 6) ** (-1 / 120) - 1)
    assert sums.bounds[0].most == pytest.approx(closed, abs=0.01)


def ledger(folder: Path) -> tuple[Entry, ...]:
    coordinator = CoordinatorFolder.open(folder / "coordinator")
    data = (folder / "coordinator" / "ledger.jsonl").read_bytes()
    return verify_chain(split_lines(data), coordinator.federation.coordinator_key)


def test_coins_are_committed_before_the_first_round_and_revealed_after_the_run(
    results: dict[Fault, EmpiricalResult], folder: Path
) -> None:
    entries = ledger(folder / "none")
    place = {entry.kind: number for number, entry in enumerate(entries)}
    assert place["canaries-committed"] < place["round-opened"]
    assert place["run-ended"] < place["canaries-revealed"]
    before, after = (
        entries[place[kind]].body for kind in ("canaries-committed", "canaries-revealed")
    )
    assert after["seed"] == COINS.hex() == results["none"].coin_seed
    run = bytes.fromhex(before["run"])
    assert before["commitment"] == commitment(run, COINS).hex() == results["none"].commitment
    assert before["commitment"] != commitment(run, seed_from_number(6)).hex()


def test_the_ledgers_stand_up_to_an_audit_but_for_the_seed_after_the_last_anchor(
    results: dict[Fault, EmpiricalResult], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert results["none"].verdict == "passed"
    commandline.main(["audit", str(folder / "none"), "--json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    serious = [finding for finding in found if finding["severity"] != "note"]
    assert [finding["code"] for finding in serious] == ["audit/unanchored"]
    assert serious[0]["line"] == len(ledger(folder / "none"))


def test_exactly_the_canaries_whose_coin_says_so_are_at_the_sites(
    results: dict[Fault, EmpiricalResult], folder: Path
) -> None:
    coordinator = CoordinatorFolder.open(folder / "none" / "coordinator")
    present: set[str] = set()
    for site in coordinator.plan.cohort:
        events = folder / "none" / "sites" / site / "events.parquet"
        ids = read_histories(events, coordinator.catalogue).user_ids.to_list()
        present |= {name for name in ids if name.startswith("canary-")}
    assert present == {f"canary-{number:03d}" for number in np.flatnonzero(coins(COINS, 240))}
    declared = coordinator.plan.declared_users.values()
    assert sum(declared) >= 90 + 240  # whatever the coins say


def test_a_fault_ends_with_its_control() -> None:
    def at_sites() -> tuple[object, object]:
        return vars(contribution)["clamp_and_add_noise"], vars(als_sums)["quantize"]

    def fail() -> None:
        with injected("no-noise"):
            assert at_sites()[0] is not clamp_and_add_noise
            raise KeyError

    genuine = (clamp_and_add_noise, quantize)
    assert at_sites() == genuine
    with pytest.raises(KeyError):
        fail()
    assert at_sites() == genuine
    with injected("no-clipping"):
        assert at_sites()[1] is not quantize
    assert at_sites() == genuine


def test_the_document_reads_back_and_says_what_a_low_bound_is_not(
    results: dict[Fault, EmpiricalResult],
) -> None:
    for result in results.values():
        assert EmpiricalResult.model_validate_json(result_json(result)) == result
        assert "no evidence of safety" in result.note == NOTE
