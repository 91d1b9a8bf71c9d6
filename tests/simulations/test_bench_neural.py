"""The harness of neural models: central lines on validation users, and whole runs."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from recommons.client.sources import load_dataset
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.data.splits import apply_roles
from recommons.common.errors import InvalidInput
from recommons.common.metrics import evaluate
from recommons.common.models.interface import ModelRelease
from recommons.common.models.scoring import GlobalModel
from recommons.server.rounds.training import TrainingResult
from recommons.simulations.benchmarks import neural, pipeline
from recommons.simulations.benchmarks.given import JudgedUsers

SMALL = ["steps=2", "rate=0.5", 'warm="content"', "features=4", "clip=1.0"]


@pytest.fixture(scope="module")
def split_data(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data with a fixed split: users 60 to 74 validate, 75 to 89 test."""
    folder = tmp_path_factory.mktemp("split")
    events = (tiny_data / "events.csv").read_text()
    (folder / "events.csv").write_text(events)
    (folder / "items.csv").write_text((tiny_data / "items.csv").read_text())
    (folder / "benchmark").mkdir()
    roles = {f"u{user:03d}": "valid" if user < 75 else "test" for user in range(60, 90)}
    hidden: dict[str, list[str]] = {user: [] for user in roles}
    for line in events.splitlines()[1:]:
        user, item, _ = line.split(",")
        if user in roles and len(hidden[user]) < 3:
            hidden[user].append(item)
    lines = ["user_id,role", *(f"{user},{role}" for user, role in roles.items())]
    (folder / "benchmark" / "users.csv").write_text("\n".join(lines) + "\n")
    pairs = [f"{user},{item}" for user, items in hidden.items() for item in items]
    (folder / "benchmark" / "heldout.csv").write_text("\n".join(["user_id,item_id", *pairs]) + "\n")
    return folder


def test_a_whole_run_prints_one_line_of_what_its_own_release_scores(
    split_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Real apps and sums; judged are the users that were asked for, none of whom trains."""
    kept: list[ModelRelease] = []
    trained: list[tuple[set[str], dict[str, object]]] = []

    def noting(
        catalogue: Catalogue, user_ids: pl.Series, users: Interactions, **options: Any
    ) -> tuple[ModelRelease, TrainingResult]:
        trained.append((set(user_ids), options))
        release, training = pipeline.whole_run(catalogue, user_ids, users, **options)
        kept.append(release)
        return release, training

    monkeypatch.setattr(neural, "whole_run", noting)
    monkeypatch.setattr(neural, "_SITES", 3)
    neural.main(
        split_data, epsilon=8.0, dim=4, settings=SMALL, whole=True, users=JudgedUsers.TEST, seed=5
    )
    (line,) = capsys.readouterr().out.splitlines()
    found = json.loads(line)
    assert (found["seed"], found["model"], found["epsilon"]) == (5, "two-tower", 8.0)
    assert found["users"] == "test"
    ((ids, options),) = trained
    assert ids == {f"u{user:03d}" for user in range(60)}
    assert options["settings"] == {
        "steps": 2, "rate": 0.5, "warm": "content", "features": 4, "clip": 1.0, "dim": 4,
    }  # fmt: skip
    assert (options["epsilon"], options["delta"], options["seed"]) == (8.0, 0.000207, 5)
    dataset = load_dataset(split_data)
    assert dataset.roles is not None
    split = apply_roles(dataset.interactions, dataset.roles)
    scorer = GlobalModel(release=kept[0]).scorer
    expected = evaluate(scorer.score, split.test.fold_in, split.test.held_out).means()
    other = evaluate(scorer.score, split.validation.fold_in, split.validation.held_out).means()
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert expected != other  # so that it matters who is judged


def test_lines_of_a_central_training_name_its_settings_and_steps(
    split_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    neural.main(split_data, epsilon=8.0, dim=4, settings=SMALL, every=1)
    settings, *lines = capsys.readouterr().out.splitlines()
    assert json.loads(settings)["steps"] == 2
    assert [int(line.split()[0]) for line in lines] == [0, 1, 2]
    assert all("recall@20" in line for line in lines)


def test_data_without_a_fixed_split_are_refused(tiny_data: Path) -> None:
    with pytest.raises(InvalidInput, match="a benchmark with a split"):
        neural.main(tiny_data, whole=True)


def test_whom_to_judge_is_validation_or_test_and_nothing_else(split_data: Path) -> None:
    """As `python -m` runs it: options by the names that the docs have."""
    app = typer.Typer()
    app.command()(neural.main)
    done = CliRunner().invoke(app, [str(split_data), "--whole", "--users", "tset"])
    assert done.exit_code == 2
    assert "tset" in done.output
