"""`recommons recommend`, from a released model on disk to lists."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recommons.client.serving.release_files import read_release, write_release
from recommons.client.serving.served_model import load_site, open_model, read_choice, write_choice
from recommons.client.sources import load_dataset, read_histories, write_histories
from recommons.common.commandline import main
from recommons.common.data.catalogue import Catalogue, FeatureColumn
from recommons.common.data.catalogue_document import catalogue_to_bytes
from recommons.common.data.dataset import Dataset
from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput
from recommons.common.models.als import AlsModel, AlsSettings
from recommons.common.models.interface import (
    BlockRequest,
    ModelRelease,
    NoisySum,
    PublicFigures,
)
from recommons.common.models.release import ReleaseMetadata
from recommons.common.models.scoring import GlobalModel
from recommons.common.models.site import SiteChoice, fit_site
from recommons.common.privacy.mechanism import BlockMechanism

SITE = "site-1"
CHOICE = SiteChoice(kernel_weight=0.8, ridge=2.0, local_weight=1.0, alone_share=0.5)


def block(request: BlockRequest) -> BlockMechanism:
    """A block summed exactly, but for its fine grid."""
    return BlockMechanism(
        name=request.name,
        size=request.size,
        clip=request.clip,
        sensitivity=1 << 20,
        clamp=1 << 40,
        noise_stddev=0.0,
    )


def train(dataset: Dataset) -> ModelRelease:
    """An als model of all users, without noise and without a federation."""
    figures = PublicFigures(
        declared_users={SITE: dataset.n_users}, n_items=len(dataset.catalogue), epsilon=8.0
    )
    model = AlsModel(catalogue=dataset.catalogue, options=AlsSettings.choose(figures, dim=4))
    done: list[Mapping[str, NoisySum]] = []
    for number, requests in enumerate(model.rounds()):
        blocks = tuple(map(block, requests))
        sums = model.contribute(
            number, model.public_state(tuple(done)), dataset.interactions, blocks
        )
        done.append(
            {b.name: NoisySum(values=np.float64(b.grid) * sums[b.name], stddev=0.0) for b in blocks}
        )
    return model.release(tuple(done))


@pytest.fixture(scope="module")
def run_folder(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run leaves, as far as recommending reads it."""
    folder = tmp_path_factory.mktemp("run")
    dataset = load_dataset(tiny_data)
    release = train(dataset)
    write_release(
        folder / "model",
        release,
        ReleaseMetadata(
            item_ids=dataset.catalogue.item_ids,
            titles=dataset.catalogue.titles,
            plan_hash="0" * 64,
            privacy={"epsilon": 7.5, "delta": 1e-6},
        ),
    )
    site = folder / "sites" / SITE
    site.mkdir(parents=True)
    own = np.arange(0, dataset.n_users, 3)
    users = dataset.interactions.take(own)
    write_histories(site / "events.parquet", dataset.user_ids.gather(own), users, dataset.catalogue)
    write_choice(site, CHOICE)
    return folder


