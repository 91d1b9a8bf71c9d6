"""`recommons compare`: whole runs of several plans, one table, one picture."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from recommons.common.commandline import main
from recommons.common.errors import InvalidInput
from recommons.simulations import comparison
from recommons.simulations.comparison import contenders
from recommons.simulations.comparison_picture import draw
from recommons.simulations.comparison_point import Point
from recommons.simulations.settings import SimulationSettings

COMMAND = [sys.executable, "-m", "recommons.common.commandline", "compare"]


@pytest.fixture(scope="module")
def compared(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    towers = 'model = "two-tower"\nsites = 3\ndim = 3\n[settings]\nsteps = 1\nwarm = "content"\n'
    (folder / "towers.toml").write_text(towers)
    (folder / "small.toml").write_text('model = "als"\nsites = 3\ndim = 2\n')
    done = subprocess.run(
        [
            *(*COMMAND, str(folder / "small.toml"), str(folder / "towers.toml")),
            *("--data", str(tiny_data), "--epsilons", "2,inf", "--json"),
            *("--output", str(folder / "out")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "printed.json").write_text(done.stdout)
    return folder


def test_every_plan_is_run_at_every_epsilon(compared: Path) -> None:
    document = json.loads((compared / "printed.json").read_text())
    assert document == json.loads((compared / "out" / "comparison.json").read_text())
    found = [(point["name"], point["epsilon"]) for point in document["results"]]
    assert found == [("small", "2"), ("small", "inf"), ("towers", "2"), ("towers", "inf")]
    for point in document["results"]:
        assert 0 <= point["served"] <= 1
        assert point["bytes_up"] > 0
        assert point["training_seconds"] > 0
    rounds = {point["name"]: point["rounds"] for point in document["results"]}
    assert rounds == {"small": 3, "towers": 2}


def test_the_picture_names_every_plan_and_every_figure(compared: Path) -> None:
    path = compared / "out" / "comparison.svg"
    assert ElementTree.parse(path).getroot().tag.endswith("svg")  # noqa: S314 - our own file
    text = path.read_text()
    for words in ("small", "towers", "ε=2", "ε=inf", "Sent by a site", "recall@20"):
        assert words in text


def test_the_same_points_draw_the_same_picture(compared: Path) -> None:
    document = json.loads((compared / "printed.json").read_text())
    points = [Point(**point) for point in document["results"]]
    assert draw(points, "recall@20") == draw(points, "recall@20")
    assert draw(points, "recall@20") == (compared / "out" / "comparison.svg").read_text()


PLAN = """model = "two-tower"
epsilon = 3
delta = 1e-4
colluding = 0
min_survivors = 3
spare_attempts = 1
catalogue = "catalogue.json"
[settings]
dim = 3
steps = 1
warm = "content"
features = 4
[sites]
arras = 300
brest = 200
calais = 100
"""


def test_of_a_plan_file_model_guarantee_and_number_of_sites_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    loaded = SimulationSettings.load(path, {"epsilon": "inf"})
    assert loaded == SimulationSettings(
        model="two-tower",
        settings={"dim": 3, "steps": 1, "warm": "content", "features": 4},
        epsilon=float("inf"),
        delta=1e-4,
        colluding=0,
        min_survivors=3,
        spare_attempts=1,
        sites=3,
    )
    path.write_text('model = "als"\nitems = 40\nsites = 4\nusers_per_site = 100\n')
    assert SimulationSettings.load(path, {}) == SimulationSettings(model="als", sites=4)
    path.write_text("items = 40\nsites = 4\n")
    with pytest.raises(InvalidInput, match="users_per_site") as refusal:
        contenders([str(path)])
    assert refusal.value.code == "plan/file"


def test_a_plan_file_without_noise_gives_the_same_twice_but_for_seconds(
    tiny_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    command = [*COMMAND, str(tmp_path / "plan.toml"), "--data", str(tiny_data)]
    command += ["--epsilons", "inf", "--seed", "3", "--json"]
    found = []
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        (point,) = json.loads(done.stdout)["results"]
        assert point.pop("training_seconds") > 0
        found.append(point)
    assert found[0] == found[1]
    assert (found[0]["name"], found[0]["epsilon"], found[0]["rounds"]) == ("plan", "inf", 2)


def test_a_models_name_stands_for_its_defaults(tmp_path: Path) -> None:
    found = contenders(["als", "two-tower"])
    assert [(c.name, c.plan) for c in found] == [("als", None), ("two-tower", None)]
    plan = tmp_path / "als.toml"
    plan.write_text('model = "ease"\n')
    with pytest.raises(InvalidInput, match="no two of one name"):
        contenders(["als", str(plan)])
    with pytest.raises(InvalidInput, match=r"magic is neither a model \(als, ease, .*file"):
        contenders(["magic"])


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whole runs that take no time; gives what was run."""
    run: list[str] = []

    def whole_run(options: dict[str, Any], plan: Path | None) -> dict[str, Any]:
        run.append(str(options["--epsilon"]))
        quality = {"recall@20": 0.1 + 0.01 * len(run)}
        sums = {"bytes_up_per_site": 2_431_411, "bytes_down_per_site": 12_431_411, "rounds": 120}
        return {
            "metrics": {"served": quality, "global": quality},
            "baselines": {"site_alone": quality},
            "secure_aggregation": sums,
            "seconds_by_stage": {"training": 7_320.0},
        }

    monkeypatch.setattr(comparison, "whole_run", whole_run)
    monkeypatch.setenv("COLUMNS", "80")
    return run


def test_the_table_fits_eighty_columns_and_the_files_are_named(
    played: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["compare", "two-tower", "als", "--epsilons", "4, inf", "--runs", "2"]
    assert main([*words, "--output", str(out)]) == 0
    printed = capsys.readouterr()
    assert played == ["4", "4", "inf", "inf"] * 2
    assert "…" not in printed.out
    rows = [line for line in printed.out.splitlines() if line.startswith("two-tower")]
    assert len(rows) == 2
    assert all(row.rstrip().endswith("2 h 02 min") and len(row.rstrip()) <= 80 for row in rows)
    assert "run 1 of 8: two-tower, ε = 4" in printed.err
    assert "run 8 of 8 (" in printed.err
    assert f"{out / 'comparison.json'}" in printed.err.replace("\n", "")
    assert f"{out / 'comparison.svg'}" in printed.err.replace("\n", "")


@pytest.mark.parametrize("epsilons", ["8,-1", "8,", "8,four"])
def test_an_epsilon_that_is_none_is_refused_before_the_first_run(
    played: list[str], epsilons: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "als", "--epsilons", epsilons]) == 2
    assert "epsilon" in capsys.readouterr().err
    assert played == []
