"""From interests that a new user names to scores: labels, words of titles, and the model itself.

A new user without a single event may still say what they like: a label of a public category
("Drama") or words that stand in titles and texts ("umbrella", "star wars"). Items that match are
one opinion; the model's own scores for a history of the most popular of them are the other, so that
what goes with them is found too. Nothing here reads anybody's events.
"""

import difflib
import re
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput
from recommons.common.metrics import Scorer

__all__ = ["interest_scores", "match_interests"]

_EXAMPLES = 20
"""Items of an interest that stand for a history."""

_MATCHED = 4.0
"""What a match counts beside the model, in deviations of its scores."""

_SUGGESTIONS = 3
_WORD = re.compile(r"\w+")


def match_interests(catalogue: Catalogue, interests: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which items match which interest, shape ``(len(interests), m)``.

    An interest matches an item that carries it as a label, whatever the case; if no item does, the
    items in whose title or text all its words stand.

    Raises:
        InvalidInput: ``input/argument``: there is none; ``recommend/unknown-interest``: one matches
            no item. (It is what the caller typed, not a user's data.)
    """
    if not interests:
        raise InvalidInput("input/argument", "interests is empty; required: at least one")
    labels = _labels(catalogue)
    texts = _texts(catalogue)
    found = np.zeros((len(interests), len(catalogue)), np.bool_)
    for number, interest in enumerate(interests):
        wanted = interest.casefold().strip()
        words = wanted.split()
        items = labels.get(wanted) or [
            item for item, text in enumerate(texts) if words and all(w in text for w in words)
        ]
        if not items:
            near = _near(wanted, labels, texts)
            told = f"near it: {', '.join(near)}" if near else "nothing is near it"
            raise InvalidInput(
                "recommend/unknown-interest",
                f"interests has {interest!r}, which is no label and in no title; {told}",
            )
        found[number, items] = True
    return found


def interest_scores(
    score: Scorer, matches: npt.NDArray[np.bool_], counts: npt.NDArray[np.floating]
) -> npt.NDArray[np.float32]:
    """Scores of all items for somebody with these interests, float32, shape ``(m,)``.

    The model's scores for the interests' most popular items as a history, brought to mean 0 and
    deviation 1, plus 4 for an item that matches any interest and up to 1 for how many it matches.

    Args:
        score: The model.
        matches: From `match_interests`.
        counts: The noised popularity.
    """
    chosen = []
    for row in matches:
        items = np.flatnonzero(row)
        best = np.argsort(-counts[items], kind="stable")[:_EXAMPLES]
        chosen.append(items[best])
    history = np.unique(np.concatenate(chosen))
    rows = np.zeros(len(history), np.int64)
    users = Interactions.from_pairs(rows, history, n_users=1, n_items=matches.shape[1])
    matched = _MATCHED * matches.any(axis=0) + matches.mean(axis=0)
    return np.asarray(_standardised(score(users)[0]) + matched, np.float32)


def _standardised(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    finite = np.where(np.isfinite(scores), scores, 0.0)
    centred = finite - finite.mean()
    return np.asarray(centred / max(float(centred.std()), 1e-12), np.float32)


def _near(wanted: str, labels: Iterable[str], texts: Iterable[str]) -> list[str]:
    """Labels like the whole, then words of titles and texts like a word that stands in none."""
    words = {word for text in texts for word in _WORD.findall(text)}
    near = difflib.get_close_matches(wanted, labels, n=_SUGGESTIONS, cutoff=0.5)
    for word in _WORD.findall(wanted):
        if word not in words:
            near += difflib.get_close_matches(word, sorted(words), n=_SUGGESTIONS, cutoff=0.7)
    return list(dict.fromkeys(near))[:_SUGGESTIONS]


def _labels(catalogue: Catalogue) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for column in catalogue.features:
        if column.kind == "categories":
            for item, labels in enumerate(column.values):
                for label in dict.fromkeys(map(str, labels)):
                    found.setdefault(label.casefold(), []).append(item)
    return found


def _texts(catalogue: Catalogue) -> list[str]:
    columns: list[Sequence[object]] = [catalogue.titles]
    columns += [list(column.values) for column in catalogue.features if column.kind == "text"]
    return [" ".join(map(str, cells)).casefold() for cells in zip(*columns, strict=True)]
