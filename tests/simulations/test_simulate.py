"""Whole runs on tiny data: real apps, real folders, real processes."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from recommons.client.serving.release_files import read_release
from recommons.client.sources import read_histories
from recommons.common.data.catalogue_document import catalogue_from_bytes
from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput, RecommonsError
from recommons.common.models.registry import model_from_settings
from recommons.common.models.scoring import GlobalModel
from recommons.common.privacy.ledger import Entry, split_lines, verify_chain
from recommons.server.operating.display import open_display
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.rounds.tally import noisy_sums
from recommons.simulations.report.schema import Report, parse_report
from recommons.simulations.settings import SimulationSettings
from recommons.simulations.simulate import open_output, simulate


def settings(data: Path, **changes: Any) -> SimulationSettings:
    chosen = {"data": data, "sites": 5, "dim": 3, "delta": 1e-3} | changes
    return SimulationSettings.load(None, chosen)


def run(asked: SimulationSettings, folder: Path) -> Report:
    display = open_display(Console(), quiet=True)
    with display:
        return simulate(open_output(folder, asked), folder, display, command="test").report


def entries(folder: Path, *place: str) -> tuple[Entry, ...]:
    coordinator = CoordinatorFolder.open(folder / "coordinator")
    ledger = folder.joinpath(*place, "ledger.jsonl")
    roster = coordinator.federation.roster
    key = roster.keys.get(place[-1], coordinator.federation.coordinator_key)
    return verify_chain(split_lines(ledger.read_bytes()), key)


def contexts(folder: Path) -> list[str]:
    return [e.body["context"] for e in entries(folder, "coordinator") if e.kind == "round-opened"]


def pooled(parts: list[Interactions]) -> Interactions:
    rows, items, start = [], [], 0
    for part in parts:
        rows.append(np.repeat(np.arange(part.n_users), np.diff(part.indptr)) + start)
        items.append(part.indices)
        start += part.n_users
    sizes = {"n_users": start, "n_items": parts[0].n_items}
    return Interactions.from_pairs(np.concatenate(rows), np.concatenate(items), **sizes)


@pytest.fixture(scope="module")
def private_run(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("private")
    run(settings(tiny_data), folder)
    return folder


@pytest.fixture(scope="module")
def exact_run(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exact")
    run(settings(tiny_data, epsilon="inf"), folder)
    return folder


def test_without_noise_every_secure_sum_is_the_plain_sum_of_the_sites_integers(
    exact_run: Path,
) -> None:
    coordinator = CoordinatorFolder.open(exact_run / "coordinator")
    plan, catalogue = coordinator.plan, coordinator.catalogue
    model = model_from_settings(plan.model.name, plan.model.settings, catalogue)
    sums = [e.body for e in entries(exact_run, "coordinator") if e.kind == "sum"]
    assert len(sums) == len(plan.rounds)
    own = {
        site: read_histories(exact_run / "sites" / site / "events.parquet", catalogue)
        for site in plan.cohort
    }
    everyone = pooled([histories.interactions for histories in own.values()])
    done: list[Any] = []
    for number, spec in enumerate(plan.specs()):
        opened, survivors = coordinator.load_sum(number, sums[number]["sum"])
        state = model.public_state(tuple(done))
        expected = np.zeros(spec.size, np.int64)
        for histories in own.values():
            parts = model.contribute(number, state, histories.interactions, spec.blocks)
            for block, place in spec.slices():
                expected[place] += parts[block.name]
        np.testing.assert_array_equal(opened, expected)
        central = model.contribute(number, state, everyone, spec.blocks)
        np.testing.assert_array_equal(
            opened, np.concatenate([central[block.name] for block in spec.blocks])
        )
        done.append(noisy_sums(spec, opened, survivors))


def test_federated_ease_without_noise_is_ease_on_the_pooled_data(
    tiny_data: Path, tmp_path: Path
) -> None:
    """Steck (2019), eq. 8, written out with NumPy on everyone's events."""
    run(settings(tiny_data, model="ease", dim=None, epsilon="inf"), tmp_path)
    release, _ = read_release(tmp_path / "model")
    coordinator = CoordinatorFolder.open(tmp_path / "coordinator")
    everyone = pooled(
        [
            read_histories(
                tmp_path / "sites" / site / "events.parquet", coordinator.catalogue
            ).interactions
            for site in coordinator.plan.cohort
        ]
    )
    history = everyone.matrix(np.float64).toarray()
    ridge = coordinator.plan.model.settings["ridge"]
    inverse = np.linalg.inv(history.T @ history + ridge * np.eye(history.shape[1]))
    weights = -inverse / np.diagonal(inverse)
    np.fill_diagonal(weights, 0)
    scores = GlobalModel(release=release).scorer.score(everyone)
    np.testing.assert_allclose(scores, history @ weights, atol=1e-6)


