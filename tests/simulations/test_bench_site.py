"""`recommons bench site`: a site of generated events takes part in a whole plan, in a process."""

import json
from pathlib import Path

import pytest

from recommons.common import commandline
from recommons.simulations.benchmarks.site_data import SOURCES

SMALL = ("--users", "300", "--events", "3000", "--items", "60", "--json")


@pytest.mark.parametrize("source", SOURCES)
def test_every_event_is_read_and_every_round_is_taken_part_in(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ("--folder", str(tmp_path), "--source", source)
    # In the last case more than allowed: the figures are printed all the same.
    least = ("--memory", "0.01") if source == SOURCES[-1] else ()
    status = commandline.main(["bench", "site", *SMALL, *folder, *least])
    found = json.loads(capsys.readouterr().out)
    assert status == (1 if least else 0)
    assert (found["users"], found["events"]) == (300, 3000)
    steps = {step["step"] for step in found["steps"]}
    assert {f"round {k}: masked" for k in range(3)} <= steps
    assert "round 2: reveal" in steps
    assert found["peak_bytes"] > 1e8
    copy = 16 * 300 + 8 * 301 + 4 * found["pairs"]  # keys, where rows begin, items
    assert copy < found["site_disk_bytes"] < found["most_disk_bytes"]
    assert list(tmp_path.iterdir()) == [], "the generated data are removed"
