"""`recommons recommend` on a joined site's own folder."""

import json
import re
import shutil
from pathlib import Path

import pytest

from recommons.client.releases import served
from recommons.client.serving.served_model import open_model
from recommons.common.commandline import main
from recommons.common.errors import InvalidInput
from recommons.server.records.folder import CoordinatorFolder
from recommons.server.records.releases import RELEASES, ReleaseShelf
from recommons.server.rounds.guarantee import metadata_of
from recommons.simulations import simulate
from recommons.simulations.settings import SimulationSettings
from recommons.simulations.training_run import run_in_process


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Path:
    """The folder of `site-01`, to which a release has come as the agent leaves it."""
    folder = tmp_path_factory.mktemp("joined")
    fields = {"data": str(tiny_data), "sites": 3, "model": "als", "epsilon": 8.0}
    run: CoordinatorFolder = simulate.found(SimulationSettings.load(None, fields), folder)
    result = run_in_process(folder, run)
    metadata = metadata_of(run, [event for events in result.events for event in events])
    ReleaseShelf(run.folder / RELEASES).publish(run, result.release, metadata, epsilon=8.0)
    site = folder / "sites" / "site-01"
    shutil.copytree(run.folder / RELEASES, site / "models")
    return site


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, object]]:
    capsys.readouterr()
    status = main([*words, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_a_site_serves_the_latest_release_with_its_own_users_added(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told = said(["recommend", str(trained), "--items", "i01,i02", "-k", "5"], capsys)
    assert (status, told["site"]) == (0, "site-01")
    recommended = told["recommendations"]
    assert isinstance(recommended, list)
    # The basket's half of the catalogue; of five, the noise may bring in one of the other half.
    kin = {f"i{n:02d}" for n in range(20)}
    assert len({item["item_id"] for item in recommended} - kin) <= 1
    kept = trained / "models" / "001" / "serving.json"
    chosen = json.loads(kept.read_bytes())
    # The choice is made once a release; it decides what is served.
    another = {"local_weight": chosen["local_weight"] + 3.0, "alone_share": 0.5}
    kept.write_text(json.dumps(chosen | another))
    _, again = said(["recommend", str(trained), "--items", "i01,i02", "-k", "5"], capsys)
    assert again["recommendations"] != recommended
    kept.unlink()


def test_a_site_speaks_for_itself_alone(trained: Path) -> None:
    assert open_model(trained, site="site-01").site == "site-01"
    with pytest.raises(InvalidInput) as refused:
        open_model(trained, site="site-02")
    assert refused.value.code == "recommend/unknown-site"


def test_without_a_release_or_with_another_catalogue_nothing_is_recommended(
    trained: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "sites" / "site-01"
    shutil.copytree(trained, bare, ignore=shutil.ignore_patterns("models", "cache"))
    (tmp_path / "coordinator").mkdir()
    shutil.copy(trained.parents[1] / "coordinator" / "catalogue.json", tmp_path / "coordinator")
    with pytest.raises(InvalidInput) as refused:
        open_model(bare)
    assert refused.value.code == "release/none"
    shutil.copytree(trained / "models", bare / "models")
    assert open_model(bare).site == "site-01"
    path = tmp_path / "coordinator" / "catalogue.json"
    path.write_text(path.read_text().replace('"i39"', '"i99"'))
    with pytest.raises(InvalidInput) as refused:
        open_model(bare)
    assert refused.value.code == "release/catalogue"


def test_a_release_whose_file_was_changed_is_not_served(trained: Path, tmp_path: Path) -> None:
    site = tmp_path / "site-01"
    shutil.copytree(trained, site)
    arrays = site / "models" / "001" / "model.safetensors"
    content = bytearray(arrays.read_bytes())
    content[-1] ^= 1
    arrays.write_bytes(content)
    with pytest.raises(InvalidInput) as refused:
        open_model(site)
    assert refused.value.code == "release/corrupt"


def test_models_are_listed_with_a_size_that_is_never_nothing(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["site", "model", "list", str(trained)]) == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert "size" in heading
    assert re.search(r" [1-9][0-9.]* k?B  ", row)


def test_an_earlier_release_is_served_by_its_name(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "sites" / "site-01"
    shutil.copytree(trained, site)
    (tmp_path / "coordinator").mkdir()
    shutil.copy(trained.parents[1] / "coordinator" / "catalogue.json", tmp_path / "coordinator")
    assert open_model(site, release="001").site == "site-01"
    for folder, name in ((site, "002"), (site, "../001"), (trained.parents[1], "001")):
        status = main(["recommend", str(folder), "--items", "i01", "--release", name])
        assert status == 2
        assert "release/missing" in capsys.readouterr().err
    assert served(site, "001").path == served(site).path == site / "models" / "001"


def test_a_site_says_where_it_serves_its_own_model_alone(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, told = said(["recommend", str(trained), "--items", "i01,i02"], capsys)
    kept = trained / "models" / "001" / "serving.json"
    chosen = json.loads(kept.read_bytes())
    assert told["serving"] == chosen
    for share, alone in ((1.0, True), (0.5, False)):
        kept.write_text(json.dumps(chosen | {"alone_share": share, "neural_share": 0.0}))
        assert main(["recommend", str(trained), "--items", "i01,i02"]) == 0
        assert ("its own alone is served" in capsys.readouterr().err) is alone
    kept.unlink()
