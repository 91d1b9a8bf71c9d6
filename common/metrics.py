"""Ranking metrics over the full catalogue: recall, NDCG and coverage.

Notation: H_u the held-out items of user u, T_u the first k recommendations. Items of the user's
own fold-in are never recommended.

- Recall@k = |T_u ∩ H_u| / min(k, |H_u|).
- NDCG@k, binary: Σ 1/log2(rank + 1) over hits, divided by the same sum over ranks
  1 … min(k, |H_u|) (Järvelin and Kekäläinen 2002).
- Coverage@k = share of the catalogue that is among the first k of at least one user.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput

__all__ = ["Cutoffs", "Evaluation", "Scorer", "evaluate", "top_k"]

Scorer = Callable[[Interactions], npt.NDArray[np.float32]]
"""Fold-in histories of a batch of users → scores, float32, shape ``(n_users, n_items)``."""

# Scores, keys and hits of a batch take about 24 bytes a cell: about 100 MB.
_CELLS_A_BATCH = 1 << 22


@dataclass(frozen=True, kw_only=True)
class Cutoffs:
    """The k at which each metric is taken."""

    recall: tuple[int, ...] = (20,)
    ndcg: tuple[int, ...] = (20, 100)
    coverage: tuple[int, ...] = (20,)

    def __post_init__(self) -> None:
        for k in (*self.recall, *self.ndcg, *self.coverage):
            if k < 1:
                raise InvalidInput("input/argument", f"cutoff is {k}; required: at least 1")

    @property
    def deepest(self) -> int:
        """The longest list any metric needs."""
        return max((*self.recall, *self.ndcg, *self.coverage), default=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """Metrics of each user, from which any group's means follow without another pass.

    Attributes:
        rows: int64, shape ``(n,)``: the rows evaluated, those with held-out items, ascending.
        left_out: Number of users without held-out items, who have no metric.
        by_user: Metric name (``recall@20``) to float64, shape ``(n,)``.
        ranked: int32, shape ``(n, k)``: the recommendations, -1 where fewer than k were possible.
        n_items: Size of the catalogue.
        cutoffs: The k of each metric.
    """

    rows: npt.NDArray[np.int64] = field(repr=False)
    left_out: int
    by_user: Mapping[str, npt.NDArray[np.float64]] = field(repr=False)
    ranked: npt.NDArray[np.int32] = field(repr=False)
    n_items: int
    cutoffs: Cutoffs

    def means(self, among: npt.NDArray[np.bool_] | None = None) -> dict[str, float]:
        """Means over users, and coverage of the catalogue.

        Args:
            among: bool over *all* rows that were given to `evaluate` (e.g. the users of one site);
                by default everyone.

        Returns:
            Metric name to value; NaN where the group has no user with held-out items.
        """
        chosen = np.ones(len(self.rows), bool) if among is None else among[self.rows]
        if not chosen.any():
            names = (*self.by_user, *(f"coverage@{k}" for k in self.cutoffs.coverage))
            return dict.fromkeys(names, float("nan"))
        result = {name: float(values[chosen].mean()) for name, values in self.by_user.items()}
        for k in self.cutoffs.coverage:
            shown = np.unique(self.ranked[chosen, :k])
            result[f"coverage@{k}"] = float(np.count_nonzero(shown >= 0) / self.n_items)
        return result


def top_k(
    scores: npt.NDArray[np.floating], exclude: Interactions | None, k: int
) -> npt.NDArray[np.int32]:
    """The k best items of each row; equal scores in ascending order of item index.

    Args:
        scores: Shape ``(n_users, n_items)``, not NaN; minus infinity means "never recommend".
            Read as float32.
        exclude: Items not to recommend, row by row.
        k: Length of the lists.

    Returns:
        int32, shape ``(n_users, k)``, best first; -1 where a row has fewer than k items left.

    Raises:
        InvalidInput: k < 1, a NaN score, or shapes that do not agree.
    """
    n_users, n_items = scores.shape
    if k < 1:
        raise InvalidInput("input/argument", f"k is {k}; required: at least 1")
    if exclude is not None and (exclude.n_users, exclude.n_items) != (n_users, n_items):
        raise InvalidInput(
            "input/argument",
            f"exclude is of shape {(exclude.n_users, exclude.n_items)}; "
            f"required: {(n_users, n_items)}, that of the scores",
        )
    keys = _sortable(scores)
    if exclude is not None:
        keys[np.repeat(np.arange(n_users), np.diff(exclude.indptr)), exclude.indices] = _NEVER
    width = min(k, n_items)
    best = np.partition(keys, n_items - width, axis=1)[:, n_items - width :]
    best = np.sort(best, axis=1)[:, ::-1]
    ranked = np.full((n_users, k), -1, np.int32)
    ranked[:, :width] = np.where(best == _NEVER, -1, _LAST_INDEX - (best & _LAST_INDEX))
    return ranked


_LAST_INDEX = (1 << 32) - 1
_NEVER = np.iinfo(np.int64).min


def _sortable(scores: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Integers that sort by score, then by descending item index: all distinct within a row.

    The bits of a float32, read as an integer, ascend with the float where it is positive and
    descend where it is negative. The upper half of a key is that order, the lower half the index
    counted from the end.
    """
    floats = np.ascontiguousarray(scores, np.float32) + np.float32(0)  # -0.0 becomes 0.0
    if np.isnan(floats).any():
        raise InvalidInput("input/argument", "scores hold a value that is not a number")
    bits = floats.view(np.int32)
    ascending = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
    ascending <<= 32
    ascending |= _LAST_INDEX - np.arange(scores.shape[1], dtype=np.int64)
    ascending[np.isneginf(floats)] = _NEVER
    return ascending


