"""Ranking metrics, checked by hand and against a naive second implementation."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput
from recommons.common.metrics import Cutoffs, Scorer, evaluate, top_k

Rows = list[set[int]]


def interactions(rows: Rows, items: int) -> Interactions:
    users = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    columns = np.array([item for row in rows for item in sorted(row)], np.int64)
    return Interactions.from_pairs(users, columns, n_users=len(rows), n_items=items)


def fixed(matrix: npt.NDArray[np.floating]) -> Scorer:
    """A scorer that hands out the rows of a matrix in the order they are asked for."""
    position, scores = 0, matrix.astype(np.float32)

    def score(users: Interactions) -> npt.NDArray[np.float32]:
        nonlocal position
        position += users.n_users
        return scores[position - users.n_users : position]

    return score


def naive_ranking(scores: list[float], seen: set[int], k: int) -> list[int]:
    candidates = [i for i in range(len(scores)) if i not in seen and scores[i] > -math.inf]
    return sorted(candidates, key=lambda i: (-scores[i], i))[:k]


def naive_ndcg(ranked: list[int], wanted: set[int], k: int) -> float:
    gain = sum(1 / math.log2(r + 2) for r, i in enumerate(ranked[:k]) if i in wanted)
    return gain / sum(1 / math.log2(r + 2) for r in range(min(k, len(wanted))))


@st.composite
def cases(draw: st.DrawFn) -> tuple[npt.NDArray[np.float32], Rows, Rows]:
    users, items = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    # Few distinct values, so that ties are common; zeros of both signs are equal.
    value = st.sampled_from([-2.0, -0.0, 0.0, 0.5, 3.0, -math.inf, math.inf, 1e-45, -1e-45])
    scores = [[draw(value) for _ in range(items)] for _ in range(users)]
    role = st.lists(st.sampled_from(["none", "seen", "hidden"]), min_size=items, max_size=items)
    roles = [draw(role) for _ in range(users)]
    seen, hidden = (
        [{i for i, r in enumerate(row) if r == name} for row in roles]
        for name in ("seen", "hidden")
    )
    return np.array(scores, np.float32), seen, hidden


@given(cases(), st.integers(1, 12))
def test_top_k_is_a_sort_by_score_then_index(
    case: tuple[npt.NDArray[np.float32], Rows, Rows], k: int
) -> None:
    scores, seen, _ = case
    ranked = top_k(scores, interactions(seen, scores.shape[1]), k)
    for row, found in enumerate(ranked.tolist()):
        expected = naive_ranking(scores[row].tolist(), seen[row], k)
        assert found == expected + [-1] * (k - len(expected))


@given(cases(), st.integers(1, 4))
def test_metrics_equal_a_naive_second_implementation(
    case: tuple[npt.NDArray[np.float32], Rows, Rows], batch_size: int
) -> None:
    scores, seen, hidden = case
    items = scores.shape[1]
    evaluated = [u for u, wanted in enumerate(hidden) if wanted]
    result = evaluate(
        fixed(scores[evaluated]),
        interactions(seen, items),
        interactions(hidden, items),
        cutoffs=Cutoffs(recall=(2, 5), ndcg=(1, 4), coverage=(3,)),
        batch_size=batch_size,
    )
    assert result.rows.tolist() == evaluated
    assert result.left_out == len(hidden) - len(evaluated)
    rankings = [naive_ranking(scores[u].tolist(), seen[u], 5) for u in evaluated]
    for position, user in enumerate(evaluated):
        ranked, wanted = rankings[position], hidden[user]
        for k in (2, 5):
            recall = len(set(ranked[:k]) & wanted) / min(k, len(wanted))
            assert result.by_user[f"recall@{k}"][position] == pytest.approx(recall, abs=1e-12)
        for k in (1, 4):
            expected = naive_ndcg(ranked, wanted, k)
            assert result.by_user[f"ndcg@{k}"][position] == pytest.approx(expected, abs=1e-12)
    shown = {item for ranked in rankings for item in ranked[:3]}
    if evaluated:
        assert result.means()["coverage@3"] == pytest.approx(len(shown) / items)


def test_a_case_worked_out_by_hand() -> None:
    # User 0 saw item 0 and wants 1 and 3; the ranking of the rest is 2, 1, 3.
    scores = np.array([[9, 4, 5, 3], [1, 2, 3, 4]], np.float32)
    result = evaluate(
        fixed(scores),
        interactions([{0}, {3}], 4),
        interactions([{1, 3}, {2}], 4),
        cutoffs=Cutoffs(recall=(1, 2), ndcg=(2,), coverage=(1,)),
    )
    assert result.by_user["recall@1"].tolist() == [0, 1]
    assert result.by_user["recall@2"].tolist() == [0.5, 1]
    second = 1 / math.log2(3)
    assert result.by_user["ndcg@2"].tolist() == pytest.approx([second / (1 + second), 1])
    assert result.means() == pytest.approx(
        {
            "recall@1": 0.5,
            "recall@2": 0.75,
            "ndcg@2": (second / (1 + second) + 1) / 2,
            "coverage@1": 0.25,
        }
    )


def test_groups_and_the_whole_come_out_of_one_pass() -> None:
    scores = np.array([[3, 2, 1], [1, 2, 3], [3, 2, 1]], np.float32)
    hidden: Rows = [{0}, {0}, set()]
    result = evaluate(
        fixed(scores),
        interactions([set(), set(), set()], 3),
        interactions(hidden, 3),
        cutoffs=Cutoffs(recall=(1,), ndcg=(), coverage=(1,)),
    )
    first, second, third = (np.arange(3) == k for k in range(3))
    assert result.left_out == 1
    assert result.means(first) == {"recall@1": 1.0, "coverage@1": 1 / 3}
    assert result.means(second) == {"recall@1": 0.0, "coverage@1": 1 / 3}
    assert result.means() == {"recall@1": 0.5, "coverage@1": 2 / 3}
    nobody = result.means(third)
    assert all(math.isnan(value) for value in nobody.values())
    assert list(nobody) == list(result.means())


def test_the_scorer_sees_the_fold_in_only_and_in_bounded_batches() -> None:
    seen: list[list[int]] = []

    def score(users: Interactions) -> npt.NDArray[np.float32]:
        assert users.n_users <= 2
        seen.extend(row.nonzero()[0].tolist() for row in users.matrix().toarray())
        return np.zeros((users.n_users, 4), np.float32)

    evaluate(
        score,
        interactions([{0}, {1}, {2}, {3}, {0, 1}], 4),
        interactions([{1}, {2}, set(), {0}, {3}], 4),
        batch_size=2,
    )
    assert seen == [[0], [1], [3], [0, 1]]


def test_more_recommendations_than_items_are_possible_without_error() -> None:
    result = evaluate(
        fixed(np.array([[1, 2, 3]], np.float32)), interactions([{0}], 3), interactions([{1}], 3)
    )
    assert result.by_user["recall@20"].tolist() == [1.0]
    assert result.means()["coverage@20"] == pytest.approx(2 / 3)


def test_a_score_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not a number"):
        top_k(np.array([[0.0, math.nan]], np.float32), None, 1)


@pytest.mark.parametrize("k", [0, -3])
def test_a_list_of_no_length_is_refused(k: int) -> None:
    with pytest.raises(InvalidInput):
        top_k(np.zeros((1, 2), np.float32), None, k)
    with pytest.raises(InvalidInput):
        Cutoffs(recall=(k,))


def test_shapes_that_do_not_agree_are_refused() -> None:
    with pytest.raises(InvalidInput):
        top_k(np.zeros((1, 2), np.float32), interactions([{0}, {1}], 2), 1)
    with pytest.raises(InvalidInput):
        evaluate(
            fixed(np.zeros((1, 2), np.float32)), interactions([{0}], 2), interactions([{0}], 3)
        )


def test_two_thousand_items_are_ranked_as_numpy_ranks_them() -> None:
    scores = np.random.default_rng(0).standard_normal((20, 2000)).astype(np.float32)
    assert np.array_equal(
        top_k(scores, None, 50), np.argsort(-scores, axis=1, kind="stable")[:, :50]
    )
