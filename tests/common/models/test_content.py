"""Public features from every kind of column, and from none."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from recommons.common.data.catalogue import Catalogue, FeatureColumn
from recommons.common.models.content import (
    FeatureBlock,
    feature_blocks,
    feature_table,
    principal_features,
)
from recommons.common.models.kernel import FeatureKernel
from recommons.common.models.text_features import character_grams, tfidf, words_and_pairs


def named(catalogue: Catalogue) -> dict[str, FeatureBlock]:
    return {block.name: block for block in feature_blocks(catalogue)}


def only(column: FeatureColumn) -> dict[str, FeatureBlock]:
    n_items = len(column.values)
    ids = tuple(f"{k:04}" for k in range(n_items))
    return named(Catalogue(item_ids=ids, titles=("",) * n_items, features=(column,)))


def alike(block: FeatureBlock, first: int, second: int) -> float:
    return float((block.matrix @ block.matrix.T).toarray()[first, second])


def test_every_kind_of_column_gives_its_blocks(catalogue: Catalogue) -> None:
    assert {name: block.view for name, block in named(catalogue).items()} == {
        "title: words": "words",
        "title: characters": "characters",
        "id: stem": "stem",
        "tags": "labels",
        "price": "number",
        "image": "vector",
        "story: words": "long words",
    }


def test_rows_have_unit_length_or_none(catalogue: Catalogue) -> None:
    for block in feature_blocks(catalogue):
        length = np.sqrt((block.matrix.toarray() ** 2).sum(1))
        assert np.all(np.isclose(length, 1) | (length == 0)), block.name


def test_missing_values_give_rows_of_zeros(catalogue: Catalogue) -> None:
    blocks = named(catalogue)
    for name, item in (("price", 4), ("image", 5), ("tags", 39), ("story: words", 2)):
        assert not blocks[name].matrix[[item]].nnz, name


def test_the_same_catalogue_always_gives_the_same_features(catalogue: Catalogue) -> None:
    tables = [feature_table(feature_blocks(catalogue), len(catalogue)) for _ in range(2)]
    np.testing.assert_array_equal(tables[0].toarray(), tables[1].toarray())
    first, second = (principal_features(table, 6) for table in tables)
    np.testing.assert_array_equal(first, second)


def test_without_features_there_are_no_columns_and_the_kernel_is_zero(
    bare_catalogue: Catalogue,
) -> None:
    table = feature_table(feature_blocks(bare_catalogue), len(bare_catalogue))
    assert table.shape == (len(bare_catalogue), 0)
    assert principal_features(table, 8).shape == (len(bare_catalogue), 0)
    assert not FeatureKernel(table=table).dense().any()


def test_variants_of_an_id_share_a_stem_and_serial_numbers_share_none() -> None:
    def stems(*ids: str) -> dict[str, FeatureBlock]:
        return named(Catalogue(item_ids=ids, titles=("",) * len(ids)))

    ids = ("1", "2", "85123A", "85123B", "90000", "SKU-17-blue", "SKU-17-red", "SKU-18")
    block = stems(*ids)["id: stem"]
    assert alike(block, 2, 3) == pytest.approx(1)
    assert alike(block, 5, 6) == pytest.approx(1)
    assert alike(block, 2, 4) == alike(block, 5, 7) == 0
    assert not stems("100", "101", "102", "103")
    assert not stems("item-1", "item-2", "item-3", "item-4")


def test_a_year_at_the_end_of_titles_is_a_number_and_not_a_word() -> None:
    titles = tuple(f"film {'abcde'[k % 5]}{k % 5} ({1950 + k // 2})" for k in range(20))
    blocks = named(Catalogue(item_ids=tuple(f"{k:02}" for k in range(20)), titles=titles))
    assert alike(blocks["title: year"], 0, 1) > 0.9 > alike(blocks["title: year"], 0, 15)
    assert alike(blocks["title: words"], 0, 5) == pytest.approx(1)
    assert alike(blocks["title: words"], 0, 1) == 0


def test_numbers_are_alike_when_their_ranks_are_near() -> None:
    values = np.concatenate([np.arange(50.0), 1e6 + np.arange(50.0)])
    block = only(FeatureColumn(name="n", kind="number", values=values))["n"]
    assert alike(block, 10, 11) > 0.9
    assert alike(block, 10, 20) < alike(block, 10, 12)
    assert alike(block, 10, 80) == 0


@pytest.mark.parametrize(
    "column",
    [
        FeatureColumn(name="n", kind="number", values=np.full(6, np.nan)),
        FeatureColumn(name="n", kind="categories", values=(("same",),) * 6),
        FeatureColumn(name="n", kind="categories", values=tuple((f"{k}",) for k in range(6))),
        FeatureColumn(name="n", kind="text", values=("",) * 6),
        FeatureColumn(name="n", kind="vector", values=np.zeros((6, 3), np.float32)),
    ],
    ids=["all missing", "all the same", "all different", "no text", "zero vectors"],
)
def test_columns_that_say_nothing_are_left_out(column: FeatureColumn) -> None:
    assert not only(column)


def test_tfidf_by_hand() -> None:
    found = tfidf([["a", "a", "b"], ["b"], ["c", "b"], []], least=1, most=1.0).toarray()
    a, b = (1 + np.log(2)) * np.log(4), np.log(4 / 3)
    np.testing.assert_allclose(found[0], [a / np.hypot(a, b), b / np.hypot(a, b), 0])
    np.testing.assert_allclose(found[1], [0, 1, 0])
    np.testing.assert_allclose(found[3], 0)


def test_terms_too_rare_or_too_common_are_left_out() -> None:
    documents = [["all", "pair", "one"], ["all", "pair"], ["all"]]
    assert tfidf(documents, least=2, most=0.7).shape == (3, 1)


def test_words_pairs_and_grams_of_a_title() -> None:
    assert words_and_pairs("Red-HOT lamp") == ["red", "hot", "lamp", "red hot", "hot lamp"]
    assert character_grams("To go") == [" to ", "to g", "o go", " go "]
    assert character_grams("") == []


def test_principal_features_keep_the_kernel_best_and_fix_their_signs() -> None:
    rng = np.random.default_rng(2)
    table = sp.csr_array(rng.random((30, 20)) * (rng.random((30, 20)) < 0.4))
    expected = np.linalg.svd(table.toarray(), compute_uv=False)
    for rank in (3, 20):
        found = principal_features(table, rank)
        np.testing.assert_allclose(np.linalg.norm(found, axis=0), expected[:rank], rtol=1e-6)
        assert (found[np.abs(found).argmax(0), np.arange(rank)] > 0).all()
    np.testing.assert_allclose(
        principal_features(table, 20) @ principal_features(table, 20).T,
        (table @ table.T).toarray(),
        atol=1e-9,
    )


def test_a_kernel_survives_the_way_through_a_release(catalogue: Catalogue) -> None:
    table = feature_table(feature_blocks(catalogue), len(catalogue))
    kernel = FeatureKernel(table=table)
    again = FeatureKernel.from_arrays(kernel.to_arrays(), *table.shape)
    np.testing.assert_allclose(again.dense(), kernel.dense(), atol=1e-6)
    expected = (table @ table.T).toarray()
    assert np.trace(expected) / len(expected) == pytest.approx(1)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(kernel.dense(), expected, atol=1e-6)


def test_titles_of_a_catalogue_without_items_alike_are_left_out(catalogue: Catalogue) -> None:
    titles = tuple(chr(0x4E00 + k) for k in range(len(catalogue)))
    assert "title: words" not in named(replace(catalogue, titles=titles))
