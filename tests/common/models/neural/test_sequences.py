"""What a sequence model is given: by hand, for two users."""

import numpy as np

from recommons.common.data.interactions import Interactions
from recommons.common.models.neural.sequences import sequence_batches

FEATURES = np.arange(18, dtype=np.float64).reshape(9, 2)


def test_a_batch_holds_items_types_and_gaps_of_the_last_events_and_what_came_next() -> None:
    users = Interactions(
        indptr=np.array([0, 2, 6]),
        indices=np.array([4, 7, 1, 3, 5, 8], np.int32),
        n_items=9,
        times=np.array([50, 20, 100, 101, 117, 104]),
        kinds=np.array([9, 2, 1, 2, 0, 3], np.int16),
    )
    (batch,) = sequence_batches(users, FEATURES, None, last=4, most_cells=100, seed=0)
    items, features, kinds, gaps, lengths, targets, weights, had = (t.numpy() for t in batch)
    assert items.tolist() == [[7, 0, 0], [1, 3, 8]]  # oldest first, padded behind
    assert targets.tolist() == [[4, 0, 0], [3, 8, 5]]
    assert kinds.tolist() == [[2, 0, 0], [1, 2, 3]]
    assert lengths.tolist() == [[1], [3]]
    np.testing.assert_array_equal(features, FEATURES[items])
    np.testing.assert_allclose(weights, np.array([[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]]))
    # 1 s, 3 s and 4 s between events: steps 1, 1 and 2; 0 where nothing has passed.
    assert gaps[1].tolist() == [[0, 0, 0], [1, 0, 0], [2, 1, 0]]
    assert [set(row) for row in had[1].tolist()] == [{1}, {1, 3}, {1, 3, 8}]
