"""Events: every format gives the same data set; what counts, and when it first happened."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommons.client.sources import ColumnNames, EventFilter, load_dataset, tables
from recommons.common.data.dataset import Dataset
from recommons.common.errors import DataError, InvalidInput

ROWS = pl.DataFrame(
    {
        "user_id": ["b", "a", "b", "b", "a"],
        "item_id": ["02", "x", "02", "1", "x"],
        "timestamp": [50, 30, 20, 70, 40],
        "quantity": [1, 2, 1, 3, 5],
        "country": ["Eire", "Malta", "Eire", "Spain", None],
    }
)


def write(path: Path, frame: pl.DataFrame) -> Path:
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    elif path.suffix == ".jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_csv(path, separator="\t" if path.suffix == ".tsv" else ",")
    return path


def as_mapping(dataset: Dataset) -> Mapping[str, Mapping[str, float | None]]:
    """User to item to first time, in seconds."""
    bounds, items = dataset.interactions.indptr, dataset.catalogue.item_ids
    times = dataset.first_times
    return {
        user: {
            items[dataset.interactions.indices[k]]: None if times is None else times[k] / 1e6
            for k in range(bounds[row], bounds[row + 1])
        }
        for row, user in enumerate(dataset.user_ids)
    }


@pytest.mark.parametrize("ending", ["parquet", "csv", "tsv", "jsonl"])
def test_every_format_gives_the_same_data_set(tmp_path: Path, ending: str) -> None:
    dataset = load_dataset(write(tmp_path / f"events.{ending}", ROWS))
    assert as_mapping(dataset) == {"a": {"x": 30}, "b": {"02": 20, "1": 70}}
    assert dataset.catalogue.item_ids == ("02", "1", "x")
    assert dataset.catalogue.titles == ("", "", "")
    assert dataset.catalogue.inferred
    assert dataset.countries is not None
    assert dataset.countries.to_list() == ["Malta", "Eire"]
    assert (dataset.rows, dataset.left_out) == (5, {})
    assert dataset.name == tmp_path.name


def test_ids_that_are_numbers_are_read_as_their_text(tmp_path: Path) -> None:
    numbers = pl.DataFrame({"user_id": [9, 10, 9], "item_id": [7, 7, 8]})
    dataset = load_dataset(write(tmp_path / "events.parquet", numbers))
    assert as_mapping(dataset) == {"10": {"7": None}, "9": {"7": None, "8": None}}
    assert dataset.user_ids.to_list() == ["10", "9"]


def test_ids_of_a_fixed_set_of_texts_are_read(tmp_path: Path) -> None:
    frame = ROWS.with_columns(pl.col("user_id", "item_id").cast(pl.Categorical))
    dataset = load_dataset(write(tmp_path / "events.parquet", frame))
    assert as_mapping(dataset) == {"a": {"x": 30}, "b": {"02": 20, "1": 70}}


@given(
    st.lists(
        st.tuples(
            st.text("abé,\"'\n 0", min_size=1, max_size=3),
            st.text("xyz|;\t9", min_size=1, max_size=3),
            st.integers(0, 4_102_444_799),
        ),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from(["parquet", "csv", "jsonl"]),
)
@settings(max_examples=60)
def test_whatever_the_ids_the_pairs_and_first_times_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, int]], ending: str
) -> None:
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    path = tmp_path_factory.mktemp("events") / f"events.{ending}"
    expected: dict[str, dict[str, int]] = {}
    for user, item, time in rows:
        seen = expected.setdefault(user, {})
        seen[item] = min(time, seen.get(item, time))
    assert as_mapping(load_dataset(write(path, frame))) == expected


def test_batches_of_any_size_give_the_same_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pl.DataFrame(
        {
            "user_id": [k % 7 for k in range(500)],
            "item_id": [k % 11 for k in range(500)],
            "timestamp": [(k * 37) % 500 for k in range(500)],
        }
    )
    path = write(tmp_path / "events.csv", frame)
    whole = as_mapping(load_dataset(path))
    monkeypatch.setattr(tables, "_BATCH_ROWS", 3)
    assert as_mapping(load_dataset(path)) == whole
    first = {
        (u, i): min((k * 37) % 500 for k in range(500) if (k % 7, k % 11) == (u, i))
        for u in range(7)
        for i in range(11)
    }
    assert whole == {str(u): {str(i): first[u, i] for i in range(11)} for u in range(7)}


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["5", "3"], [5_000_000, 3_000_000]),
        (["5.5", "3"], [5_500_000, 3_000_000]),
        (["5", "3.25"], [5_000_000, 3_250_000]),
        (["1970-01-02", "1970-01-01"], [86_400_000_000, 0]),
        (["1970-01-01 00:01", "1970-01-01 00:00"], [60_000_000, 0]),
        (["1970-01-01T00:00:01.5", "1970-01-01T00:00:00"], [1_500_000, 0]),
        (["1970-01-01T01:00:00Z", "1970-01-01T01:00:00+01:00"], [3_600_000_000, 0]),
    ],
)
def test_times_are_numbers_or_iso_8601(
    tmp_path: Path, cells: list[str], expected: list[int], ending: str
) -> None:
    frame = pl.DataFrame({"user_id": ["a", "b"], "item_id": ["x", "x"], "timestamp": cells})
    dataset = load_dataset(write(tmp_path / f"events.{ending}", frame))
    assert dataset.first_times is not None
    assert dataset.first_times.tolist() == expected


@pytest.mark.parametrize("dtype", [pl.Datetime("ms"), pl.Datetime("ns", "UTC"), pl.Date])
def test_times_of_a_parquet_file_may_be_dates(tmp_path: Path, dtype: pl.DataType) -> None:
    times = pl.Series([86_400_000_000, 0]).cast(pl.Datetime("us")).cast(pl.Datetime("us", "UTC"))
    frame = pl.DataFrame(
        {"user_id": ["a", "b"], "item_id": ["x", "x"], "timestamp": times.cast(dtype)}
    )
    dataset = load_dataset(write(tmp_path / "events.parquet", frame))
    assert dataset.first_times is not None
    assert dataset.first_times.tolist() == [86_400_000_000, 0]


def test_returns_are_left_out_and_counted(tmp_path: Path) -> None:
    frame = ROWS.with_columns(quantity=pl.Series([1, -2, 0, None, 5]))
    dataset = load_dataset(write(tmp_path / "events.csv", frame))
    assert as_mapping(dataset) == {"a": {"x": 40}, "b": {"02": 50, "1": 70}}
    assert dataset.left_out == {"quantity of zero or less": 2}
    assert dataset.rows == 5


def test_a_mapped_quantity_is_a_quantity_all_the_same(tmp_path: Path) -> None:
    frame = ROWS.rename({"quantity": "Qty"}).with_columns(Qty=pl.Series([1, -2, 1, 1, 1]))
    names = ColumnNames.parse("quantity=Qty")
    dataset = load_dataset(write(tmp_path / "events.csv", frame), names=names)
    assert dataset.left_out == {"quantity of zero or less": 1}


def test_every_rating_counts_unless_a_least_value_is_asked_for(tmp_path: Path) -> None:
    frame = ROWS.rename({"quantity": "rating"}).with_columns(rating=pl.Series([0, -1, 4, None, 5]))
    path = write(tmp_path / "events.csv", frame)
    assert load_dataset(path).left_out == {}
    chosen = load_dataset(path, positives=EventFilter(least_value=4.5))
    assert as_mapping(chosen) == {"a": {"x": 40}, "b": {"1": 70}}
    assert chosen.left_out == {"value below 4.5": 3}


def test_only_the_chosen_event_types_count(tmp_path: Path) -> None:
    frame = ROWS.with_columns(event_type=pl.Series(["view", "buy", "buy", None, "view"]))
    path = write(tmp_path / "events.csv", frame)
    assert load_dataset(path).left_out == {}
    chosen = load_dataset(path, positives=EventFilter(event_types=("buy",)))
    assert as_mapping(chosen) == {"a": {"x": 30}, "b": {"02": 20}}
    assert chosen.left_out == {"another event type": 3}


def test_a_row_is_left_out_for_one_reason_only(tmp_path: Path) -> None:
    frame = ROWS.with_columns(
        event=pl.Series(["view", "buy", "buy", "buy", "buy"]),
        quantity=pl.Series([-1, -1, 1, 1, 1]),
        rating=pl.Series([1, 1, 1, 5, 5]),
    )
    dataset = load_dataset(
        write(tmp_path / "events.csv", frame),
        positives=EventFilter(event_types=("buy",), least_value=2),
    )
    assert dataset.left_out == {
        "another event type": 1,
        "quantity of zero or less": 1,
        "value below 2": 1,
    }


def test_columns_can_have_other_names(tmp_path: Path) -> None:
    frame = ROWS.rename({"user_id": "Customer ID", "item_id": "sku", "timestamp": "when"})
    names = ColumnNames.parse("user_id=Customer ID, item_id=sku,timestamp=when")
    dataset = load_dataset(write(tmp_path / "orders.csv", frame), names=names)
    assert as_mapping(dataset) == {"a": {"x": 30}, "b": {"02": 20, "1": 70}}
    assert dataset.name == "orders"


@pytest.mark.parametrize("text", ["user_id", "user_id=", "colour=red", "user_id=a,user_id=b", "=a"])
def test_a_mapping_that_is_not_one_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="required: FIELD=NAME"):
        ColumnNames.parse(text)


def test_a_byte_order_mark_blank_lines_and_line_ends_of_windows_are_no_matter(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(b"\xef\xbb\xbfuser_id,item_id\r\na,x\r\n\r\nb,y\r\n\r\n")
    dataset = load_dataset(path)
    assert as_mapping(dataset) == {"a": {"x": None}, "b": {"y": None}}
    assert dataset.rows == 2


def test_a_country_is_the_most_frequent_and_may_be_unknown(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "user_id": ["a", "a", "a", "b", "c", "c"],
            "item_id": ["x"] * 6,
            "country": ["Malta", "Eire", "Malta", "", "Spain", "Eire"],
        }
    )
    dataset = load_dataset(write(tmp_path / "events.csv", frame))
    assert dataset.countries is not None
    assert dataset.countries.to_list() == ["Malta", None, "Eire"]


def test_no_user_data_is_in_the_text_form_of_a_data_set(tmp_path: Path) -> None:
    frame = ROWS.with_columns(user_id=pl.lit("zebra-7741"))
    dataset = load_dataset(write(tmp_path / "events.csv", frame))
    assert "zebra" not in repr(dataset)
    assert "[" not in repr(dataset.interactions)


def test_a_file_of_a_layout_stands_for_its_folder_and_settles_a_doubt(tmp_path: Path) -> None:
    write(tmp_path / "events.csv", ROWS)
    write(tmp_path / "events.parquet", ROWS)
    write(tmp_path / "items.csv", pl.DataFrame({"item_id": ["02", "1", "x"], "title": ["T"] * 3}))
    with pytest.raises(DataError, match="path of the file that is meant"):
        load_dataset(tmp_path)
    dataset = load_dataset(tmp_path / "events.csv")
    assert dataset.catalogue.titles == ("T", "T", "T")
    write(tmp_path / "mine.csv", ROWS)
    assert load_dataset(tmp_path / "mine.csv").catalogue.inferred


def test_a_data_set_can_be_given_a_name(tmp_path: Path) -> None:
    assert load_dataset(write(tmp_path / "events.csv", ROWS), name="shop").name == "shop"
