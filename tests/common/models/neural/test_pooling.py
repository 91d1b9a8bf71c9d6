"""The user tower itself: one user's vector, alone and in a batch."""

import numpy as np
import pytest
import torch

from recommons.common.data.interactions import Interactions
from recommons.common.models.neural.batches import Negatives
from tests.common.models.neural.conftest import Course, make_model, make_users
from tests.common.models.neural.test_rounding import state_of


@pytest.mark.parametrize("name", ["full", "sampled"])
def test_a_users_vector_is_the_same_to_the_last_bit_in_any_company(name: str) -> None:
    """Of the pooling alone: products with weights may differ, which the bound on rounding holds."""
    model, users = make_model(name, features=0, activation="identity", hide=0.0), make_users()
    towers = model._loaded(state_of(model, "as trained"))
    negatives = Negatives.of_state(Course(model, users).advance().state())

    def vectors(some: Interactions) -> dict[tuple[int, ...], list[float]]:
        """By history."""
        (batch,) = model._batches(some, model._reading(1), negatives)
        items, weights = batch[0].numpy(), batch[1].numpy()
        with torch.no_grad():
            pooled = towers.user(*batch[:3]).tolist()  # type: ignore[operator]
        keys = (tuple(sorted(own[w > 0].tolist())) for own, w in zip(items, weights, strict=True))
        return dict(zip(keys, pooled, strict=True))

    together = vectors(users)
    assert len(together) > 40
    for user in np.flatnonzero(np.diff(users.indptr)):
        for history, vector in vectors(users.take(np.array([user]))).items():
            assert vector == together[history]
