"""The published layouts of MovieLens, the fixed splits, and the embedded data set."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recommons.client.sources import load_dataset
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.dataset import Dataset, split_dataset
from recommons.common.data.splits import TEST, VALIDATION

FLAGS = "|".join("1" if k in (3, 4, 5) else "0" for k in range(19))
NO_FLAGS = "|".join("1" if k == 0 else "0" for k in range(19))


def features(catalogue: Catalogue) -> dict[str, list[object]]:
    """Column name to values; a missing number is None."""
    return {
        column.name: [None if value != value else value for value in np.asarray(column.values)]
        if column.kind == "number"
        else list(column.values)
        for column in catalogue.features
    }


def pairs(dataset: Dataset) -> set[tuple[str, str]]:
    rows = np.repeat(np.arange(dataset.n_users), np.diff(dataset.interactions.indptr))
    users, items = dataset.user_ids.to_list(), dataset.catalogue.item_ids
    columns = dataset.interactions.indices
    return {(users[u], items[i]) for u, i in zip(rows, columns, strict=True)}


def test_movielens_100k_is_read_as_published(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("196\t242\t3\t881250949\n186\t242\t1\t891717742\n")
    (tmp_path / "u.item").write_bytes(
        f"242|Kolya (1996)|24-Jan-1997||http://x|{FLAGS}\n"
        f"543|Les Misérables (1995)|||http://y|{FLAGS}\n"
        f"267|unknown||||{NO_FLAGS}\n".encode("latin-1")
    )
    dataset = load_dataset(tmp_path)
    assert pairs(dataset) == {("196", "242"), ("186", "242")}
    assert dataset.first_times is not None
    assert dataset.first_times.tolist() == [891_717_742_000_000, 881_250_949_000_000]
    assert dataset.catalogue.item_ids == ("242", "267", "543")
    assert dataset.catalogue.titles == ("Kolya (1996)", "unknown", "Les Misérables (1995)")
    found = features(dataset.catalogue)
    three = ("Animation", "Children's", "Comedy")
    assert found["genres"] == [three, (), three]
    assert found["year"] == [1996, None, 1995]


def test_movielens_1m_is_read_as_published(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::1193::5::978300760\n2::661::3::978302109\n")
    (tmp_path / "movies.dat").write_bytes(
        "661::James: and the Peach (1996)::Animation|Musical\n"
        "1193::Misérables, Les (1995)::Drama\n".encode("latin-1")
    )
    dataset = load_dataset(tmp_path)
    assert pairs(dataset) == {("1", "1193"), ("2", "661")}
    assert dataset.first_times is not None
    assert dataset.first_times.tolist() == [978_300_760_000_000, 978_302_109_000_000]
    assert dataset.catalogue.titles == (
        "Misérables, Les (1995)",
        "James: and the Peach (1996)",
    )
    assert features(dataset.catalogue) == {
        "genres": [("Drama",), ("Animation", "Musical")],
        "year": [1995, 1996],
    }


def test_more_about_movies_is_read_beside_movielens_1m(tmp_path: Path) -> None:
    pl.DataFrame({"user_id": [1], "item_id": [2], "rating": [5]}).write_parquet(
        tmp_path / "ratings.parquet"
    )
    (tmp_path / "movies.dat").write_text("1::A (1990)::Drama\n2::B (1991)::Comedy\n")
    (tmp_path / "movies_extrainfos.dat").write_bytes(
        "2::B::1991::N/A::1 May 1991::Comedy, Family::Zoë D::W One (novel), W One (play)::"
        "P, Q (voice)::A plot: of sorts.::http://x\r\n".encode()
    )
    dataset = load_dataset(tmp_path)
    assert dataset.first_times is None
    assert features(dataset.catalogue) == {
        "genres": [("Drama",), ("Comedy",)],
        "year": [1990, 1991],
        "director": [(), ("Zoë D",)],
        "writer": [(), ("W One",)],
        "cast": [(), ("P", "Q")],
        "plot": ["", "A plot: of sorts."],
    }


def test_movielens_latest_is_read_as_published(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text(
        "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n7,10,0.5,851866703\n"
    )
    (tmp_path / "movies.csv").write_text(
        "movieId,title,genres\n"
        '31,"American President, The (1995)",Comedy|Drama\n'
        "10,Untitled,(no genres listed)\n"
    )
    dataset = load_dataset(tmp_path)
    assert pairs(dataset) == {("1", "31"), ("7", "10")}
    assert dataset.left_out == {}
    assert dataset.catalogue.titles == ("Untitled", "American President, The (1995)")
    found = features(dataset.catalogue)
    assert found["genres"] == [(), ("Comedy", "Drama")]
    assert found["year"] == [None, 1995]


def test_a_fixed_split_is_used_where_the_data_come_with_one(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("user_id,item_id\na,x\na,y\nb,x\nb,y\nc,y\n")
    (tmp_path / "benchmark").mkdir()
    (tmp_path / "benchmark/users.csv").write_text("user_id,role\nb,test\na,valid\n")
    (tmp_path / "benchmark/heldout.csv").write_text("user_id,item_id\nb,y\na,x\n")
    dataset = load_dataset(tmp_path)
    assert dataset.roles is not None
    assert dataset.roles.of_user.tolist() == [VALIDATION, TEST, 0]
    split = split_dataset(dataset, np.random.default_rng(0))
    assert split.source == "benchmark"
    assert split.train.matrix().toarray().tolist() == [[0, 1]]
    assert split.test.users.tolist() == [1]
    assert split.test.fold_in.matrix().toarray().tolist() == [[1, 0]]
    assert split.test.held_out.matrix().toarray().tolist() == [[0, 1]]
    assert split.validation.held_out.matrix().toarray().tolist() == [[1, 0]]


def test_a_split_is_drawn_by_time_where_there_is_none(tmp_path: Path) -> None:
    rows = [f"u{u:02},i{k},{100 * u + 10 - k}" for u in range(30) for k in range(10)]
    (tmp_path / "events.csv").write_text("user_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    split = split_dataset(load_dataset(tmp_path), np.random.default_rng(0))
    assert split.source == "drawn"
    assert (split.train.n_users, split.test.fold_in.n_users) == (24, 3)
    # The later an item stands in the alphabet, the earlier it was bought.
    assert split.test.held_out.matrix().toarray().tolist() == [[1, 1] + [0] * 8] * 3


REFERENCE = {
    # users, catalogue, occurring items, pairs, training users and pairs, test users, hidden pairs
    "online-retail": (5852, 4744, 4744, 481_879, 4746, 383_206, 553, 9_619),
    "ml-1m": (6040, 3883, 3706, 1_000_209, 4832, 796_011, 604, 20_369),
}


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_the_benchmarks_have_their_known_counts(shared_data: Path, name: str) -> None:
    dataset = load_dataset(shared_data / name)
    split = split_dataset(dataset, np.random.default_rng(0))
    assert (
        dataset.n_users,
        len(dataset.catalogue),
        len(np.unique(dataset.interactions.indices)),
        len(dataset.interactions.indices),
        split.train.n_users,
        len(split.train.indices),
        split.test.fold_in.n_users,
        len(split.test.held_out.indices),
    ) == REFERENCE[name]
    assert not dataset.catalogue.inferred


def test_movielens_100k_has_its_known_counts(shared_data: Path) -> None:
    dataset = load_dataset(shared_data / "ml-100k")
    assert (dataset.n_users, len(dataset.catalogue), dataset.rows) == (943, 1682, 100_000)
    assert len(dataset.interactions.indices) == 100_000
    assert dataset.catalogue.titles[dataset.catalogue.index["1"]] == "Toy Story (1995)"
    split = split_dataset(dataset, np.random.default_rng(0))
    assert split.test.fold_in.n_users == 94
