"""A user's integers depend on that user and the public state alone, and stay within the bound."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.errors import InvalidInput
from recommons.common.models.interface import Arrays, FederatedModel, PublicFigures
from recommons.common.models.registry import build_model
from recommons.common.models.user_step import unit_user_vectors, user_batches
from recommons.common.privacy.mechanism import BlockMechanism

ITEMS, DIM, USERS = 30, 9, 16
Integers = npt.NDArray[np.int64]


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def make_users() -> Interactions:
    """Histories of 0, 1, 2 ... items, and one user of every item."""
    draws = rng()
    histories = [draws.choice(ITEMS, min(u % 9, ITEMS), replace=False) for u in range(USERS - 1)]
    histories.append(np.arange(ITEMS))
    rows = np.repeat(np.arange(USERS), [len(h) for h in histories])
    return Interactions.from_pairs(rows, np.concatenate(histories), n_users=USERS, n_items=ITEMS)


def model(name: str) -> FederatedModel:
    ids = tuple(f"i{k:02d}" for k in range(ITEMS))
    figures = PublicFigures(declared_users={"a": USERS}, n_items=ITEMS, epsilon=1.0)
    catalogue = Catalogue(item_ids=ids, titles=("",) * ITEMS)
    return build_model(name, catalogue, figures, dim=DIM if name == "als" else None)


def blocks(chosen: FederatedModel, round_: int, sensitivity: int) -> tuple[BlockMechanism, ...]:
    return tuple(
        BlockMechanism(
            name=request.name,
            size=request.size,
            clip=request.clip,
            sensitivity=sensitivity,
            clamp=2**40,
            noise_stddev=4096.0,
        )
        for request in chosen.rounds()[round_]
    )


def states() -> dict[str, Arrays]:
    items, ridge = rng().standard_normal((ITEMS, DIM)), np.eye(DIM)
    return {
        "plain": {"items": items, "ridge": ridge},
        "single precision": {"items": items.astype(np.float32), "ridge": ridge},
        "integers": {"items": (9 * items).astype(np.int64), "ridge": ridge},
        "largest integers": {"items": np.full((ITEMS, DIM), 2**63 - 1), "ridge": ridge},
        "huge": {"items": items * 1e300, "ridge": ridge},
        "nearly overflowing": {"items": items * 1e76, "ridge": ridge * 1e150},
        "subnormal": {"items": items * 1e-310, "ridge": ridge * 1e-300},
        "squares underflow": {"items": items * 1e-162, "ridge": ridge},
        "no ridge": {"items": items, "ridge": ridge * 0},
        "negative ridge": {"items": items, "ridge": -ridge},
        "lopsided ridge": {"items": items, "ridge": np.triu(items[:DIM])},
        "rank one": {"items": np.outer(items[:, 0], items[0]), "ridge": ridge * 1e-14},
        "zero": {"items": items * 0, "ridge": ridge},
    }


OTHER_TYPES = ("single precision", "integers", "largest integers")
CASES: list[tuple[str, int, str]] = [("als", 0, "none"), ("ease", 0, "none")]
CASES += [("als", 1, state) for state in states() if state not in OTHER_TYPES]


def state_of(name: str) -> Arrays:
    return {} if name == "none" else states()[name]


@pytest.mark.parametrize("state", OTHER_TYPES)
def test_a_state_of_another_type_is_refused_before_any_user_is_read(state: str) -> None:
    contribute = contributor("als", 1, state)
    with pytest.raises(InvalidInput, match="public state"):
        contribute(make_users().take(np.array([], np.int64)))


def contributor(name: str, round_: int, state: str) -> Callable[[Interactions], Integers]:
    chosen, given = model(name), state_of(state)
    spec = blocks(chosen, round_, 2**20 + 7)

    def contribute(users: Interactions) -> Integers:
        sums = chosen.contribute(round_, given, users, spec)
        return np.concatenate([sums[block.name] for block in spec])

    return contribute


@pytest.mark.parametrize(("name", "round_", "state"), CASES)
def test_a_sum_is_that_of_its_users_one_by_one_in_any_order_and_company(
    name: str, round_: int, state: str
) -> None:
    users, contribute = make_users(), contributor(name, round_, state)
    alone = np.stack([contribute(users.take(np.array([u]))) for u in range(USERS)])
    for chosen in (
        np.arange(USERS),
        rng().permutation(USERS),
        np.arange(USERS)[::3],
        np.tile(np.arange(USERS), 33),  # 528 users: more than one batch
    ):
        assert np.array_equal(contribute(users.take(chosen)), alone[chosen].sum(axis=0))


@pytest.mark.parametrize("state", states())
def test_a_users_vector_is_the_same_to_the_last_bit_alone_and_in_company(state: str) -> None:
    users, given = make_users(), states()[state]

    def vectors(part: Interactions) -> npt.NDArray[np.float64]:
        (batch,) = user_batches(part)
        return unit_user_vectors(batch, given["items"], given["ridge"])

    alone = np.concatenate([vectors(users.take(np.array([u]))) for u in range(USERS)])
    for chosen in (np.arange(USERS), rng().permutation(USERS), np.arange(USERS)[5:12]):
        assert vectors(users.take(chosen)).tobytes() == alone[chosen].tobytes()


@pytest.mark.parametrize("sensitivity", [7, 2**31 - 1])
@pytest.mark.parametrize(("name", "round_", "state"), CASES)
def test_no_users_integers_exceed_the_bound_whatever_the_public_state(
    name: str, round_: int, state: str, sensitivity: int
) -> None:
    users, chosen = make_users(), model(name)
    spec = blocks(chosen, round_, sensitivity)
    for user in range(USERS):
        row = users.take(np.array([user]))
        for key, values in chosen.contribute(round_, state_of(state), row, spec).items():
            exact = values.astype(object)
            assert int((exact * exact).sum()) <= sensitivity**2, (key, user)
            if not len(row.indices):
                assert not values.any()
