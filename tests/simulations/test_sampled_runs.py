"""Whole runs of a model that draws users: what is durable of a draw, and what is seen of it."""

import json
import sqlite3
from contextlib import closing
from math import inf
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from recommons.client.rounds.contribution import drawn
from recommons.client.rounds.joining import check_mechanism
from recommons.client.site import Site
from recommons.client.sources import load_dataset
from recommons.common.errors import Refusal
from recommons.common.models.interface import PublicFigures
from recommons.common.models.registry import build_model
from recommons.common.plan import Plan
from recommons.server.planning.wish import Wish
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.rounds.progress import RoundProgress
from recommons.server.rounds.training import TrainingResult
from recommons.simulations.founding import found_federation
from recommons.simulations.training_run import run_in_process

SITES = ("site-0", "site-1", "site-2")
STEPS = 2


def found(folder: Path, data: Path, *, rate: float = 0.5, epsilon: float = 8.0) -> Path:
    """Three sites of thirty users each, and a plan of two steps after one round of counts."""
    wish = Wish(epsilon=epsilon, delta=1e-5, colluding=0, min_survivors=3)
    dataset = load_dataset(data)
    declared = dict.fromkeys(SITES, 30)
    figures = PublicFigures(
        declared_users=declared, n_items=len(dataset.catalogue), epsilon=epsilon
    )
    settings = {"steps": STEPS, "rate": rate, "warm": "content", "features": 4, "clip": 1.0}
    model = build_model("two-tower", dataset.catalogue, figures, dim=3, settings=settings)
    found_federation(
        folder,
        dataset,
        {site: np.arange(k, 90, 3) for k, site in enumerate(SITES)},
        declared,
        model,
        wish,
    )
    return folder


def keys_held(folder: Path) -> dict[str, list[bytes]]:
    """The keys of draws that lie in each site's database now."""
    held = {}
    for site in SITES:
        with closing(sqlite3.connect(folder / "sites" / site / "site.db")) as database:
            rows = database.execute("SELECT draw FROM contexts WHERE draw IS NOT NULL")
            held[site] = [row[0] for row in rows]
    return held


def run(folder: Path, watch: dict[str, dict[str, list[bytes]]] | None = None) -> TrainingResult:
    def listen(progress: RoundProgress) -> None:
        if watch is not None:
            watch[f"{progress.round} {progress.step}"] = keys_held(folder)

    return run_in_process(folder, CoordinatorFolder.open(folder / "coordinator"), listen)


def test_a_draw_is_durable_with_its_attempt_and_gone_after_it(
    tmp_path: Path, tiny_data: Path
) -> None:
    folder = found(tmp_path / "run", tiny_data)
    watch: dict[str, dict[str, list[bytes]]] = {}
    result = run(folder, watch)
    assert all(not keys for keys in watch["1 masked"].values())  # everybody takes part in counts
    first, second = watch["2 masked"], watch["3 masked"]
    for site in SITES:
        assert len(first[site]) == len(second[site]) == 1
        assert len(first[site][0]) == 32
        assert first[site] != second[site]  # afresh for every attempt
    assert len({keys[0] for keys in first.values()}) == len(SITES)
    assert not any(keys_held(folder).values())
    assert [event.sampling for events in result.events for event in events] == [None, 0.5, 0.5]


def test_ledgers_hold_the_rate_and_nothing_of_the_draw(tmp_path: Path, tiny_data: Path) -> None:
    folder = found(tmp_path / "run", tiny_data)
    watch: dict[str, dict[str, list[bytes]]] = {}
    run(folder, watch)
    for site in SITES:
        text = (folder / "sites" / site / "ledger.jsonl").read_text()
        entries = [json.loads(line) for line in text.splitlines()]
        bodies = [entry["body"] for entry in entries if entry["kind"] == "committed"]
        rates = [event["sampling"] for body in bodies for event in body["events"]]
        assert rates == [None, 0.5, 0.5]
        assert len({tuple(sorted(body)) for body in bodies}) == 1  # a drawn round says no more
        for keys in watch["2 masked"].values():
            assert keys[0].hex() not in text


def test_a_draw_of_nobody_still_sends_noise(tmp_path: Path, tiny_data: Path) -> None:
    folder = found(tmp_path / "run", tiny_data, rate=1e-9)
    run(folder)
    coordinator = CoordinatorFolder.open(folder / "coordinator")
    spec = coordinator.plan.specs()[1]
    total = load_file(coordinator.folder / "rounds" / "01.safetensors")["sum"]
    width = float(np.sqrt(len(SITES))) * spec.blocks[0].noise_stddev
    assert np.std(total) == pytest.approx(width, rel=0.2)


def test_a_plan_with_another_rate_than_its_models_is_refused(
    tmp_path: Path, tiny_data: Path
) -> None:
    folder = found(tmp_path / "run", tiny_data)
    plan = CoordinatorFolder.open(folder / "coordinator").plan
    with Site.open(folder / "sites" / SITES[0]) as site:
        check_mechanism(site, plan)
        for rate in (None, 0.25):
            changed = plan.rounds[1].model_copy(update={"sampling": rate})
            rounds = (plan.rounds[0], changed, *plan.rounds[2:])
            with pytest.raises(Refusal, match="rates of sampling") as caught:
                check_mechanism(site, plan.model_copy(update={"rounds": rounds}))
            assert caught.value.code == "plan/mechanism"


def test_a_plan_document_has_a_rate_only_where_users_are_drawn(
    tmp_path: Path, tiny_data: Path
) -> None:
    folder = found(tmp_path / "run", tiny_data, epsilon=inf)
    plan = CoordinatorFolder.open(folder / "coordinator").plan
    document = json.loads(plan.to_bytes())
    assert ["sampling" in entry for entry in document["rounds"]] == [False, True, True]
    assert Plan.from_bytes(plan.to_bytes()) == plan
    assert plan.specs()[1].to_json()["sampling"] == 0.5
    assert "sampling" not in plan.specs()[0].to_json()


def test_one_who_leaves_moves_nobody_elses_coin() -> None:
    key, everyone = b"k" * 32, np.arange(1000)
    before = drawn(everyone, 1000, 0.3, key)
    assert 200 < len(before) < 400
    assert np.array_equal(before, drawn(everyone, 1000, 0.3, key))
    assert not np.array_equal(before, drawn(everyone, 1000, 0.3, b"l" * 32))
    left = np.delete(everyone, before[0])
    assert np.array_equal(drawn(left, 1000, 0.3, key), before[1:])
    assert np.array_equal(drawn(left, 1000, None, key), left)
