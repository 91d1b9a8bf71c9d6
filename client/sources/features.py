"""The columns of an item table, typed by what they hold and not by their names.

| the column holds | becomes |
|---|---|
| lists of numbers (or text such as ``[0.1, 2]``) | vector |
| lists of text, or text with parts divided by a bar | categories |
| numbers, dates (days since 1970), or text that is a number in every cell | number |
| true or false | categories |
| short text that repeats over items (a brand, a colour) | categories, one an item |
| any other text | text |

Empty cells become an empty text, no category, NaN and a vector of zeros. A column without any
value is left out.
"""

from collections.abc import Callable

import numpy as np
import polars as pl

from recommons.common.data.catalogue import FeatureColumn
from recommons.common.errors import DataError

__all__ = ["typed_column"]

_LONGEST_CATEGORY = 40
_LEAST_BARS = 0.02
_MOST_DISTINCT = 0.5


def typed_column(
    values: pl.Series, name: str, place: Callable[[int, str], str]
) -> FeatureColumn | None:
    """Type one column of an item table.

    Args:
        values: One value an item.
        name: The column's name.
        place: Names the place of an item (counted from 0) and a column in messages.

    Returns:
        None where the column has no value at all.

    Raises:
        DataError: A vector of another length than the first, or with a number that is not finite;
            a column of a type that cannot be a feature.
    """
    dtype = values.dtype
    if isinstance(dtype, (pl.List, pl.Array)):
        return _typed_lists(values, name, place)
    if dtype.is_temporal():
        if not (dtype == pl.Date or isinstance(dtype, pl.Datetime)):
            raise _no_feature(name, place)
        return _numbers(values.cast(pl.Date).cast(pl.Int32), name)
    if dtype == pl.Boolean or dtype in (pl.Categorical, pl.Enum):
        words = values.cast(pl.String).to_frame().select(pl.concat_list(pl.all())).to_series()
        return _categories(words, name)
    if dtype.is_numeric():
        return _numbers(values, name)
    if dtype == pl.String:
        return _typed_text(values, name, place)
    if dtype == pl.Null:
        return None
    raise _no_feature(name, place)


def _no_feature(name: str, place: Callable[[int, str], str]) -> DataError:
    return DataError(
        "data/unreadable",
        f"{place(0, name)}: of a type that cannot be a feature; expected text, numbers, dates, "
        "lists of text or lists of numbers",
    )


def _typed_lists(
    values: pl.Series, name: str, place: Callable[[int, str], str]
) -> FeatureColumn | None:
    lists = values.arr.to_list() if isinstance(values.dtype, pl.Array) else values
    inner = getattr(lists.dtype, "inner", None)
    if inner is not None and inner.is_numeric():
        return _vectors(lists.cast(pl.List(pl.Float32)), name, place)
    if inner in (pl.String, pl.Categorical, pl.Enum):
        return _categories(lists.cast(pl.List(pl.String)), name)
    if inner == pl.Null:
        return None
    raise _no_feature(name, place)


def _typed_text(
    values: pl.Series, name: str, place: Callable[[int, str], str]
) -> FeatureColumn | None:
    cells = values.str.strip_chars()
    filled = cells.filter(cells.is_not_null() & (cells != ""))
    if filled.is_empty():
        return None
    if filled.str.contains(r"^\[[-+0-9.eE,\s]*\]$").all():
        numbers = (
            cells.str.strip_chars("[]")
            .str.split(",")
            .list.eval(pl.element().str.strip_chars().cast(pl.Float32, strict=False))
        )
        return _vectors(numbers, name, place)
    if filled.cast(pl.Float64, strict=False).is_not_null().all():
        return _numbers(cells.cast(pl.Float64, strict=False), name)
    if _holds_categories(filled):
        return _categories(cells.str.split("|"), name)
    return FeatureColumn(name=name, kind="text", values=tuple(cells.fill_null("")))


def _holds_categories(filled: pl.Series) -> bool:
    """Lists divided by bars, or short text that repeats."""
    barred = filled.str.contains("|", literal=True).to_numpy()
    if barred.mean() >= _LEAST_BARS:
        lengths = filled.str.split("|").explode().str.len_chars().to_numpy()
        return bool(np.quantile(lengths, 0.95) <= _LONGEST_CATEGORY)
    longest = filled.str.len_chars().to_numpy().max()
    return bool(longest <= _LONGEST_CATEGORY and filled.n_unique() <= _MOST_DISTINCT * len(filled))


def _categories(lists: pl.Series, name: str) -> FeatureColumn | None:
    cleaned = lists.list.eval(
        pl.element().filter(pl.element().is_not_null()).str.strip_chars()
    ).list.eval(pl.element().filter(pl.element() != ""))
    values = tuple(tuple(dict.fromkeys(parts or ())) for parts in cleaned.to_list())
    return FeatureColumn(name=name, kind="categories", values=values) if any(values) else None


def _numbers(values: pl.Series, name: str) -> FeatureColumn | None:
    numbers = values.cast(pl.Float64).to_numpy().astype(np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    if np.isnan(numbers).all():
        return None
    return FeatureColumn(name=name, kind="number", values=numbers)


def _vectors(lists: pl.Series, name: str, place: Callable[[int, str], str]) -> FeatureColumn | None:
    lengths = lists.list.len().fill_null(0).to_numpy()
    if not lengths.any():
        return None
    width = int(lengths[np.flatnonzero(lengths)[0]])
    wrong = np.flatnonzero((lengths != 0) & (lengths != width))
    if len(wrong):
        raise DataError(
            "data/unreadable",
            f"{place(int(wrong[0]), name)}: a vector of another length; expected {width} numbers",
        )
    filled = np.flatnonzero(lengths)
    numbers = lists.explode(empty_as_null=False, keep_nulls=False).to_numpy().reshape(-1, width)
    spoiled = np.flatnonzero(~np.isfinite(numbers).all(axis=1))
    if len(spoiled):
        raise DataError(
            "data/unreadable",
            f"{place(int(filled[spoiled[0]]), name)}: unreadable; expected {width} finite numbers",
        )
    vectors = np.zeros((len(lists), width), np.float32)
    vectors[filled] = numbers
    return FeatureColumn(name=name, kind="vector", values=vectors)
