"""Items that nobody has: under every model their public features alone decide who gets them."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.models.interface import NoisySum, PublicFigures
from recommons.common.models.registry import MODEL_NAMES, build_model
from recommons.common.models.scoring import GlobalModel
from recommons.common.models.site import fit_site
from recommons.common.privacy.mechanism import BlockMechanism

UNSEEN = (10, 11)  # one looks like the even items, the other like the odd ones

SMALL = {
    "two-tower": {"steps": 2, "rate": 1.0, "features": 8},
    "sequence": {"steps": 2, "rate": 1.0, "features": 8, "most_items": 8},
}


@pytest.mark.parametrize("epsilon", [8.0, float("inf")])
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_an_unseen_item_goes_to_those_who_like_what_it_looks_like(
    name: str,
    epsilon: float,
    catalogue: Catalogue,
    draw: Callable[..., Interactions],
    mechanisms: Callable[..., tuple[BlockMechanism, ...]],
) -> None:
    users = draw(300, seed=5)
    users = users.where(~np.isin(users.indices, UNSEEN))
    figures = PublicFigures(declared_users={"a": 300}, n_items=len(catalogue), epsilon=epsilon)
    dim = None if name == "ease" else 8
    model = build_model(name, catalogue, figures, dim=dim, settings=SMALL.get(name))
    done: tuple[Mapping[str, NoisySum], ...] = ()
    for number, requests in enumerate(model.rounds()):
        blocks = mechanisms(requests, 2**20)
        sums = model.contribute(number, model.public_state(done), users, blocks)
        values = {b.name: np.asarray(sums[b.name] * b.grid, np.float64) for b in blocks}
        done = (*done, {n: NoisySum(values=v, stddev=0.0) for n, v in values.items()})
    released = GlobalModel(release=model.release(done))
    served = fit_site(released, users.take(np.arange(80)), seed=0).served
    odd = np.bincount(
        np.repeat(np.arange(300), np.diff(users.indptr)), users.indices % 2, minlength=300
    )
    share = odd / np.maximum(np.diff(users.indptr), 1)
    clear = np.flatnonzero((np.diff(users.indptr) >= 5) & (np.abs(share - 0.5) > 0.2))
    for which, scorer in {"global": released.scorer, "served": served}.items():
        scores = scorer.score(users.take(clear))
        prefers_odd = scores[:, UNSEEN[1]] > scores[:, UNSEEN[0]]
        assert np.mean(prefers_odd == (share[clear] > 0.5)) > 0.9, which
