"""Public features of items, derived from the catalogue's columns by their kind.

| column | blocks |
|---|---|
| title, short text | TF-IDF of words and word pairs; TF-IDF of character 4-grams |
| long text | TF-IDF of words |
| categories | TF-IDF of labels |
| number, a year at the end of titles | radial bases on the quantiles |
| vector | the vector, scaled to unit length |
| item ids with a variant's letter (85123A, 85123B) | the stem they share |

Rows are unit vectors, or zero where an item has no value. Blocks that tell no items apart, or
none alike, are left out. Nothing here depends on anybody's events.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import scipy.sparse.linalg as sla

from recommons.common.data.catalogue import Catalogue, FeatureColumn
from recommons.common.models.text_features import (
    character_grams,
    long_words,
    tfidf,
    unit_rows,
    words_and_pairs,
)

__all__ = [
    "FeatureBlock",
    "feature_blocks",
    "feature_table",
    "principal_features",
    "tower_features",
]

LONG_TEXT_WORDS = 15
MOST_COMMON = 0.3
MOST_COMMON_IN_LONG_TEXT = 0.1
LEAST_COMMON = 10  # documents: a word in so few is never too common
MOST_BASES = 16
ITEMS_PER_BASIS = 5
LEAST_BASIS = 0.05
YEAR = re.compile(r"\((1[5-9]\d\d|20\d\d)\)\s*$")
STEM = re.compile(r"^(.*\d)(?:[A-Za-z]{1,3}|[-_./ ][A-Za-z0-9]{1,8})$")
LEAST_SHARE_WITH_YEAR = 0.5
WEIGHTS = {
    "words": 1.0,
    "characters": 1.0,
    "long words": 0.7,
    "labels": 1.0,
    "number": 0.7,
    "vector": 1.0,
    "stem": 0.7,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureBlock:
    """One view of the items.

    Attributes:
        name: Column and view, e.g. ``"title: words"``.
        view: A key of `WEIGHTS`.
        matrix: float64 CSR, shape ``(n_items, any)``, rows of unit length or zero.
    """

    name: str
    view: str
    matrix: sp.csr_array


def feature_blocks(catalogue: Catalogue) -> tuple[FeatureBlock, ...]:
    """Every useful block of a catalogue, in a fixed order."""
    blocks = (
        *_title_blocks(catalogue.titles),
        *_id_blocks(catalogue.item_ids),
        *(block for column in catalogue.features for block in _column_blocks(column)),
    )
    return tuple(block for block in blocks if _is_useful(block.matrix))


def feature_table(
    blocks: Sequence[FeatureBlock],
    n_items: int,
    weights: Mapping[str, float] | None = None,
) -> sp.csr_array:
    """T: the blocks side by side, weighted, then scaled to a mean squared row length of 1.

    Args:
        blocks: The blocks; none gives a table without columns.
        n_items: Number of rows.
        weights: Weight by block name; by default the weight of the block's view.
    """
    parts = [sp.csr_array((n_items, 0))]
    for block in blocks:
        weight = WEIGHTS[block.view] if weights is None else weights[block.name]
        parts.append(block.matrix * weight)
    table = sp.csr_array(sp.hstack(parts, format="csr"))
    mean = float(np.sum(table.data**2)) / n_items
    return table / np.sqrt(mean) if mean > 0 else table


def principal_features(table: sp.csr_array, rank: int) -> npt.NDArray[np.float64]:
    """P: left singular vectors times singular values, largest first; shape ``(n_items, ≤ rank)``.

    The sign of each column is fixed by its largest entry.
    """
    rank = min(rank, *table.shape)
    if rank == 0:
        return np.zeros((table.shape[0], 0))
    if rank >= min(table.shape) - 1:
        left, values, _ = np.linalg.svd(table.toarray(), full_matrices=False)
    else:
        start = np.random.default_rng(0).standard_normal(min(table.shape))
        left, values, _ = sla.svds(table, k=rank, v0=start)
    order = np.argsort(-values)[:rank]
    features = left[:, order] * values[order]
    peaks = np.abs(features).argmax(axis=0)
    return np.asarray(features * np.sign(features[peaks, np.arange(len(order))]))


def tower_features(catalogue: Catalogue, rank: int) -> npt.NDArray[np.float64]:
    """Principal features with a mean squared row length of 1, shape ``(n_items, ≤ rank)``."""
    items = len(catalogue)
    if not rank:
        return np.zeros((items, 0))
    features = principal_features(feature_table(feature_blocks(catalogue), items), rank)
    mean = float((features**2).sum()) / items
    return np.ascontiguousarray(features / math.sqrt(mean)) if mean > 0 else features


def _title_blocks(titles: Sequence[str]) -> Iterator[FeatureBlock]:
    years = [YEAR.search(title) for title in titles]
    if sum(year is not None for year in years) >= LEAST_SHARE_WITH_YEAR * len(titles):
        numbers = np.array([float(year.group(1)) if year else np.nan for year in years])
        titles = [YEAR.sub("", title) for title in titles]
        yield FeatureBlock(name="title: year", view="number", matrix=_radial(numbers))
    yield from _text_blocks("title", titles)


def _id_blocks(item_ids: Sequence[str]) -> Iterator[FeatureBlock]:
    stems = [match.group(1) if (match := STEM.match(item)) else item for item in item_ids]
    matrix = tfidf([[stem] for stem in stems], least=2, most=MOST_COMMON)
    yield FeatureBlock(name="id: stem", view="stem", matrix=matrix)


def _column_blocks(column: FeatureColumn) -> Iterator[FeatureBlock]:
    values = column.values
    if column.kind == "text":
        yield from _text_blocks(column.name, [str(value) for value in values])
    elif column.kind == "categories":
        matrix = tfidf([list(labels) for labels in values], least=2)
        yield FeatureBlock(name=column.name, view="labels", matrix=matrix)
    elif column.kind == "number":
        matrix = _radial(np.asarray(values, np.float64))
        yield FeatureBlock(name=column.name, view="number", matrix=matrix)
    else:
        vectors = np.nan_to_num(np.asarray(values, np.float64), posinf=0.0, neginf=0.0)
        matrix = unit_rows(sp.csr_array(vectors))
        yield FeatureBlock(name=column.name, view="vector", matrix=matrix)


def _text_blocks(name: str, texts: Sequence[str]) -> Iterator[FeatureBlock]:
    words = sum(len(text.split()) for text in texts)
    if words > LONG_TEXT_WORDS * sum(bool(text.strip()) for text in texts):
        most = max(MOST_COMMON_IN_LONG_TEXT, LEAST_COMMON / len(texts))
        matrix = tfidf([long_words(text) for text in texts], least=4, most=most)
        yield FeatureBlock(name=f"{name}: words", view="long words", matrix=matrix)
        return
    pairs = tfidf([words_and_pairs(text) for text in texts], least=2, most=MOST_COMMON)
    yield FeatureBlock(name=f"{name}: words", view="words", matrix=pairs)
    grams = tfidf([character_grams(text) for text in texts], least=3, most=MOST_COMMON)
    yield FeatureBlock(name=f"{name}: characters", view="characters", matrix=grams)


def _radial(values: npt.NDArray[np.float64]) -> sp.csr_array:
    """Gaussian bumps at even steps of the values' mid-rank quantiles; zero rows where missing."""
    known = np.flatnonzero(np.isfinite(values))
    bases = int(np.clip(len(known) // ITEMS_PER_BASIS, 2, MOST_BASES))
    matrix = np.zeros((len(values), bases))
    if len(known):
        _, inverse, counts = np.unique(values[known], return_inverse=True, return_counts=True)
        quantiles = (np.cumsum(counts) - counts / 2)[inverse] / len(known)
        centres = (np.arange(bases) + 0.5) / bases
        bumps = np.exp(-0.5 * ((quantiles[:, None] - centres) * bases) ** 2)
        matrix[known] = np.where(bumps < LEAST_BASIS, 0.0, bumps)
    return unit_rows(sp.csr_array(matrix))


def _is_useful(matrix: sp.csr_array) -> bool:
    """Whether the block says anything: some column is shared by some items but not by all."""
    frequency = np.bincount(matrix.indices, minlength=matrix.shape[1])
    return bool(np.any((frequency > 1) & (frequency < matrix.shape[0]))) or (
        matrix.nnz > 0 and matrix.nnz == matrix.shape[0] * matrix.shape[1] and matrix.shape[1] > 1
    )
