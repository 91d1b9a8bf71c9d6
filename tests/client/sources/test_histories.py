"""A site's own file of events, against the catalogue of its federation."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommons.client.sources import read_histories, write_histories
from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.errors import DataError, InvalidInput

CATALOGUE = Catalogue(item_ids=("a", "b", "c"), titles=("", "", ""))


@given(st.lists(st.sets(st.integers(0, 2), min_size=1), min_size=1, max_size=8))
@settings(max_examples=40)
def test_what_is_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[set[int]]
) -> None:
    users = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    items = np.array([item for row in rows for item in row])
    interactions = Interactions.from_pairs(users, items, n_users=len(rows), n_items=3)
    ids = pl.Series([f"user-{k}" for k in range(len(rows))])
    path = tmp_path_factory.mktemp("site") / "events.parquet"
    write_histories(path, ids, interactions, CATALOGUE)
    histories = read_histories(path, CATALOGUE)
    assert histories.user_ids.to_list() == ids.to_list()
    assert np.array_equal(histories.interactions.indptr, interactions.indptr)
    assert np.array_equal(histories.interactions.indices, interactions.indices)
    assert histories.unknown_rows == 0


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_items_outside_the_catalogue_are_left_out_and_counted(tmp_path: Path, ending: str) -> None:
    rows = pl.DataFrame({"user_id": ["u", "u", "v", "w"], "item_id": ["b", "new", "new", "c"]})
    path = tmp_path / f"site.{ending}"
    if ending == "csv":
        rows.write_csv(path)
    elif ending == "parquet":
        rows.write_parquet(path)
    else:
        rows.write_ndjson(path)
    histories = read_histories(path, CATALOGUE)
    assert histories.user_ids.to_list() == ["u", "v", "w"]
    assert histories.interactions.matrix().toarray().tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert histories.unknown_rows == 2


def test_a_file_without_any_item_of_the_catalogue_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "site.csv"
    path.write_text("user_id,item_id\nzebra-7741,quagga\n")
    with pytest.raises(DataError) as caught:
        read_histories(path, CATALOGUE)
    assert caught.value.code == "data/unknown-item"
    assert "zebra" not in caught.value.message
    assert "quagga" not in caught.value.message


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_histories(tmp_path / "none.parquet", CATALOGUE)
    assert caught.value.code == "data/not-found"


def test_sizes_that_do_not_agree_are_refused(tmp_path: Path) -> None:
    one = np.zeros(1, np.int64)
    interactions = Interactions.from_pairs(one, one, n_users=1, n_items=2)
    with pytest.raises(InvalidInput):
        write_histories(tmp_path / "x.parquet", pl.Series(["u"]), interactions, CATALOGUE)


def test_no_user_is_in_the_text_form_of_histories(tmp_path: Path) -> None:
    path = tmp_path / "site.csv"
    path.write_text("user_id,item_id\nzebra-7741,b\n")
    assert "zebra" not in repr(read_histories(path, CATALOGUE))