def test_the_report_holds_what_was_asked_and_what_was_spent(private_run: Path) -> None:
    report = parse_report((private_run / "report.json").read_bytes())
    privacy = report.privacy
    assert privacy.epsilon is not None
    assert privacy.epsilon_reserved is not None
    assert privacy.epsilon <= privacy.epsilon_reserved <= 8.0
    assert privacy.epsilon == pytest.approx(8.0, rel=1e-4)
    assert privacy.zcdp_epsilon is not None
    assert privacy.zcdp_epsilon > privacy.epsilon
    assert privacy.epsilon_all_honest is not None
    assert privacy.epsilon_all_honest < privacy.epsilon
    assert (privacy.min_survivors, privacy.colluding) == (5, 1)
    assert report.data.sites == 5
    assert report.secure_aggregation.attempts == report.secure_aggregation.rounds
    page = (private_run / "report.html").read_text()
    assert "<svg" in page


def test_an_infinite_epsilon_is_null_and_sums_are_still_secure(exact_run: Path) -> None:
    document = json.loads((exact_run / "report.json").read_bytes())
    assert document["privacy"]["epsilon"] is None
    assert document["privacy"]["target_epsilon"] is None
    certificates = [e for e in entries(exact_run, "coordinator") if e.kind == "certificate"]
    assert len(certificates) == document["model"]["rounds"]


def test_every_site_leaves_a_signed_chain_that_agrees_with_the_coordinators(
    private_run: Path,
) -> None:
    certified = [e.body for e in entries(private_run, "coordinator") if e.kind == "certificate"]
    plan = CoordinatorFolder.open(private_run / "coordinator").plan
    for site in plan.cohort:
        chain = entries(private_run, "sites", site)
        kinds = [entry.kind for entry in chain]
        rounds = len(plan.rounds)
        assert kinds == [
            "roster-accepted",
            "policy-changed",
            "plan-accepted",
            *["reserved", "committed", "released"] * rounds,
            "run-ended",
        ]
        sent = [entry.body["masked"] for entry in chain if entry.kind == "released"]
        summed = [
            next(m["masked"] for m in body["masked"] if m["site"] == site) for body in certified
        ]
        assert sent == summed


def test_the_released_model_names_its_plan_cost_and_items(private_run: Path) -> None:
    release, metadata = read_release(private_run / "model")
    plan = CoordinatorFolder.open(private_run / "coordinator").plan
    catalogue = catalogue_from_bytes((private_run / "coordinator/catalogue.json").read_bytes())
    assert metadata.plan_hash == plan.hash().hex()
    assert metadata.item_ids == catalogue.item_ids
    assert metadata.privacy["epsilon"] == pytest.approx(8.0, rel=1e-4)
    assert release.arrays["factors"].shape == (40, 3)


def test_no_secret_and_no_user_is_left_in_coordinator_or_ledgers(private_run: Path) -> None:
    users = {f"u{k:03d}".encode() for k in range(90)}
    for path in [*private_run.glob("coordinator/*"), *private_run.glob("sites/*/ledger.jsonl")]:
        if path.is_file():
            data = path.read_bytes()
            assert not any(user in data for user in users), path.name
    keys = [path.read_text().strip() for path in private_run.glob("sites/*/identity.key")]
    assert len(set(keys)) == 5
    for path in private_run.rglob("*"):
        if path.is_file() and path.name != "identity.key":
            assert not any(key.encode() in path.read_bytes() for key in keys)


def test_sites_that_vanish_are_survived_and_what_was_reserved_is_told_apart(
    tiny_data: Path, tmp_path: Path
) -> None:
    asked = settings(
        tiny_data, sites=6, dropout=0.25, spare_attempts=6, seed=3, epsilon=4, colluding=0
    )
    report = run(asked, tmp_path)
    secure = report.secure_aggregation
    assert sum(site.dropped for site in report.sites) > 0
    assert secure.attempts == secure.rounds + secure.aborted
    privacy = report.privacy
    assert privacy.epsilon is not None
    assert privacy.epsilon_reserved is not None
    assert privacy.epsilon < privacy.epsilon_reserved <= 4.0
    assert len(contexts(tmp_path)) == len(set(contexts(tmp_path))) == secure.attempts


def test_a_run_whose_attempts_are_used_up_ends_with_the_named_reason(
    tiny_data: Path, tmp_path: Path
) -> None:
    asked = settings(tiny_data, dropout=0.9, spare_attempts=2, seed=1)
    with pytest.raises(RecommonsError) as ended:
        run(asked, tmp_path)
    assert ended.value.code == "run/attempts"
    last = entries(tmp_path, "coordinator")[-1]
    assert (last.kind, last.body["code"]) == ("run-ended", "run/attempts")
    assert not any(e.kind == "sum" for e in entries(tmp_path, "coordinator"))


