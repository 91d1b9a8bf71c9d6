"""The catalogue: ordered, checked, and pinned by its hash."""

from dataclasses import replace

import numpy as np
import pytest

from recommons.common.data.catalogue import Catalogue, ColumnKind, FeatureColumn
from recommons.common.errors import DataError

COLUMNS = (
    FeatureColumn(name="story", kind="text", values=("p", "q")),
    FeatureColumn(name="tags", kind="categories", values=(("a", "b"), ())),
    FeatureColumn(name="price", kind="number", values=np.array([1.0, np.nan])),
    FeatureColumn(name="image", kind="vector", values=np.array([[1, 2], [3, 4]], np.float32)),
)
CATALOGUE = Catalogue(item_ids=("a", "b"), titles=("A", ""), features=COLUMNS)


def with_column(position: int, column: FeatureColumn) -> Catalogue:
    columns = list(COLUMNS)
    columns[position] = column
    return replace(CATALOGUE, features=tuple(columns))


def test_an_item_is_found_by_its_id() -> None:
    assert len(CATALOGUE) == 2
    assert CATALOGUE.index == {"a": 0, "b": 1}


@pytest.mark.parametrize(
    "other",
    [
        replace(CATALOGUE, item_ids=("a", "c")),
        replace(CATALOGUE, titles=("A", "B")),
        replace(CATALOGUE, features=COLUMNS[:3]),
        replace(CATALOGUE, features=COLUMNS[::-1]),
        with_column(0, FeatureColumn(name="story", kind="text", values=("p", "r"))),
        with_column(1, FeatureColumn(name="tags", kind="categories", values=(("a",), ("b",)))),
        with_column(1, FeatureColumn(name="tags", kind="categories", values=(("ab",), ()))),
        with_column(2, FeatureColumn(name="price", kind="number", values=np.array([1.0, 0.0]))),
        with_column(2, FeatureColumn(name="cost", kind="number", values=np.array([1.0, np.nan]))),
        with_column(3, FeatureColumn(name="image", kind="vector", values=np.array([[1], [3]]))),
    ],
)
def test_whatever_is_changed_the_hash_is_another(other: Catalogue) -> None:
    assert other.hash != CATALOGUE.hash


def test_the_hash_depends_on_content_alone() -> None:
    again = Catalogue(item_ids=("a", "b"), titles=("A", ""), features=COLUMNS)
    assert again.hash == CATALOGUE.hash


def test_a_catalogue_without_items_is_refused() -> None:
    with pytest.raises(DataError) as caught:
        Catalogue(item_ids=(), titles=())
    assert caught.value.code == "data/empty"


@pytest.mark.parametrize("ids", [("b", "a"), ("a", "a"), ("9", "10")])
def test_ids_that_are_not_ascending_are_refused(ids: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        Catalogue(item_ids=ids, titles=("", ""))
    assert caught.value.code == "data/catalogue"


def test_titles_and_columns_of_another_length_are_refused() -> None:
    with pytest.raises(DataError, match="titles"):
        Catalogue(item_ids=("a", "b"), titles=("",))
    short: tuple[tuple[ColumnKind, object], ...] = (
        ("text", ("p",)),
        ("vector", np.zeros((3, 2), np.float32)),
    )
    for kind, values in short:
        with pytest.raises(DataError, match="column 'f'"):
            with_column(0, FeatureColumn(name="f", kind=kind, values=values))  # type: ignore[arg-type]
