"""Items: columns typed by content, and the catalogue they make."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recommons.client.sources import ColumnNames, load_dataset
from recommons.common.data.catalogue import Catalogue, FeatureColumn

COLOURS = ["red", "red", "blue", "blue", "red", "red"]
PLOT = "A long story about a shop that would rather not tell who bought what, with a happy end."


def catalogue(folder: Path, items: pl.DataFrame, ending: str = "parquet") -> Catalogue:
    (folder / "events.csv").write_text(f"user_id,item_id\nu,{items['item_id'][0]}\n")
    write_items(folder, items, ending)
    return load_dataset(folder).catalogue


def write_items(folder: Path, items: pl.DataFrame, ending: str) -> None:
    path = folder / f"items.{ending}"
    if ending == "parquet":
        items.write_parquet(path)
    elif ending == "jsonl":
        items.write_ndjson(path)
    else:
        items.write_csv(path, separator="," if ending == "csv" else "\t")


def table(column: Sequence[object], dtype: pl.DataType | None = None) -> pl.DataFrame:
    ids = [str(k) for k in range(len(column))]
    return pl.DataFrame({"item_id": ids, "f": pl.Series(column, dtype=dtype, strict=False)})


def only(loaded: Catalogue) -> FeatureColumn:
    assert len(loaded.features) == 1
    return loaded.features[0]


@pytest.mark.parametrize("ending", ["parquet", "csv", "tsv", "jsonl"])
@pytest.mark.parametrize(
    ("column", "kind", "values"),
    [
        (COLOURS, "categories", tuple((c,) for c in COLOURS)),
        (["a|b", "b| c ", None, "|"], "categories", (("a", "b"), ("b", "c"), (), ())),
        ([PLOT, PLOT[2:], None], "text", (PLOT, PLOT[2:], "")),
        (["Mug", "Cup", "Jug"], "text", ("Mug", "Cup", "Jug")),
        ([f"{PLOT} | {k}" for k in range(3)], "text", tuple(f"{PLOT} | {k}" for k in range(3))),
    ],
    ids=["repeated", "bars", "long text", "short text", "long text with bars"],
)
def test_text_is_typed_by_what_it_holds(
    tmp_path: Path, column: list[str | None], kind: str, values: tuple[object, ...], ending: str
) -> None:
    feature = only(catalogue(tmp_path, table(column), ending))
    assert (feature.name, feature.kind) == ("f", kind)
    assert feature.values == values


@pytest.mark.parametrize("ending", ["parquet", "csv", "tsv", "jsonl"])
@pytest.mark.parametrize("column", [[1.5, None, -3.0], [2, None, 7]])
def test_numbers_are_numbers_and_missing_ones_are_nan(
    tmp_path: Path, column: list[float | None], ending: str
) -> None:
    feature = only(catalogue(tmp_path, table(column), ending))
    assert feature.kind == "number"
    expected = [np.nan if value is None else value for value in column]
    assert np.array_equal(np.asarray(feature.values, float), expected, equal_nan=True)


def test_a_number_that_is_infinite_is_missing(tmp_path: Path) -> None:
    feature = only(catalogue(tmp_path, table([1.0, float("inf")])))
    assert np.isnan(np.asarray(feature.values, float)).tolist() == [False, True]


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        ([[0.5, 1.0], None, [2.0, -1.0]], None),
        ([[0.5, 1.0], [0, 0], [2.0, -1.0]], pl.Array(pl.Float32, 2)),
    ],
)
@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_lists_of_numbers_are_vectors_and_missing_ones_are_zero(
    tmp_path: Path, column: list[object], dtype: pl.DataType | None, ending: str
) -> None:
    feature = only(catalogue(tmp_path, table(column, dtype), ending))
    assert feature.kind == "vector"
    values = np.asarray(feature.values)
    assert values.dtype == np.float32
    assert values.tolist() == [[0.5, 1.0], [0.0, 0.0], [2.0, -1.0]]


def test_vectors_can_be_written_as_text(tmp_path: Path) -> None:
    feature = only(catalogue(tmp_path, table(["[0.5, 1e0]", None, "[2,-1]"]), "csv"))
    assert feature.kind == "vector"
    assert np.asarray(feature.values).tolist() == [[0.5, 1.0], [0.0, 0.0], [2.0, -1.0]]


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_lists_of_text_are_categories(tmp_path: Path, ending: str) -> None:
    feature = only(catalogue(tmp_path, table([["a", " b ", "a", ""], None, []]), ending))
    assert (feature.kind, feature.values) == ("categories", (("a", "b"), (), ()))


def test_truth_values_are_categories(tmp_path: Path) -> None:
    feature = only(catalogue(tmp_path, table([True, False, None])))
    assert (feature.kind, feature.values) == ("categories", (("true",), ("false",), ()))


def test_dates_are_days(tmp_path: Path) -> None:
    column = pl.Series(["1970-01-03", None]).str.to_date().to_list()
    feature = only(catalogue(tmp_path, table(column)))
    assert np.array_equal(np.asarray(feature.values, float), [2, np.nan], equal_nan=True)


@pytest.mark.parametrize("column", [[None, None], ["", " "], [[], None], ["|", None]])
def test_a_column_without_values_is_left_out(tmp_path: Path, column: list[object]) -> None:
    dtype = pl.List(pl.Float64) if column[0] == [] else pl.String()
    assert catalogue(tmp_path, table(column, dtype)).features == ()


def test_the_catalogue_is_in_order_of_ids_whatever_the_order_of_rows(tmp_path: Path) -> None:
    items = pl.DataFrame(
        {"item_id": ["b", "10", "9"], "title": ["B", None, "nine"], "size": [3, 1, 2]}
    )
    loaded = catalogue(tmp_path, items)
    assert loaded.item_ids == ("10", "9", "b")
    assert loaded.titles == ("", "nine", "B")
    assert np.asarray(loaded.features[0].values).tolist() == [1, 2, 3]
    assert not loaded.inferred


def test_items_that_only_events_know_are_added_and_make_the_catalogue_inferred(
    tmp_path: Path,
) -> None:
    (tmp_path / "events.csv").write_text("user_id,item_id\nu,a\nu,c\n")
    pl.DataFrame(
        {
            "item_id": ["b", "a"],
            "title": ["B", "A"],
            "price": [2.0, 1.0],
            "tags": [["t"], ["s"]],
            "story": [PLOT, PLOT[2:]],
            "image": [[2.0], [1.0]],
        }
    ).write_parquet(tmp_path / "items.parquet")
    loaded = load_dataset(tmp_path).catalogue
    assert loaded.item_ids == ("a", "b", "c")
    assert loaded.titles == ("A", "B", "")
    by_name = {feature.name: feature.values for feature in loaded.features}
    assert np.array_equal(np.asarray(by_name["price"], float), [1, 2, np.nan], equal_nan=True)
    assert by_name["tags"] == (("s",), ("t",), ())
    assert by_name["story"] == (PLOT[2:], PLOT, "")
    assert np.asarray(by_name["image"]).tolist() == [[1.0], [2.0], [0.0]]
    assert loaded.inferred


def test_items_nobody_bought_are_in_the_catalogue(tmp_path: Path) -> None:
    loaded = catalogue(tmp_path, pl.DataFrame({"item_id": ["a", "b"], "title": ["A", "B"]}))
    assert loaded.item_ids == ("a", "b")
    assert not loaded.inferred


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_columns_of_items_can_have_other_names(tmp_path: Path, ending: str) -> None:
    events = tmp_path / "events.csv"
    events.write_text("user_id,sku\nu,007\n")
    items = pl.DataFrame({"sku": ["007"], "label": ["Bond"]})
    write_items(tmp_path, items, ending)
    names = ColumnNames(item_id="sku", title="label")
    loaded = load_dataset(tmp_path, names=names).catalogue
    assert (loaded.item_ids, loaded.titles, loaded.features) == (("007",), ("Bond",), ())


def test_ids_of_items_that_are_numbers_meet_the_events(tmp_path: Path) -> None:
    pl.DataFrame({"user_id": [1], "item_id": [20]}).write_parquet(tmp_path / "events.parquet")
    (tmp_path / "items.jsonl").write_text('{"item_id": 20, "title": 1984}\n')
    loaded = load_dataset(tmp_path).catalogue
    assert (loaded.item_ids, loaded.titles, loaded.inferred) == (("20",), ("1984",), False)
