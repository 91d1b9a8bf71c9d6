"""TF-IDF of words, word pairs, character 4-grams and labels."""

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import scipy.sparse as sp

__all__ = ["character_grams", "long_words", "tfidf", "unit_rows", "words_and_pairs"]

WORD = re.compile(r"[^\W_]+")
LONG_WORD = re.compile(r"[^\W\d_]{3,}")
GRAM = 4


def words_and_pairs(text: str) -> list[str]:
    """Lower-case words, then neighbouring pairs."""
    words = WORD.findall(text.lower())
    return words + [f"{left} {right}" for left, right in pairwise(words)]


def character_grams(text: str) -> list[str]:
    """Character 4-grams of the words, with a space at either end."""
    padded = f" {' '.join(WORD.findall(text.lower()))} "
    return [padded[k : k + GRAM] for k in range(len(padded) - GRAM + 1)]


def long_words(text: str) -> list[str]:
    """Lower-case words of three letters or more."""
    return LONG_WORD.findall(text.lower())


def tfidf(documents: Sequence[Iterable[str]], *, least: int = 1, most: float = 1.0) -> sp.csr_array:
    """Rows of unit length (or zero): (1 + ln count) · ln(documents/document frequency).

    Args:
        documents: The terms of each document, repeated as they occur.
        least: Terms found in fewer documents are left out.
        most: Terms found in more than this share of the documents are left out.

    Returns:
        float64 CSR, shape ``(len(documents), terms kept)``; columns in order of first occurrence.
    """
    vocabulary: dict[str, int] = {}
    lengths, columns = [], []
    for terms in documents:
        numbers = [vocabulary.setdefault(term, len(vocabulary)) for term in terms]
        columns.extend(numbers)
        lengths.append(len(numbers))
    rows = np.repeat(np.arange(len(lengths)), lengths)
    shape = (len(documents), max(len(vocabulary), 1))
    counts = sp.coo_array((np.ones(len(columns)), (rows, columns)), shape=shape).tocsr()
    frequency = np.bincount(counts.indices, minlength=shape[1])
    kept = np.flatnonzero((frequency >= least) & (frequency <= most * len(documents)))
    counts = counts[:, kept]
    counts.data = 1 + np.log(counts.data)
    rarity = np.log(len(documents) / frequency[kept])
    counts.data *= rarity[counts.indices]
    return unit_rows(counts)


def unit_rows(matrix: sp.csr_array) -> sp.csr_array:
    """Each row scaled to unit length; rows of zeros stay."""
    rows = matrix.copy()
    rows.eliminate_zeros()
    row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    length = np.sqrt(np.bincount(row, rows.data**2, minlength=rows.shape[0]))
    rows.data /= length[row]
    return rows
