"""`recommons bench opacus`: each way gives the same sum, figures are written, memory is bounded."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from recommons.common.models.neural.clipping import clipped_sum
from recommons.simulations.benchmarks.opacus import QUICK, Extent, _cases, _measured
from recommons.simulations.benchmarks.opacus_case import Case, measure


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench") / "new"
    command = [sys.executable, "-m", "recommons.common.commandline", "bench", "opacus"]
    done = subprocess.run(
        [*command, "--quick", "--json", "--output", str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == json.loads((folder / "opacus.json").read_text())
    return folder


def test_every_way_is_measured_on_every_size(quick: Path) -> None:
    rows = json.loads((quick / "opacus.json").read_text())["results"]
    found = {(row["way"], row["loss"], row["items"], row["users"]) for row in rows}
    for way in ("plain", "ghost", "hooks"):
        for items in QUICK.catalogues:
            assert (way, "full-softmax", items, QUICK.users) in found
        for users in QUICK.batches:
            assert (way, "sampled-softmax", QUICK.items, users) in found
    for row in rows:
        assert row["figures"]["seconds"] > 0
        assert row["figures"]["peak_mb"] >= row["figures"]["base_mb"] > 0


def test_the_picture_is_an_svg_that_says_what_it_shows(quick: Path) -> None:
    root = ElementTree.parse(quick / "opacus.svg").getroot()  # noqa: S314 - our own file
    assert root.tag.endswith("svg")
    text = (quick / "opacus.svg").read_text()
    assert "What clipping each user costs" in text
    assert "ghost clipping" in text


def test_gradients_beyond_the_limit_are_not_tried() -> None:
    extent = Extent(catalogues=(1000,), users=20, batches=(20,), items=1000, limit_mb=1)
    rows = [_measured(case, extent) for case in _cases(extent, ("cpu",)) if case.way == "hooks"]
    assert rows
    assert all(row.figures is None for row in rows)
    assert rows[0].to_json()["gradients_mb"] == pytest.approx(1000 * 129 * 8 * 20 / 2**20)


def test_ghost_norms_and_users_gradients_give_one_sum() -> None:
    """What is timed against each other is the same sum."""
    from recommons.simulations.benchmarks import opacus_case

    sums: dict[str, dict[str, torch.Tensor]] = {}
    torch.manual_seed(0)
    case = Case(way="ghost", loss="sampled-softmax", items=60, users=7, dim=4, repeats=0)

    def keep(module: torch.nn.Module, batches: object, way: str) -> None:
        torch.manual_seed(1)
        for parameter in module.parameters():
            parameter.data.normal_(0.0, 0.1)
        listed = list(batches)  # type: ignore[call-overload]
        for other in ("ghost", "hooks"):
            sums[other] = clipped_sum(module, listed, clip=0.1, clipping=other)

    original = opacus_case._step
    opacus_case._step = keep
    try:
        measure(case)
    finally:
        opacus_case._step = original
    for name, found in sums["ghost"].items():
        assert np.allclose(found.numpy(), sums["hooks"][name].numpy(), atol=1e-10)
        assert found.abs().sum() > 0
