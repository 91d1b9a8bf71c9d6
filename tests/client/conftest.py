"""A founded federation whose sites a test can speak to directly, as a coordinator would."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommons.client.sources import load_dataset
from recommons.common.models.interface import PublicFigures
from recommons.common.models.registry import build_model
from recommons.server.planning.wish import Wish
from recommons.simulations.founding import Found, found_federation


@pytest.fixture
def found(tmp_path: Path, tiny_data: Path) -> Callable[..., Found]:
    """Found a federation of five sites of 18 users each on the tiny data."""

    def make(wish: Wish | None = None, **changes: Any) -> Found:
        wish = wish or Wish(epsilon=8.0, delta=1e-5, colluding=1, min_survivors=4)
        wish = dataclasses.replace(wish, **changes)
        dataset = load_dataset(tiny_data)
        users = {f"site-{k}": np.arange(k, dataset.n_users, 5) for k in range(5)}
        declared = dict.fromkeys(users, 20)
        figures = PublicFigures(
            declared_users=declared, n_items=len(dataset.catalogue), epsilon=wish.epsilon
        )
        model = build_model("als", dataset.catalogue, figures, dim=3, seed=0)
        return found_federation(tmp_path / "run", dataset, users, declared, model, wish)

    return make
