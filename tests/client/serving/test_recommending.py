"""Lists of recommendations: what is left out, what comes first, and how they are written."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.client.serving import recommending
from recommons.client.serving.files import write_recommendations
from recommons.client.serving.recommending import (
    RECOMMENDATION_SCHEMA,
    Recommender,
    basket_items,
    split_ids,
)
from recommons.common.data.catalogue import Catalogue, FeatureColumn
from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput

ITEMS = ("20681", "21034", "22139", "47566", "85123")
KINDS = (("cups", "Red"), ("cups",), ("Red",), (), ("lights",))
CATALOGUE = Catalogue(
    item_ids=ITEMS,
    titles=("Red cup", "Blue cup", "Red umbrella", "", "White lantern"),
    features=(FeatureColumn(name="kind", kind="categories", values=KINDS),),
)
COUNTS = np.array([1.0, 5.0, 2.0, 9.0, 3.0])

# Row i: what having item i adds to the score of each item; ties on purpose.
WEIGHTS = np.array(
    [
        [0.0, 0.9, 0.5, 0.0, 0.0],
        [0.9, 0.0, 0.1, 0.0, 0.0],
        [0.5, 0.1, 0.0, 0.3, 0.3],
        [0.0, 0.0, 0.3, 0.0, 0.2],
        [0.0, 0.0, 0.3, 0.2, 0.0],
    ],
    np.float32,
)


def linear(users: Interactions) -> np.ndarray:
    return np.asarray(users.matrix() @ WEIGHTS)


RECOMMENDER = Recommender(catalogue=CATALOGUE, score=linear, counts=COUNTS)


def basket(*ids: str) -> np.ndarray:
    return basket_items(CATALOGUE, ids)


def test_the_best_come_first_and_own_items_never() -> None:
    found = RECOMMENDER.for_basket(basket("20681", "22139"), 3)
    assert [entry.item_id for entry in found] == ["21034", "47566", "85123"]
    assert [entry.rank for entry in found] == [1, 2, 3]
    assert found[0].title == "Blue cup"
    assert found[0].score == pytest.approx(1.0)


def test_equal_scores_stand_in_the_order_of_the_catalogue() -> None:
    found = RECOMMENDER.for_basket(basket("22139"), 4)
    assert [entry.item_id for entry in found] == ["20681", "47566", "85123", "21034"]


def test_a_list_ends_with_the_catalogue() -> None:
    assert len(RECOMMENDER.for_basket(basket("20681", "21034", "22139"), 50)) == 2
    assert RECOMMENDER.for_basket(basket(*ITEMS), 5) == ()


def test_reasons_are_what_each_item_of_the_basket_adds() -> None:
    found = RECOMMENDER.for_basket(basket("20681", "22139"), 1, reasons=2)
    assert [(why.item_id, why.title) for why in found[0].because] == [
        ("20681", "Red cup"),
        ("22139", "Red umbrella"),
    ]
    assert [why.score for why in found[0].because] == pytest.approx([0.9, 0.1])


def test_no_reasons_are_invented_where_scores_are_no_sums() -> None:
    def squared(users: Interactions) -> np.ndarray:
        return np.asarray(linear(users) ** 2)

    found = Recommender(catalogue=CATALOGUE, score=squared, counts=COUNTS).for_basket(
        basket("20681", "22139"), 3, reasons=2
    )
    assert [entry.because for entry in found] == [(), (), ()]


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("2068I", "20681 (Red cup)"),
        ("red umb", "22139 (Red umbrella)"),
        ("Wite lantern", "85123 (White lantern)"),
        ("zebra crossing", "nothing is near it"),
    ],
)
def test_an_unknown_item_is_named_with_what_is_near_it(typed: str, near: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        basket("20681", typed)
    assert caught.value.code == "recommend/unknown-item"
    assert repr(typed) in caught.value.message
    assert near in caught.value.message


def test_an_empty_basket_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least one item"):
        basket()


def test_a_repeated_item_counts_once() -> None:
    assert basket("22139", "20681", "22139").tolist() == [0, 2]
    assert basket("22139", "20681").tolist() == [2, 0]


def test_the_order_in_which_a_basket_is_typed_is_its_order_in_time() -> None:
    seen: list[Interactions] = []

    def noting(users: Interactions) -> np.ndarray:
        seen.append(users)
        return linear(users)

    recommender = Recommender(catalogue=CATALOGUE, score=noting, counts=COUNTS)
    recommender.for_basket(basket("85123", "20681", "22139"), 1)
    assert seen[0].indices.tolist() == [0, 2, 4]
    assert seen[0].times is not None
    assert seen[0].times.tolist() == [60_000_000, 120_000_000, 0]


def test_a_newcomer_gets_what_is_most_popular() -> None:
    found = RECOMMENDER.for_newcomer(3)
    assert [entry.item_id for entry in found] == ["47566", "21034", "85123"]
    assert [entry.score for entry in found] == [9.0, 5.0, 3.0]


@pytest.mark.parametrize(
    ("interests", "first"),
    [(("CUPS",), {"20681", "21034"}), (("white lan",), {"85123"}), (("red", "cups"), {"20681"})],
)
def test_a_newcomers_interests_are_labels_or_words_of_titles(
    interests: tuple[str, ...], first: set[str]
) -> None:
    found = RECOMMENDER.for_interests(interests, 5)
    assert {entry.item_id for entry in found[: len(first)]} == first
    assert len(found) == 5


def test_what_goes_with_an_interest_is_found_too() -> None:
    """Items that match no interest stand in the order of the model, given those that do."""
    found = [entry.item_id for entry in RECOMMENDER.for_interests(("lights",), 5)]
    assert found[:3] == ["85123", "22139", "47566"]


@pytest.mark.parametrize(
    ("typed", "near"),
    [("umbrela", "umbrella"), ("red lantren", "lantern"), ("Umbrelas", "umbrella")],
)
def test_an_interest_that_is_nearly_a_word_of_a_title_is_told_that_word(
    typed: str, near: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        RECOMMENDER.for_interests((typed,), 5)
    assert f"near it: {near}" in caught.value.message


def test_an_interest_that_matches_nothing_is_named_with_what_is_near_it() -> None:
    with pytest.raises(InvalidInput) as caught:
        RECOMMENDER.for_interests(("red", "lihgts"), 5)
    assert caught.value.code == "recommend/unknown-interest"
    assert "'lihgts'" in caught.value.message
    assert "near it: lights" in caught.value.message
    with pytest.raises(InvalidInput, match="at least one"):
        RECOMMENDER.for_interests((), 5)


def test_ids_are_split_at_commas_but_for_an_id_that_has_one() -> None:
    catalogue = Catalogue(item_ids=("a", "a,b", "b"), titles=("", "", ""))
    assert split_ids(catalogue, "a,b") == ["a,b"]
    assert split_ids(catalogue, " b , a,,") == ["b", "a"]


def users_of(*rows: set[int]) -> tuple[pl.Series, Interactions]:
    pairs = [(user, item) for user, row in enumerate(rows) for item in row]
    users, items = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    interactions = Interactions.from_pairs(users, items, n_users=len(rows), n_items=len(ITEMS))
    return pl.Series([f"u{user}" for user in range(len(rows))]), interactions


@given(
    st.lists(st.sets(st.integers(0, 4)), min_size=1, max_size=12).filter(any),
    st.integers(1, 6),
    st.integers(1, 30),
)
def test_users_get_what_their_basket_gets_whatever_the_batch(
    rows: list[set[int]], k: int, cells: int
) -> None:
    user_ids, users = users_of(*rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recommending, "_CELLS_A_BATCH", cells)
        frames = list(RECOMMENDER.for_users(user_ids, users, k))
    lists = pl.concat(frames)
    assert lists.schema == pl.Schema(RECOMMENDATION_SCHEMA)
    for user, row in enumerate(rows):
        expected = (
            [(e.item_id, e.rank) for e in RECOMMENDER.for_basket(np.array(sorted(row)), k)]
            if row
            else [(e.item_id, e.rank) for e in RECOMMENDER.for_newcomer(k)]
        )
        own = lists.filter(pl.col("user_id") == f"u{user}")
        assert list(zip(own["item_id"], own["rank"], strict=True)) == expected
        assert set(own["basis"]) <= {"events" if row else "popularity"}


def frames() -> Iterator[pl.DataFrame]:
    user_ids, users = users_of({0, 2}, {1}, set(), {3, 4})
    return RECOMMENDER.for_users(user_ids, users, 2)


EXPECTED = [
    ("u0", "21034", 1, 1.0),
    ("u0", "47566", 2, 0.3),
    ("u1", "20681", 1, 0.9),
    ("u1", "22139", 2, 0.1),
    ("u2", "47566", 1, 9.0),
    ("u2", "21034", 2, 5.0),
    ("u3", "22139", 1, 0.6),
    ("u3", "20681", 2, 0.0),
]


def test_lists_are_written_as_parquet_csv_and_jsonl(tmp_path: Path) -> None:
    for name in ("recs.parquet", "recs.csv", "recs.jsonl"):
        assert write_recommendations(frames(), tmp_path / name) == len(EXPECTED)
    parquet = pl.read_parquet(tmp_path / "recs.parquet")
    assert parquet.schema == pl.Schema(RECOMMENDATION_SCHEMA)
    with (tmp_path / "recs.csv").open(newline="") as file:
        from_csv = list(csv.DictReader(file))
    from_jsonl = [json.loads(line) for line in (tmp_path / "recs.jsonl").read_text().splitlines()]
    for rows in (parquet.to_dicts(), from_csv, from_jsonl):
        assert [tuple(RECOMMENDATION_SCHEMA)] * len(rows) == [tuple(row) for row in rows]
        keys = [(row["user_id"], row["item_id"], int(row["rank"])) for row in rows]
        assert keys == [row[:3] for row in EXPECTED]
        scores = [float(row["score"]) for row in rows]
        assert scores == pytest.approx([row[3] for row in EXPECTED], abs=1e-6)
    assert {path.name for path in tmp_path.iterdir()} == {"recs.parquet", "recs.csv", "recs.jsonl"}


def test_a_failure_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    def broken() -> Iterator[pl.DataFrame]:
        yield from frames()
        raise InvalidInput("input/argument", "half way")

    path = tmp_path / "recs.csv"
    path.write_text("old")
    with pytest.raises(InvalidInput, match="half way"):
        write_recommendations(broken(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["recs", "recs.xlsx", "no-such-folder/recs.csv"])
def test_an_output_that_cannot_be_written_is_refused_before_anything_is_scored(
    tmp_path: Path, name: str
) -> None:
    def never() -> Iterator[pl.DataFrame]:
        pytest.fail("scored")
        yield pl.DataFrame()

    with pytest.raises(InvalidInput) as caught:
        write_recommendations(never(), tmp_path / name)
    assert caught.value.code == "recommend/output"
