"""The plan file: read into a complete wish, or refused with every fault named."""

import math
from pathlib import Path

import pytest

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.catalogue_document import catalogue_to_bytes
from recommons.common.errors import InvalidInput
from recommons.server.planning.plan_file import PlanFile, read_plan_file

LEAST = "sites = 8\nusers_per_site = 700\nitems = 40\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "wish.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_left_out_has_its_documented_default(tmp_path: Path) -> None:
    run = read_plan_file(written(tmp_path, LEAST))
    assert list(run.declared_users) == [f"site-{number}" for number in range(1, 9)]
    assert set(run.declared_users.values()) == {700}
    assert (run.wish.epsilon, run.wish.delta, run.wish.colluding) == (8.0, 1e-6, 1)
    assert (run.wish.min_survivors, run.wish.spare_attempts, run.wish.ring_bits) == (8, 0, None)
    assert run.wish.max_sites_per_person == 1
    assert (run.model.name, run.model.settings()["dim"]) == ("als", 32)
    assert (len(run.catalogue), run.counted_only) == (40, True)


def test_everything_may_be_said(tmp_path: Path) -> None:
    catalogue = Catalogue(item_ids=("a", "b", "c"), titles=("A", "B", "C"))
    (tmp_path / "items.json").write_bytes(catalogue_to_bytes(catalogue))
    run = read_plan_file(
        written(
            tmp_path,
            """
            model = "als"
            epsilon = 3
            delta = 1e-7
            colluding = 2
            min_survivors = 5
            spare_attempts = 4
            max_sites_per_person = 2
            ring_bits = 24
            catalogue = "items.json"
            [settings]
            dim = 2
            round_shares = [1.0]
            ridge = 3
            [sites]
            berlin = 900
            aachen = 40
            celle = 100
            dessau = 100
            essen = 100
            """,
        )
    )
    assert dict(run.declared_users) == {
        "aachen": 40,
        "berlin": 900,
        "celle": 100,
        "dessau": 100,
        "essen": 100,
    }
    assert next(iter(run.declared_users)) == "aachen"
    assert (run.wish.epsilon, run.wish.delta, run.wish.colluding) == (3.0, 1e-7, 2)
    assert (run.wish.min_survivors, run.wish.spare_attempts) == (5, 4)
    assert (run.wish.max_sites_per_person, run.wish.ring_bits) == (2, 24)
    assert run.model.settings() == {
        "dim": 2,
        "round_shares": [1.0],
        "kernel_weight": 0.4,
        "ridge": 3.0,
        "seed": 0,
    }
    assert run.catalogue.hash == catalogue.hash
    assert not run.counted_only


@pytest.mark.parametrize("epsilon", ['"inf"', "inf"])
def test_no_noise_is_asked_for_in_either_spelling(tmp_path: Path, epsilon: str) -> None:
    run = read_plan_file(written(tmp_path, f"{LEAST}epsilon = {epsilon}\nmodel = 'ease'\n"))
    assert run.wish.epsilon == math.inf
    assert run.model.settings()["exact"] is True


def test_delta_follows_from_declared_users_alone(tmp_path: Path) -> None:
    text = "sites = 10\nusers_per_site = 100000\nitems = 5\n"
    assert read_plan_file(written(tmp_path, text)).wish.delta == 1e-7


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", ["sites"]),
        (LEAST + "epsilom = 8\n", ["epsilom"]),
        (LEAST + "epsilon = 0\n", ["epsilon"]),
        (LEAST + "epsilon = nan\n", ["epsilon"]),
        (LEAST + 'epsilon = "8"\n', ["epsilon"]),
        (LEAST + "delta = 1.0\ncolluding = -1\n", ["delta", "colluding"]),
        (LEAST + "colluding = 1.5\n", ["colluding"]),
        (LEAST + "spare_attempts = true\n", ["spare_attempts"]),
        (LEAST + "spare_attempts = 1001\n", ["spare_attempts"]),
        (LEAST + "max_sites_per_person = 0\n", ["max_sites_per_person"]),
        (LEAST + "ring_bits = 31\n", ["ring_bits"]),
        (LEAST + 'model = "svd"\n', ["model"]),
        (LEAST + "min_survivors = 1\n", ["min_survivors"]),
        (LEAST + 'catalogue = "x.json"\n', ["catalogue or items"]),
        ("sites = 8\nusers_per_site = 700\n", ["catalogue or items"]),
        ("sites = 8\nitems = 40\n", ["users_per_site"]),
        ("users_per_site = 5\nitems = 4\n[sites]\na = 1\nb = 1\nc = 1\n", ["users_per_site"]),
        ('items = 40\n[sites]\n"Not A Name" = 4\nb = 1\n', ["Not A Name"]),
        ("items = 40\n[sites]\na = 0\nb = 1\n", ["a"]),
        ("sites = 8\nusers_per_site = 0\nitems = 40\n", ["users_per_site"]),
        (LEAST.replace("40", "0"), ["items"]),
        ("sites = [", ["not TOML"]),
    ],
)
def test_every_fault_is_named(tmp_path: Path, text: str, named: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_plan_file(written(tmp_path, text))
    assert caught.value.code == "plan/file"
    for name in ["wish.toml", *named]:
        assert name in caught.value.message


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        ("colluding = 7\n", "secagg/colluding"),
        ("min_survivors = 4\n", "secagg/least-survivors"),
        ("min_survivors = 9\n", "secagg/least-survivors"),
        ("[settings]\nwidth = 3\n", "model/settings"),
        ("[settings]\nseed = 2024-01-01\n", "model/settings"),
        ("[settings]\ndim = 1.5\n", "model/settings"),
        ("max_sites_per_person = 9\n", "input/argument"),
    ],
)
def test_what_fits_no_cohort_or_model_is_refused_by_its_own_name(
    tmp_path: Path, extra: str, code: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_plan_file(written(tmp_path, LEAST + extra))
    assert caught.value.code == code


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for path, name in (
        (tmp_path / "absent.toml", "absent.toml"),
        (written(tmp_path, 'sites = 8\nusers_per_site = 700\ncatalogue = "no.json"\n'), "no.json"),
    ):
        with pytest.raises(InvalidInput, match=name) as caught:
            read_plan_file(path)
        assert caught.value.code == "plan/file"
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="not TOML"):
        read_plan_file(tmp_path / "bytes.toml")


def test_every_key_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "plan.md").read_text()
    section = page.partition("## The plan file")[2].partition("\n## ")[0]
    for name in PlanFile.model_fields:
        assert f"| `{name}` |" in section