def evaluate(
    score: Scorer,
    fold_in: Interactions,
    held_out: Interactions,
    *,
    cutoffs: Cutoffs | None = None,
    batch_size: int | None = None,
) -> Evaluation:
    """Rank the whole catalogue for each user and compare with what was held out.

    Args:
        score: Called once a batch with the fold-in of its users.
        fold_in: What the model may see; these items are left out of the ranking.
        held_out: What it should find, for the same users.
        cutoffs: The k of each metric; by default Recall@20, NDCG@20, NDCG@100, coverage@20.
        batch_size: Users a batch; by default so many that a batch takes about 100 MB.

    Raises:
        InvalidInput: The shapes do not agree, or a score is NaN.
    """
    cutoffs = cutoffs or Cutoffs()
    if (fold_in.n_users, fold_in.n_items) != (held_out.n_users, held_out.n_items):
        raise InvalidInput(
            "input/argument",
            f"held_out is of shape {(held_out.n_users, held_out.n_items)}; "
            f"required: {(fold_in.n_users, fold_in.n_items)}, that of fold_in",
        )
    rows = np.flatnonzero(np.diff(held_out.indptr))
    size = batch_size or max(1, _CELLS_A_BATCH // fold_in.n_items)
    ranked = np.empty((len(rows), cutoffs.deepest), np.int32)
    hits = np.empty(ranked.shape, np.bool_)
    for part in _parts(len(rows), size):
        seen = fold_in.take(rows[part])
        ranked[part] = top_k(score(seen), seen, cutoffs.deepest)
        hits[part] = _hits(ranked[part], held_out.take(rows[part]))
    return Evaluation(
        rows=rows,
        left_out=fold_in.n_users - len(rows),
        by_user=_by_user(hits, np.diff(held_out.indptr)[rows], cutoffs),
        ranked=ranked,
        n_items=fold_in.n_items,
        cutoffs=cutoffs,
    )


def _parts(length: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, length, size))


def _hits(ranked: npt.NDArray[np.int32], held_out: Interactions) -> npt.NDArray[np.bool_]:
    wanted = held_out.matrix(np.bool_).toarray()
    return np.take_along_axis(wanted, np.maximum(ranked, 0), axis=1) & (ranked >= 0)


def _by_user(
    hits: npt.NDArray[np.bool_], held_out: npt.NDArray[np.int64], cutoffs: Cutoffs
) -> dict[str, npt.NDArray[np.float64]]:
    gains = 1 / np.log2(np.arange(2, cutoffs.deepest + 2))
    ideal = np.cumsum(gains)
    result: dict[str, npt.NDArray[np.float64]] = {}
    for k in cutoffs.recall:
        result[f"recall@{k}"] = hits[:, :k].sum(1) / np.minimum(held_out, k)
    for k in cutoffs.ndcg:
        result[f"ndcg@{k}"] = (hits[:, :k] @ gains[:k]) / ideal[np.minimum(held_out, k) - 1]
    return result
