"""`recommons simulate --model sequence` from the command line: report, release, and order."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recommons.client.serving.release_files import read_release
from recommons.client.sources import load_dataset
from recommons.common.models.scoring import GlobalModel
from recommons.server.records.folder import CoordinatorFolder
from recommons.simulations.report.schema import parse_report


@pytest.fixture(scope="module")
def folder(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sequence") / "run"
    command = [sys.executable, "-m", "recommons.common.commandline", "simulate"]
    command += ["--data", str(tiny_data), "--sites", "3", "--delta", "1e-3"]
    command += ["--model", "sequence", "--dim", "4", "--set", "steps=1", "--set", "rate=0.5"]
    command += ["--output", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == (folder / "report.json").read_text()
    return folder


def test_the_report_is_of_the_model_and_step_that_were_asked_for(folder: Path) -> None:
    report = parse_report((folder / "report.json").read_bytes())
    plan = CoordinatorFolder.open(folder / "coordinator").plan
    assert report.model.name == plan.model.name == "sequence"
    assert (plan.model.settings["steps"], plan.model.settings["dim"]) == (1, 4)
    assert [entry.sampling for entry in plan.rounds] == [None, None, None, 0.5]
    assert report.model.rounds == report.secure_aggregation.attempts == 4
    assert report.privacy.epsilon == pytest.approx(8.0, rel=1e-3)
    assert 0 < report.metrics.served.recall_at_20 <= 1
    assert "sequence" in (folder / "report.html").read_text()


def test_the_release_scores_by_the_order_of_events(folder: Path, tiny_data: Path) -> None:
    release, metadata = read_release(folder / "model")
    dataset = load_dataset(tiny_data)
    users = dataset.interactions
    assert release.model == "sequence"
    assert metadata.item_ids == dataset.catalogue.item_ids
    assert all(np.isfinite(values).all() for values in release.arrays.values())
    scorer = GlobalModel(release=release).scorer
    forwards = scorer.score(users)
    assert forwards.shape == (90, 40)
    assert np.isfinite(forwards).all()
    assert users.times is not None
    backwards = scorer.score(replace(users, times=users.times.max() - users.times))
    assert (np.abs(forwards - backwards).max(axis=1) > 1e-6).all()
