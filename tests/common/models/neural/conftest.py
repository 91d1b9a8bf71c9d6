"""A small catalogue, users with tastes, and every kind of neural model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest

from recommons.common.data.catalogue import Catalogue, FeatureColumn
from recommons.common.data.interactions import Interactions
from recommons.common.models.als import AlsSettings
from recommons.common.models.interface import Arrays, NoisySum
from recommons.common.models.neural.sequence import SequenceModel, SequenceSettings
from recommons.common.models.neural.two_tower import TwoTowerModel, TwoTowerSettings
from recommons.common.privacy.mechanism import BlockMechanism

ITEMS, USERS, KINDS = 40, 60, 4

VARIANTS: Mapping[str, Mapping[str, object]] = {
    "full": {},
    "full, als": {"warm": "als", "als": AlsSettings(dim=4, round_shares=(1.0,))},
    "full, wide": {"hidden": 5},
    "full, no features": {"features": 0},
    "full, fusion only": {"trained": "fusion"},
    "full, some rows": {"update_items": 15},
    "full, nothing hidden": {"hide": 0.0},
    "sampled": {"loss": "sampled-softmax", "negatives": 12},
    "sampled, deep": {
        "loss": "sampled-softmax",
        "negatives": 12,
        "fusion": "deep",
        "fusion_hidden": 5,
    },
    "sampled, some rows": {"loss": "sampled-softmax", "negatives": 12, "update_items": 9},
    "pairwise": {"loss": "pairwise", "negatives": 12},
    "pairwise, deep, wide": {
        "loss": "pairwise",
        "negatives": 12,
        "fusion": "deep",
        "fusion_hidden": 5,
        "hidden": 6,
    },
}

SEQUENCE_VARIANTS: Mapping[str, Mapping[str, object]] = {
    "full": {},
    "full, als": {"warm": "als", "als": AlsSettings(dim=4, round_shares=(1.0,))},
    "full, no features": {"features": 0},
    "full, fusion only": {"trained": "fusion"},
    "sampled": {"loss": "sampled-softmax", "negatives": 12},
    "sampled, deep": {
        "loss": "sampled-softmax",
        "negatives": 12,
        "fusion": "deep",
        "fusion_hidden": 5,
    },
}

NEURAL: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    "two-tower": VARIANTS,
    "sequence": SEQUENCE_VARIANTS,
}
"""Every model that clips users' gradients, by name."""


def make_catalogue() -> Catalogue:
    kinds = tuple((f"kind {k % KINDS}", f"make {k % 7}") for k in range(ITEMS))
    return Catalogue(
        item_ids=tuple(f"i{k:03d}" for k in range(ITEMS)),
        titles=("",) * ITEMS,
        features=(FeatureColumn(name="kind", kind="categories", values=kinds),),
    )


def make_users(seed: int = 0, users: int = USERS) -> Interactions:
    """Each prefers one kind of item; some have one item, some none."""
    draws = np.random.default_rng(seed)
    rows, items = [], []
    for user in range(users):
        likes = np.where(np.arange(ITEMS) % KINDS == user % KINDS, 6.0, 1.0)
        count = (0, 1, 2)[user] if user < 3 else int(draws.integers(3, 12))
        items.append(draws.choice(ITEMS, count, replace=False, p=likes / likes.sum()))
        rows.append(np.full(count, user))
    return Interactions.from_pairs(
        np.concatenate(rows), np.concatenate(items), n_users=users, n_items=ITEMS
    )


def make_sequences(seed: int = 0, users: int = USERS) -> Interactions:
    """The same with times, some of them equal, and four types of events."""
    plain, draws = make_users(seed, users), np.random.default_rng(seed)
    return replace(
        plain,
        times=draws.integers(0, 40, len(plain.indices)) * 1000,
        kinds=draws.integers(0, 4, len(plain.indices)).astype(np.int16),
    )


SMALL: Mapping[str, object] = {
    "dim": 6,
    "features": 5,
    "most_users": USERS,
    "warm": "content",
    "warm_share": 0.5,
    "steps": 4,
    "rate": 0.5,
    "users": 2 * USERS,
    "learning_rate": 0.02,
}
"""Settings of either model that train in a moment."""


def make_model(name: str, **changes: object) -> TwoTowerModel:
    options = TwoTowerSettings(**{**SMALL, **VARIANTS[name], **changes})  # type: ignore[arg-type]
    return TwoTowerModel(catalogue=make_catalogue(), options=options)


def make_sequence_model(name: str, **changes: object) -> SequenceModel:
    few = {"most_items": 7, "most_targets": 7}
    options = SequenceSettings(**{**SMALL, **few, **SEQUENCE_VARIANTS[name], **changes})  # type: ignore[arg-type]
    return SequenceModel(catalogue=make_catalogue(), options=options)


MAKERS: Mapping[str, Callable[..., TwoTowerModel]] = {
    "two-tower": make_model,
    "sequence": make_sequence_model,
}
"""What makes a variant of each."""


@dataclass
class Course:
    """A model and the sums of its rounds so far, without noise."""

    model: TwoTowerModel
    users: Interactions
    done: tuple[Mapping[str, NoisySum], ...] = ()

    def blocks(self, sensitivity: int = 2**20) -> tuple[BlockMechanism, ...]:
        return tuple(
            BlockMechanism(
                name=request.name,
                size=request.size,
                clip=request.clip,
                sensitivity=sensitivity,
                clamp=2**40,
                noise_stddev=0.0,
            )
            for request in self.model.rounds()[len(self.done)]
        )

    def state(self) -> Arrays:
        return self.model.public_state(self.done)

    def sums(self, users: Interactions) -> Mapping[str, npt.NDArray[np.int64]]:
        return self.model.contribute(len(self.done), self.state(), users, self.blocks())

    def advance(self, rounds: int = 1) -> "Course":
        for _ in range(rounds):
            blocks, sums = self.blocks(), self.sums(self.users)
            noisy = {
                block.name: NoisySum(
                    values=np.asarray(sums[block.name] * block.grid, np.float64), stddev=0.0
                )
                for block in blocks
            }
            self.done = (*self.done, noisy)
        return self


@pytest.fixture
def users() -> Interactions:
    return make_users()


@pytest.fixture(params=VARIANTS)
def course(request: pytest.FixtureRequest, users: Interactions) -> Course:
    """A model two steps into its training."""
    model = make_model(request.param)
    return Course(model, users).advance(len(model.rounds()) - 2)
