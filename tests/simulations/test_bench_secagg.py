"""`recommons bench secagg`: real work in small, what it writes, and that wrong sums are refused."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from recommons.common.errors import RecommonsError
from recommons.common.secagg.messages import MessageKind
from recommons.simulations.benchmarks import secagg_expansion
from recommons.simulations.benchmarks.secagg_attempt import AttemptCost, play_attempt
from recommons.simulations.benchmarks.secagg_cohort import Cohort
from recommons.simulations.benchmarks.secagg_expansion import measure_expansion
from recommons.simulations.benchmarks.secagg_rows import TARGETS
from recommons.simulations.benchmarks.timings import Timings

ROW = {"name", "ours", "peer", "unit", "ratio"}


def silent(_: str) -> None: ...


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command writes and prints in its quick form."""
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "recommons.common.commandline", "bench", "secagg"]
    done = subprocess.run(
        [*command, "--quick", "--json", "--output", str(folder / "new")],
        capture_output=True,
        text=True,
        check=True,
    )
    (folder / "printed.json").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def document(quick: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((quick / "new" / "secagg.json").read_text())
    return found


def test_json_is_printed_as_it_is_written(quick: Path, document: dict[str, Any]) -> None:
    assert json.loads((quick / "printed.json").read_text()) == document


def test_results_are_the_four_rows_with_their_ratios(document: dict[str, Any]) -> None:
    rows = document["results"]
    assert [row["name"] for row in rows] == list(TARGETS)
    assert document["targets"] == TARGETS
    for row in rows:
        assert set(row) == ROW
        faster = row["peer"] / row["ours"] if row["unit"] == "ms" else row["ours"] / row["peer"]
        assert math.isclose(row["ratio"], faster)
        assert row["ratio"] > 0


def test_every_repetition_is_kept_by_both_clocks(document: dict[str, Any]) -> None:
    for row in document["results"]:
        samples = document["samples"][row["name"]]
        assert "ours" in samples
        assert all(len(times["cpu"]) == len(times["wall"]) == 2 for times in samples.values())
        if row["unit"] == "ms":
            least = min(*samples["ours"]["cpu"], *samples["ours"]["wall"])
            assert math.isclose(row["ours"], least * 1e3)


def test_attempts_of_growing_cohorts_report_cost_and_bytes(document: dict[str, Any]) -> None:
    attempts = [AttemptCost(**attempt) for attempt in document["attempts"]]
    assert [(a.sites, a.dropped, a.unmasked, a.survivors) for a in attempts] == [
        (4, 1, 1, 3),
        (10, 1, 1, 9),
    ]
    for attempt in attempts:
        assert 0 < attempt.recovery_cpu_seconds < attempt.coordinator_cpu_seconds
        assert 0 < attempt.site_cpu_seconds <= attempt.site_cpu_seconds_most
        assert math.isclose(
            attempt.coordinator_cpu_seconds, sum(attempt.coordinator_cpu_by_step.values())
        )
        assert math.isclose(attempt.site_cpu_seconds, sum(attempt.site_cpu_by_step.values()))
        assert attempt.memory_bytes > 2**20
        assert attempt.overhead_per_member <= 1024


def test_the_bytes_of_an_attempt_are_those_the_specification_counts() -> None:
    cost = play_attempt(Cohort(sites=6, coordinates=50), processes=1, listen=silent)
    # The snippet of docs/secure-aggregation.md for U1 = 6, U2 = 6, U3 and signers = 5: the last
    # site's masked vector is lost.
    header, places, depth = 34, 3, 3
    sent = [header + 2 + 128, header + 2 + places + 32 + 64 * 6 + 114 * 5 + 64]
    sent += [header + 2 + places + 1 + 8 + 64, header + 2 + 64]
    sent += [header + 2 + 2 * places + 49 * 6 + 64]
    received = [header + places + 128 * 6 + 8 + 8]
    received += [header + 2 + places + 1 + 5 * (3 * 32 + 114 + 32 * depth + 64)]
    received += [header + 2 * places, header + 32 + 3 * places + 64 * 5]
    assert math.isclose(cost.overhead_per_member, (sum(sent) + sum(received)) / 6)


def test_expansion_is_measured_three_ways(document: dict[str, Any]) -> None:
    ways = [(cost["way"], cost["workers"]) for cost in document["expansions"]]
    cores = os.cpu_count()
    assert ways == [("one thread", 1), ("threads", cores), ("processes", cores)]


def test_the_picture_is_a_document_of_its_own_with_every_row(quick: Path) -> None:
    picture = (quick / "new" / "secagg.svg").read_text()
    assert ElementTree.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own
    assert "prefers-color-scheme" in picture
    for words in (*TARGETS, "coordinator", "recovery"):
        assert words in picture


def test_a_tenth_of_a_cohort_drops_out_at_every_step() -> None:
    lost = Cohort(sites=1000, coordinates=1).dropouts
    assert len(lost) == 100
    kinds = list(lost.values())
    assert {kind: kinds.count(kind) for kind in kinds} == {
        MessageKind(number): 20 for number in (1, 3, 5, 7, 9)
    }
    assert set(Cohort(sites=4, coordinates=1).dropouts.values()) == {MessageKind.MASKED}


def test_a_wrong_sum_ends_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cohort, "plain_sum", lambda self, names: np.zeros(8, np.int64))
    with pytest.raises(RecommonsError, match="not that of the survivors"):
        play_attempt(Cohort(sites=4, coordinates=8), processes=1, listen=silent)


def test_different_masks_end_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = secagg_expansion._in_processes

    def altered(words: Any, job: Any, processes: int) -> Any:
        times = honest(words, job, processes)
        words += np.uint32(1)
        return times

    monkeypatch.setattr(secagg_expansion, "_in_processes", altered)
    with pytest.raises(RecommonsError, match="different masks"):
        measure_expansion(dropped=1, survivors=2, coordinates=8, workers=1)


def test_the_lesser_clock_counts() -> None:
    assert Timings(cpu=[3.0, 2.0], wall=[1.5, 4.0]).least == 1.5
