"""Small populations, catalogues and mechanisms for the models' tests."""

from collections.abc import Callable

import numpy as np
import pytest

from recommons.common.data.catalogue import Catalogue, FeatureColumn
from recommons.common.data.interactions import Interactions
from recommons.common.models.interface import BlockRequest
from recommons.common.privacy.mechanism import BlockMechanism

N_ITEMS = 40


def draw_users(n_users: int, seed: int, n_items: int = N_ITEMS) -> Interactions:
    """Users of two tastes, some with one item, some with all, some with none."""
    rng = np.random.default_rng(seed)
    taste = rng.integers(2, size=n_users)
    liked = (np.arange(n_items) % 2)[None, :] == taste[:, None]
    chosen = rng.random((n_users, n_items)) < np.where(liked, 0.4, 0.1)
    chosen[::11] = False
    chosen[5::11] = True
    chosen[7::11] = False
    chosen[7::11, 3] = True
    rows, columns = np.nonzero(chosen)
    return Interactions.from_pairs(rows, columns, n_users=n_users, n_items=n_items)


def block_mechanisms(
    requests: tuple[BlockRequest, ...], sensitivity: int = 4096
) -> tuple[BlockMechanism, ...]:
    """Mechanisms for a round's requests: those of sums that will have noise where a clip says so.

    What a model contributes holds no noise yet.
    """
    return tuple(
        BlockMechanism(
            name=request.name,
            size=request.size,
            clip=request.clip,
            sensitivity=1 if np.isinf(request.clip) else sensitivity,
            clamp=1 << 40,
            noise_stddev=0.0 if np.isinf(request.clip) else 4096.0,
        )
        for request in requests
    )


@pytest.fixture
def draw() -> Callable[..., Interactions]:
    return draw_users


@pytest.fixture
def mechanisms() -> Callable[..., tuple[BlockMechanism, ...]]:
    return block_mechanisms


@pytest.fixture
def users() -> Interactions:
    return draw_users(60, seed=1)


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    """Every kind of column, with gaps; odd items look alike, and so do even ones."""
    odd = np.arange(N_ITEMS) % 2 == 1
    rng = np.random.default_rng(3)
    prices = np.where(odd, 5.0, 1.0) + rng.random(N_ITEMS)
    prices[4] = np.nan
    vectors = np.where(odd[:, None], 1.0, -1.0) + rng.standard_normal((N_ITEMS, 3))
    vectors[5] = np.nan
    words = np.array([f"{'odd' if k % 2 else 'even'}{chr(97 + k // 2)}" for k in range(80)])
    stories = tuple(" ".join(rng.choice(words[o::2], 20)) for o in odd.astype(int))
    return Catalogue(
        item_ids=tuple(f"{10000 + k // 2}{'AB'[k % 2]}" for k in range(N_ITEMS)),
        titles=tuple(f"{'red' if o else 'blue'} lamp {k % 7}" for k, o in enumerate(odd)),
        features=(
            FeatureColumn(
                name="tags",
                kind="categories",
                values=(*(("warm", "x") if o else ("cold",) for o in odd[:-1]), ()),
            ),
            FeatureColumn(name="price", kind="number", values=prices),
            FeatureColumn(name="image", kind="vector", values=vectors.astype(np.float32)),
            FeatureColumn(
                name="story",
                kind="text",
                values=(*stories[:2], "", *stories[3:]),
            ),
        ),
    )


@pytest.fixture(scope="session")
def bare_catalogue() -> Catalogue:
    """No titles, no features, ids that mean nothing."""
    return Catalogue(item_ids=tuple(f"{k:03}" for k in range(N_ITEMS)), titles=("",) * N_ITEMS)
