"""`recommons budget plan`: the figures are those of the run it plans for, and each is shown."""

import json
import math
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recommons.common.privacy.accounting import epsilon, epsilon_of
from recommons.common.privacy.calibration import worst_case
from recommons.common.privacy.events import Cohort, Reading, events_of_round
from recommons.server.planning.budget import Budget, plan_budget
from recommons.server.planning.budget_command import budget as command
from recommons.server.planning.budget_display import budget_document
from recommons.server.planning.budget_picture import budget_picture
from recommons.server.planning.plan_file import read_plan_file
from recommons.server.planning.wish import specs_for

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "docs" / "examples" / "plan.toml"
PLAN = "items = 300\nsites = 8\nusers_per_site = 740\nmin_survivors = 7\nspare_attempts = 2\n"
SVG = "{http://www.w3.org/2000/svg}"


def planned(folder: Path, text: str = PLAN) -> Budget:
    path = folder / "plan.toml"
    path.write_text(text)
    return plan_budget(read_plan_file(path))


def run(*arguments: str) -> str:
    result = CliRunner().invoke(command, ["plan", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_each_release_adds_up_to_what_is_released_in_every_reading(tmp_path: Path) -> None:
    budget = planned(tmp_path)
    cohort = Cohort(sites=8, min_survivors=7, colluding=1)
    events = [
        event
        for index, spec in enumerate(budget.specs)
        for event in events_of_round(spec, cohort, round_index=index)
    ]
    assert [(r.round, r.block) for r in budget.releases] == [(e.round, e.block) for e in events]
    for place, release in enumerate(budget.releases):
        done = events[: place + 1]
        assert release.so_far.planned == epsilon(done, 1e-6)
        assert release.so_far.all_honest == epsilon(done, 1e-6, Reading.ALL_HONEST)
        assert release.so_far.own_share == epsilon(done, 1e-6, Reading.OWN_SHARE)
        assert release.alone == epsilon([events[place]], 1e-6)
    assert budget.released == budget.releases[-1].so_far
    total = math.sqrt(math.fsum(r.mu**2 for r in budget.releases))
    assert total < math.fsum(r.mu for r in budget.releases)


def test_reserved_is_the_target_and_no_more(tmp_path: Path) -> None:
    budget = planned(tmp_path)
    assert 8 * (1 - 1e-4) <= budget.reserved.planned <= 8
    assert budget.released.planned < budget.reserved.planned
    assert budget.reserved.all_honest < budget.reserved.planned < budget.reserved.own_share
    without = planned(tmp_path, PLAN.replace("spare_attempts = 2", ""))
    assert without.released.planned == pytest.approx(without.reserved.planned, rel=1e-12)


def test_noise_is_of_a_full_sum_in_units_of_one_users_part(tmp_path: Path) -> None:
    """μ from it by hand: the planned shares are M - c of N."""
    budget = planned(tmp_path)
    for release in budget.releases:
        counted = release.noise * math.sqrt(6 / 8)
        assert release.mu == pytest.approx(1 / counted, rel=1e-6)


@pytest.mark.parametrize("what", ["colluding", "min_survivors", "spare_attempts"])
def test_what_caution_costs_is_what_such_a_plan_would_add(tmp_path: Path, what: str) -> None:
    budget = planned(tmp_path)
    rows = [change for change in budget.changes if change.what == what]
    assert sum(change.current for change in rows) == 1
    for change in rows:
        cohort = Cohort(sites=8, min_survivors=change.min_survivors, colluding=change.colluding)
        by_hand = math.sqrt(6 / (change.min_survivors - change.colluding))
        # Of the budget, the costliest round takes .9·.6 again for each spare attempt.
        by_hand *= math.sqrt((1 + change.spare_attempts * 0.54) / (1 + 2 * 0.54))
        assert change.noise == pytest.approx(by_hand, rel=1e-4)
        worst = worst_case(budget.specs, cohort, change.spare_attempts)
        assert change.epsilon == epsilon_of(worst, 1e-6)
        assert (change.epsilon <= 8) is (change.noise <= 1)


def test_the_rows_go_from_no_caution_to_all_that_is_permitted(tmp_path: Path) -> None:
    changes = planned(tmp_path).changes
    assert [c.colluding for c in changes if c.what == "colluding"] == [0, 1, 2, 3]
    assert [c.min_survivors for c in changes if c.what == "min_survivors"] == [8, 7, 6, 5]
    assert [c.spare_attempts for c in changes if c.what == "spare_attempts"] == [0, 1, 2, 3]


def test_a_larger_c_that_needs_a_larger_least_m_gets_it(tmp_path: Path) -> None:
    text = PLAN.replace("min_survivors = 7", "min_survivors = 5")
    rows = [c for c in planned(tmp_path, text).changes if c.what == "colluding"]
    assert [(c.colluding, c.min_survivors) for c in rows] == [(0, 5), (1, 5), (2, 6), (3, 6)]


def test_a_thousand_sites_are_sampled_and_three_go_to_their_edge(tmp_path: Path) -> None:
    many = planned(tmp_path, "items = 30\nsites = 1000\nusers_per_site = 90\nmin_survivors = 900\n")
    survivors = [c.min_survivors for c in many.changes if c.what == "min_survivors"]
    assert survivors[0] == 1000
    assert survivors[-1] == many.least_survivors == 501
    assert 900 in survivors
    assert len(survivors) <= 7
    few = planned(tmp_path, "items = 30\nsites = 3\nusers_per_site = 90\n")
    assert [c.colluding for c in few.changes if c.what == "colluding"] == [0, 1]
    assert [c.min_survivors for c in few.changes if c.what == "min_survivors"] == [3]


def test_a_change_that_no_noise_can_grant_is_out_of_reach(tmp_path: Path) -> None:
    text = "items = 40\nsites = 8\nusers_per_site = 900\nepsilon = 4e-4\n"
    budget = planned(tmp_path, text + "max_sites_per_person = 3\n")
    *possible, last = [c.noise for c in budget.changes if c.what == "spare_attempts"]
    assert max(possible) < last == math.inf
    assert budget_picture(budget).count("out of reach") == 1
    assert budget_document(budget)["changes"][-1]["noise"] is None
    assert "out of reach" in run(str(tmp_path / "plan.toml"))


def test_without_noise_nothing_is_claimed(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN + 'epsilon = "inf"\n')
    document = json.loads(run(str(path), "--json"))
    assert document["accountant"] == "none"
    assert document["reserved"] == {"planned": None, "all_honest": None, "own_share": None}
    assert (document["changes"], document["noise_price"]) == ([], None)
    assert "no differential privacy guarantee" in " ".join(run(str(path)).split())
    assert "No noise, no guarantee" in budget_picture(plan_budget(read_plan_file(path)))


def test_the_table_shows_every_release_both_totals_and_every_change(tmp_path: Path) -> None:
    budget = planned(tmp_path)
    path = tmp_path / "plan.toml"
    shown = run(str(path))
    for release in budget.releases:
        assert f"round {release.round + 1}, {release.block}" in shown
    for words in ("released, each round once", "reserved, with 2 spare attempts", "own share"):
        assert words in shown
    for words in ("c = 3, M = 7", "M = 5", "0 spare attempts", "2 spare attempts (this plan)"):
        assert words in shown
    told = " ".join(shown.split())
    assert "δ=10⁻⁶ for one user, at one site, added or removed" in told
    assert "M=7" in told
    assert "name a catalogue document" in told


def test_json_holds_every_figure_unrounded(tmp_path: Path) -> None:
    budget = planned(tmp_path)
    document = json.loads(run(str(tmp_path / "plan.toml"), "--json"))
    assert document["reserved"]["planned"] == budget.reserved.planned
    assert document["released"]["own_share"] == budget.released.own_share
    assert [r["so_far"]["planned"] for r in document["releases"]] == [
        r.so_far.planned for r in budget.releases
    ]
    assert [c["noise"] for c in document["changes"]] == [c.noise for c in budget.changes]
    assert (document["unit"], document["neighbours"]) == ("user", "add-or-remove one user")
    assert document["least_survivors"] == 5


def test_the_picture_is_an_svg_of_its_own_that_shows_the_same(tmp_path: Path) -> None:
    budget = planned(tmp_path)
    picture = tmp_path / "deeper" / "budget.svg"
    shown = run(str(tmp_path / "plan.toml"), "--picture", str(picture))
    assert picture.name in shown.replace("\n", "")
    text = picture.read_text()
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    root = ET.fromstring(text)  # noqa: S314 - our own file
    words = {element.text for element in root.iter(f"{SVG}text")}
    for release in budget.releases:
        assert f"round {release.round + 1}, {release.block}" in words
    assert {"2 spare attempts, reserved", "a site's own share alone", "c = 3, M = 7"} <= words
    assert root.find(f"{SVG}title") is not None
    width, height = (float(v) for v in root.attrib["viewBox"].split()[2:])
    bars = [
        {name: float(e.attrib[name]) for name in ("x", "y", "width", "height")}
        for e in root.iter(f"{SVG}rect")
        if e.get("class") != "paper"
    ]
    assert len(bars) >= len(budget.releases) + 1 + 3 + len(budget.changes)
    for bar in bars:
        assert 0 <= bar["x"] <= bar["x"] + bar["width"] <= width
        assert 0 <= bar["y"] <= bar["y"] + bar["height"] <= height
    # Bars of releases are in proportion to ε: the second begins where the first ends.
    spent = [e for e in root.iter(f"{SVG}rect") if e.get("class") == "spent"]
    first, second = spent[0].attrib, spent[1].attrib
    assert float(second["x"]) == pytest.approx(float(first["x"]) + float(first["width"]), abs=0.11)
    scale = float(first["width"]) / budget.releases[0].so_far.planned
    assert float(second["width"]) == pytest.approx(
        scale * (budget.releases[1].so_far.planned - budget.releases[0].so_far.planned), abs=0.11
    )


def test_another_kind_of_picture_is_refused_by_name(tmp_path: Path) -> None:
    planned(tmp_path)
    result = CliRunner().invoke(
        command, ["plan", str(tmp_path / "plan.toml"), "--picture", "b.png"]
    )
    assert getattr(result.exception, "code", None) == "budget/picture"


def test_the_example_of_the_docs_runs_and_is_what_the_run_would_use() -> None:
    document = json.loads(run(str(EXAMPLE), "--json"))
    planned_run = read_plan_file(EXAMPLE)
    specs = specs_for(planned_run.model, planned_run.declared_users, planned_run.wish)
    assert not planned_run.counted_only
    assert document["ring_bits"] == [spec.ring_bits for spec in specs]
    assert document["upload_bytes"] == sum(s.size * s.ring_bits // 8 for s in specs)
    assert document["reserved"]["planned"] <= 8


def test_the_command_answers_within_seconds_and_imports_nothing_heavy(tmp_path: Path) -> None:
    planned(tmp_path, "items = 100000\nsites = 40\nusers_per_site = 30000\n")
    program = (
        "import sys\n"
        "from recommons.server.planning.budget_command import budget\n"
        f"budget(['plan', {str(tmp_path / 'plan.toml')!r}], standalone_mode=False)\n"
        "heavy = {'torch', 'flwr', 'opacus', 'matplotlib', 'dp_accounting', 'polars'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert time.perf_counter() - start < 20  # two to four seconds on a machine at rest