def ask(capsys: pytest.CaptureFixture[str], *words: object) -> Any:
    assert main(["recommend", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_basket_of_one_taste_gets_more_of_it(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = ask(capsys, run_folder, "--items", "i03,i07,i11", "-k", 6)
    assert [item["item_id"] for item in answer["basket"]] == ["i03", "i07", "i11"]
    found = answer["recommendations"]
    assert [item["rank"] for item in found] == [1, 2, 3, 4, 5, 6]
    assert {item["item_id"] for item in found} <= {f"i{n:02d}" for n in range(20)}
    assert not {item["item_id"] for item in found} & {"i03", "i07", "i11"}
    assert all("lamp" in item["title"] for item in found)
    scores = [item["score"] for item in found]
    assert scores == sorted(scores, reverse=True)
    assert answer["model"] == {
        "name": "als",
        "plan_hash": "0" * 64,
        "epsilon": 7.5,
        "delta": 1e-6,
    }
    assert answer["site"] is None


def test_the_table_shows_ids_and_titles(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recommend", str(run_folder), "--items", "i03, i07", "-k", "3", "--why"]) == 0
    told = capsys.readouterr().out
    assert "For this basket, the global model recommends" in told
    assert "i03" in told
    assert "small lamp 3" in told
    assert "because of" in told
    assert told.count("lamp") >= 5


def test_a_newcomer_is_answered_by_interests_or_by_popularity_and_told_which(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(capsys, run_folder, "--items", "i03")["basis"] == "events"
    answer = ask(capsys, run_folder, "--interests", "lamp", "-k", 5)
    assert (answer["basis"], answer["interests"]) == ("interests", ["lamp"])
    assert all("lamp" in item["title"] for item in answer["recommendations"])
    answer = ask(capsys, run_folder, "-k", 5)
    release, _ = read_release(run_folder / "model")
    best = np.sort(release.arrays["counts"])[::-1][:5]
    assert answer["basis"] == "popularity"
    assert [item["score"] for item in answer["recommendations"]] == pytest.approx(best)
    assert main(["recommend", str(run_folder), "--interests", "lamp"]) == 0
    assert "the global model recommends for lamp" in capsys.readouterr().out


def test_labels_of_the_catalogue_of_a_run_are_interests(run_folder: Path, tmp_path: Path) -> None:
    release, metadata = read_release(run_folder / "model")
    write_release(tmp_path / "model", release, metadata)
    labels = tuple(("even",) if k % 2 == 0 else () for k in range(len(metadata.item_ids)))
    catalogue = Catalogue(
        item_ids=metadata.item_ids,
        titles=metadata.titles,
        features=(FeatureColumn(name="parity", kind="categories", values=labels),),
    )
    (tmp_path / "coordinator").mkdir()
    document = tmp_path / "coordinator" / "catalogue.json"
    document.write_bytes(catalogue_to_bytes(catalogue))
    found = open_model(tmp_path).recommender.for_interests(("even",), 5)
    even = {item for item, label in zip(metadata.item_ids, labels, strict=True) if label}
    assert {entry.item_id for entry in found} <= even


def test_reasons_are_items_of_the_basket(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = ask(capsys, run_folder, "--items", "i03,i25", "--why")
    for item in answer["recommendations"]:
        assert item["because"]
        assert {reason["item_id"] for reason in item["because"]} <= {"i03", "i25"}


def test_users_the_model_has_never_seen_get_lists(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = tmp_path / "new.csv"
    events.write_text(
        "user_id,item_id\nzoe,i03\nzoe,i07\namy,i25\namy,i31\namy,not-sold\nbob,not-sold\n"
    )
    output = tmp_path / "recs.parquet"
    answer = ask(capsys, run_folder, "--users", events, "-k", 4, "--output", output)
    assert answer == {
        "output": str(output),
        "users": 3,
        "rows": 12,
        "users_without_known_items": 1,
        "events_on_unknown_items": 2,
    }
    lists = pl.read_parquet(output)
    assert lists.columns == ["user_id", "item_id", "rank", "score", "basis"]
    assert lists["rank"].to_list() == [1, 2, 3, 4] * 3
    basis = dict(lists.select("user_id", "basis").unique().iter_rows())
    assert basis == {"amy": "events", "zoe": "events", "bob": "popularity"}
    of = {name: set(rows["item_id"]) for (name,), rows in lists.group_by("user_id")}
    popular = ask(capsys, run_folder, "-k", 4)
    assert of["bob"] == {item["item_id"] for item in popular["recommendations"]}
    assert of["zoe"] <= {f"i{n:02d}" for n in range(20)} - {"i03", "i07"}
    assert of["amy"] <= {f"i{n:02d}" for n in range(20, 40)} - {"i25", "i31"}


def test_a_user_and_the_same_basket_get_the_same_list(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = tmp_path / "new.csv"
    events.write_text("user_id,item_id\nzoe,i03\nzoe,i07\n")
    ask(capsys, run_folder, "--users", events, "-k", 9, "--output", tmp_path / "recs.csv")
    basket = ask(capsys, run_folder, "--items", "i03,i07", "-k", 9)["recommendations"]
    lists = pl.read_csv(tmp_path / "recs.csv")
    assert lists["item_id"].to_list() == [item["item_id"] for item in basket]
    assert lists["score"].to_list() == pytest.approx([item["score"] for item in basket], rel=1e-4)


def test_notes_tell_what_was_left_out(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = tmp_path / "new.csv"
    events.write_text("customer,item_id\nzoe,i03\nbob,not-sold\n")
    words = ["--users", str(events), "--columns", "user_id=customer"]
    words += ["--output", str(tmp_path / "recs.jsonl")]
    assert main(["recommend", str(run_folder), *words]) == 0
    told = capsys.readouterr()
    assert "20 recommendations for 2 users" in told.out
    assert "left out: 1 event on items that the model does not know" in told.err
    assert "the popular items go to 1 user without an item that the model knows" in told.err
    assert "zoe" not in told.out + told.err


def test_a_site_recommends_with_its_own_data(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = ask(capsys, run_folder, "--items", "i03,i07", "-k", 38)
    own = ask(capsys, run_folder, "--items", "i03,i07", "-k", 38, "--site", SITE)
    assert own["site"] == SITE
    assert own["model"] == shared["model"]

    def scores(answer: Any) -> list[float]:
        return [item["score"] for item in answer["recommendations"]]

    assert scores(own) != pytest.approx(scores(shared))


def test_a_site_serves_what_it_chose_on_its_own_users(run_folder: Path, tiny_data: Path) -> None:
    dataset = load_dataset(tiny_data)
    data = load_site(run_folder, SITE, dataset.catalogue)
    expected = dataset.interactions.take(np.arange(0, dataset.n_users, 3))
    np.testing.assert_array_equal(data.interactions.indptr, expected.indptr)
    np.testing.assert_array_equal(data.interactions.indices, expected.indices)
    assert data.choice == CHOICE
    release, _ = read_release(run_folder / "model")
    models = fit_site(GlobalModel(release=release), expected, seed=0, choice=CHOICE)
    users = dataset.interactions.take(np.arange(5))
    served = open_model(run_folder, site=SITE).recommender.score(users)
    np.testing.assert_allclose(served, models.served.score(users), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("source", ["csv", "sqlite"])
def test_a_site_serves_from_where_its_data_toml_says(
    run_folder: Path, tiny_data: Path, tmp_path: Path, source: str
) -> None:
    catalogue = load_dataset(tiny_data).catalogue
    shutil.copytree(run_folder, tmp_path / "run")
    site = tmp_path / "run" / "sites" / SITE
    # Not those of events.parquet: half of the users.
    events = pl.read_parquet(site / "events.parquet")
    half = events["user_id"].unique(maintain_order=True)[::2]
    bought = events.filter(pl.col("user_id").is_in(half.implode())).rename({"item_id": "sku"})
    if source == "csv":
        bought.write_csv(tmp_path / "shop.csv")
        named = f'files = ["{tmp_path}/*.csv"]'
    else:
        with sqlite3.connect(tmp_path / "shop.db") as connection:
            connection.execute("CREATE TABLE bought (user_id TEXT, sku TEXT)")
            insert = "INSERT INTO bought VALUES (?, ?)"
            connection.executemany(insert, bought.select("user_id", "sku").iter_rows())
        query = "SELECT * FROM bought"
        named = f'url = "sqlite:///{tmp_path}/shop.db"\nquery = "{query}"'
    (site / "data.toml").write_text(f'[events]\n{named}\n[columns]\nitem_id = "sku"\n')
    before = sorted(site.iterdir())
    found = load_site(tmp_path / "run", SITE, catalogue).interactions

    def rows(users: Interactions) -> list[tuple[int, ...]]:
        parts = np.split(users.indices, users.indptr[1:-1])
        return sorted(tuple(part.tolist()) for part in parts)

    whole = read_histories(site / "events.parquet", catalogue)
    kept = np.flatnonzero(whole.user_ids.is_in(half.implode()).to_numpy())
    assert rows(found) == rows(whole.interactions.take(kept))
    assert sorted(site.iterdir()) == before, "nothing is left in the site's folder"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"kernel_weight": 1, "ridge": 2, "local_weight": 1}',
        '{"kernel_weight": 1, "ridge": 2, "local_weight": NaN, "alone_share": 0}',
        '{"kernel_weight": 1, "ridge": 2, "local_weight": "1", "alone_share": 0}',
        '{"kernel_weight": 1, "ridge": 2, "local_weight": -1, "alone_share": 0}',
    ],
)
def test_a_choice_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "serving.json").write_text(text)
    with pytest.raises(InvalidInput, match="is not what a site chose"):
        read_choice(tmp_path / "serving.json")


@pytest.mark.parametrize("name", ["site-9", "../site-1", "", ".", "site-1/../site-1"])
def test_an_unknown_site_is_refused_and_no_name_leads_out_of_the_folder(
    run_folder: Path, name: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_model(run_folder, site=name)
    assert caught.value.code == "recommend/unknown-site"
    assert SITE in caught.value.message


def test_a_site_that_chose_nothing_cannot_serve(run_folder: Path, tmp_path: Path) -> None:
    release, metadata = read_release(run_folder / "model")
    write_release(tmp_path / "model", release, metadata)
    (tmp_path / "sites" / SITE).mkdir(parents=True)
    with pytest.raises(InvalidInput, match="whose sites have chosen"):
        open_model(tmp_path, site=SITE)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--items", "i03,i99"], "recommend/unknown-item", "'i99'"),
        (["--items", ","], "input/argument", "at least one item"),
        (["--interests", "lamp", "--items", "i03"], "command/usage", "one of them, not both"),
        (["--interests", "zebra"], "recommend/unknown-interest", "'zebra'"),
        (["--interests", "lamp", "--why"], "command/usage", "--why"),
        (["--interests", "lamp", "--output", "x.csv"], "command/usage", "--output"),
        (["--items", "i03", "--users", "x.csv"], "command/usage", "one of them, not both"),
        (["--users", "x.csv"], "command/usage", "--output"),
        (["--items", "i03", "--output", "x.csv"], "command/usage", "--output"),
        (["--users", "x.csv", "--output", "y.csv", "--why"], "command/usage", "--why"),
        (["--items", "i03", "-k", "0"], "command/usage", "-k"),
        (["--users", "x.csv", "--output", "y.txt"], "recommend/output", "y.txt"),
        (["--users", "not-there.csv", "--output", "y.csv"], "data/not-found", "not-there.csv"),
        (["--items", "i03", "--site", "nowhere"], "recommend/unknown-site", "'nowhere'"),
    ],
)
def test_wrong_requests_are_named(
    run_folder: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: str,
    told: str,
) -> None:
    assert main(["recommend", str(run_folder), *words, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == code
    assert told in error["message"]


def test_a_folder_without_a_model_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recommend", str(tmp_path), "--items", "i03"]) == 2
    told = capsys.readouterr().err
    assert f"{tmp_path}/model/model.safetensors: no such file" in told
    assert "code: release/missing" in told


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_damaged_model_is_refused(run_folder: Path, tmp_path: Path, name: str) -> None:
    for file in ("model.json", "model.safetensors"):
        content = (run_folder / "model" / file).read_bytes()
        (tmp_path / file).write_bytes(content[:-5] if file == name else content)
    with pytest.raises(InvalidInput) as caught:
        read_release(tmp_path)
    assert caught.value.code == "release/corrupt"
    assert name in caught.value.message


def test_the_program_itself_recommends(run_folder: Path) -> None:
    program = Path(sys.executable).with_name("recommons")
    done = subprocess.run(
        [program, "recommend", run_folder, "--items", "i03,i07", "-k", "3"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.count("lamp") == 5
    assert done.stderr == ""
