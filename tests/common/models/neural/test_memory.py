"""The memory of a step over a large catalogue, in a process of its own."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
from recommons.common.data.catalogue import Catalogue, FeatureColumn
from recommons.common.data.interactions import Interactions
from recommons.common.models.interface import NoisySum, PublicFigures
from recommons.common.models.registry import build_model
from recommons.common.privacy.mechanism import BlockMechanism

ITEMS, USERS, HISTORY, DIM = 100_000, 1000, 50, 64
rng = np.random.default_rng(0)
vectors = rng.standard_normal((ITEMS, 64)).astype(np.float32)
catalogue = Catalogue(
    item_ids=tuple(f"i{k:06d}" for k in range(ITEMS)),
    titles=("",) * ITEMS,
    features=(FeatureColumn(name="v", kind="vector", values=vectors),),
)
figures = PublicFigures(declared_users={"a": 5 * USERS}, n_items=ITEMS, epsilon=8.0)
settings = {"warm": "content", "rate": 0.2, "steps": 2, "trained": "all", "features": 64}
model = build_model("two-tower", catalogue, figures, dim=DIM, settings=settings)
users = Interactions.from_pairs(
    np.repeat(np.arange(USERS), HISTORY),
    rng.integers(ITEMS, size=USERS * HISTORY),
    n_users=USERS,
    n_items=ITEMS,
)
done = ({"counts": NoisySum(values=np.ones(ITEMS), stddev=1.0)},)
state = model.public_state(done)
(request,) = model.rounds()[1]
block = BlockMechanism(
    name=request.name,
    size=request.size,
    clip=request.clip,
    sensitivity=2**20,
    clamp=2**40,
    noise_stddev=4096.0,
)
sums = model.contribute(1, state, users, (block,))
assert request.size > 2 * ITEMS * DIM and sums["update"].any()
step = {"update": NoisySum(values=sums["update"] * block.grid, stddev=1.0)}
model.public_state((*done, step))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_a_large_catalogue_is_trained_within_four_gigabytes() -> None:
    """A step of a thousand users: the site's part of it, and the coordinator's."""
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert int(told.stdout) < 4096
