"""The catalogue's document: read strictly, whoever wrote it."""

import json
from typing import Any

import numpy as np
import pytest

from recommons.common.data import catalogue_document
from recommons.common.data.catalogue import Catalogue, FeatureColumn
from recommons.common.data.catalogue_document import (
    MOST_OFFERED_BYTES,
    catalogue_from_bytes,
    catalogue_to_bytes,
    offered_from_bytes,
)
from recommons.common.errors import DataError

COLUMNS = (
    FeatureColumn(name="story", kind="text", values=("p", "é😀")),
    FeatureColumn(name="tags", kind="categories", values=(("a", "b"), ())),
    FeatureColumn(name="price", kind="number", values=np.array([1.5e9, np.nan])),
    FeatureColumn(name="image", kind="vector", values=np.array([[1, 0.1], [3, 4]], np.float32)),
)
CATALOGUE = Catalogue(item_ids=("a", "b"), titles=("A", ""), features=COLUMNS)
FIELDS: dict[str, Any] = {
    "version": 1,
    "item_ids": ["a"],
    "titles": [""],
    "features": [],
    "inferred": False,
}


def column(kind: str, values: str, name: str = '"f"') -> str:
    return f'[{{"name":{name},"kind":{kind},"values":{values}}}]'


def document(**texts: str) -> bytes:
    """A sound document but for fields that are given as JSON."""
    texts = {name: json.dumps(value) for name, value in FIELDS.items()} | texts
    return ("{" + ",".join(f'"{name}":{text}' for name, text in texts.items()) + "}").encode()


def test_what_is_written_reads_the_same() -> None:
    data = catalogue_to_bytes(CATALOGUE)
    found = offered_from_bytes(data)
    assert found.hash == CATALOGUE.hash
    assert catalogue_to_bytes(found) == data
    assert catalogue_from_bytes(document()).item_ids == ("a",)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"7",
        b'"version"',
        b"[" * 100_000,
        b"\xef\xbb\xbf" + document(),
        document().decode().encode("utf-16"),
        document(titles='["X"]').replace(b"X", b"\xff"),
        document(version="true"),
        document(version="1.0"),
        document(version="[" * 500 + "]" * 500),
        document(inferred="0"),
        document(more="1"),
        document(item_ids='"a"'),
        document(item_ids='{"a":1}'),
        document(item_ids="[]", titles="[]"),
        document(item_ids='["\\ud800"]'),
        document(titles="[5]"),
        document(titles="[null]"),
        document(titles='["\\ud800"]'),
        document(titles='["\\udc00\\ud800"]'),
        document(features="{}"),
        document(features="[5]"),
        document(features='[{"name":"f","kind":"text"}]'),
        document(features='[{"name":"f","kind":"text","values":["x"],"more":1}]'),
        document(features=column("[]", '["x"]')),
        document(features=column('"words"', '["x"]')),
        document(features=column('"text"', '["x"]', "5")),
        document(features=column('"text"', '["x"]', '"\\ud800"')),
        document(features=column('"text"', '"x"')),
        document(features=column('"text"', "[1]")),
        document(features=column('"text"', '["\\ud800"]')),
        document(features=column('"categories"', '["x"]')),
        document(features=column('"categories"', "[[1]]")),
        document(features=column('"categories"', '[["\\ud800"]]')),
        document(features=column('"number"', '["1"]')),
        document(features=column('"number"', "[true]")),
        document(features=column('"number"', "[NaN]")),
        document(features=column('"number"', "[-Infinity]")),
        document(features=column('"number"', "[1e400]")),
        document(features=column('"number"', "[1e300]")),
        document(features=column('"number"', f"[{'9' * 400}]")),
        document(features=column('"number"', f"[{'9' * 5000}]")),
        document(features=column('"vector"', "[1]")),
        document(features=column('"vector"', "[[]]")),
        document(features=column('"vector"', "[[null]]")),
        document(features=column('"vector"', "[[true]]")),
        document(features=column('"vector"', "[[1e300]]")),
        document(features=column('"vector"', f"[[-{'9' * 400}]]")),
        document(features=column('"vector"', "[[[1]]]")),
        document(
            item_ids='["a","b"]', titles='["",""]', features=column('"vector"', "[[1],[1,2]]")
        ),
    ],
)
def test_whatever_is_no_catalogue_is_refused_by_one_code(data: bytes) -> None:
    with pytest.raises(DataError) as refused:
        catalogue_from_bytes(data)
    assert refused.value.code == "data/catalogue"
    assert len(refused.value.message) < 200


def test_numbers_that_float32_does_not_hold_are_no_feature() -> None:
    most = float(np.finfo(np.float32).max)
    for price, holds in ((most, True), (-most, True), (most * 1.01, False), (np.inf, False)):
        columns = (FeatureColumn(name="price", kind="number", values=np.array([price])),)
        if holds:
            made = Catalogue(item_ids=("a",), titles=("",), features=columns)
            assert catalogue_from_bytes(catalogue_to_bytes(made)).hash == made.hash
        else:
            with pytest.raises(DataError, match="'price'"):
                Catalogue(item_ids=("a",), titles=("",), features=columns)


def test_what_the_coordinator_offers_is_bounded_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalogue_document, "_MOST_PARTS", 6)
    nearly = document(titles='["{[}]"]')
    assert offered_from_bytes(nearly).titles == ("{[}]",)
    monkeypatch.setattr(json, "loads", lambda *_a, **_k: pytest.fail("it was read"))
    for data, told in (
        (nearly.replace(b"{[}]", b"{[}][["), "6 lists"),
        (b" " * (MOST_OFFERED_BYTES + 1), "64 MiB"),
    ):
        with pytest.raises(DataError, match=told) as refused:
            offered_from_bytes(data)
        assert refused.value.code == "data/catalogue"