def test_a_killed_run_goes_on_where_it_was_and_never_reuses_a_context(
    tiny_data: Path, tmp_path: Path
) -> None:
    def masked() -> int:
        traffic = json.loads((folder / "coordinator" / "traffic.json").read_bytes())
        return sum(steps["masked"] for steps in traffic["bytes_up"].values())

    folder = tmp_path / "run"
    command = [sys.executable, "-m", "recommons.common.commandline", "simulate"]
    command += ["--data", str(tiny_data), "--sites", "5", "--dim", "3", "--delta", "0.001"]
    command += ["--spare-attempts", "3", "--output", str(folder), "--quiet"]
    with subprocess.Popen(command, env=os.environ) as process:
        ledger = folder / "coordinator" / "ledger.jsonl"
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            if ledger.exists() and b'"round":1' in ledger.read_bytes():
                break  # the second round is open, the first one is done
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    before = contexts(folder)
    sums = [e.body["sum"] for e in entries(folder, "coordinator") if e.kind == "sum"]
    assert sums
    assert not (folder / "report.json").exists()
    sent = masked()

    again = [*command[:4], "--resume", "--output", str(folder), "--json"]
    done = subprocess.run(again, env=os.environ, capture_output=True, check=True, timeout=300)
    told = json.loads(done.stdout)
    assert told["model"]["name"] == "als"
    assert told["command"].endswith(shlex.join(command[3:]))  # `--resume` would repeat nothing
    total = told["secure_aggregation"]["bytes_up_by_step"]
    assert total["masked"] == masked() > sent > 0  # of both processes
    after = contexts(folder)
    assert after[: len(before)] == before
    assert len(after) == len(set(after)) > len(before)
    kept = [e.body["sum"] for e in entries(folder, "coordinator") if e.kind == "sum"]
    assert kept[: len(sums)] == sums
    for site in (folder / "sites").iterdir():
        used = [
            e.body["context"] for e in entries(folder, "sites", site.name) if e.kind == "reserved"
        ]
        assert len(used) == len(set(used))


def test_an_output_that_is_not_empty_is_refused_and_left_alone(
    private_run: Path, tiny_data: Path
) -> None:
    before = sorted(private_run.rglob("*"))
    with pytest.raises(InvalidInput) as refusal:
        open_output(private_run, settings(tiny_data))
    assert refusal.value.code == "run/output"
    with pytest.raises(InvalidInput) as refusal:
        open_output(private_run, None)
    assert refusal.value.code == "run/resume"
    assert sorted(private_run.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"sites": 2}, "sites"),
        ({"epsilon": -1}, "epsilon"),
        ({"epsilon": "lots"}, "epsilon"),
        ({"delta": 1.5}, "delta"),
        ({"dropout": 1.0}, "dropout"),
        ({"model": "svd"}, "model"),
        ({"partition": "planet"}, "partition"),
        ({"dim": 0}, "dim"),
        ({"seed": -1}, "seed"),
        ({"engine": "ray"}, "engine"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput, match=named) as refusal:
        SimulationSettings.load(None, options)
    assert refusal.value.code == "run/settings"


def test_options_win_over_the_plan_file(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('sites = 4\nepsilon = "inf"\nseed = 9\n')
    loaded = SimulationSettings.load(plan, {"seed": 2, "sites": None})
    assert (loaded.sites, loaded.epsilon, loaded.seed) == (4, float("inf"), 2)
    plan.write_text("sites = 4\nspeed = 9\n")
    with pytest.raises(InvalidInput, match=r"plan\.toml: speed"):
        SimulationSettings.load(plan, {})
    plan.write_bytes(b"sites = \xff")
    with pytest.raises(InvalidInput, match="not TOML"):
        SimulationSettings.load(plan, {})
    with pytest.raises(InvalidInput, match="cannot be read; required: a TOML file"):
        SimulationSettings.load(tmp_path / "absent.toml", {})


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"min_survivors": 3}, "secagg/least-survivors"),
        ({"min_survivors": 6}, "secagg/least-survivors"),
        ({"colluding": 4}, "secagg/colluding"),
    ],
)
def test_a_cohort_that_cannot_hold_is_refused_before_anything_runs(
    tiny_data: Path, tmp_path: Path, options: dict[str, Any], code: str
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        run(settings(tiny_data, **options), tmp_path)
    assert refusal.value.code == code
    assert not (tmp_path / "coordinator" / "ledger.jsonl").exists()
