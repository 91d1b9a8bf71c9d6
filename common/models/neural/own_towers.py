"""A site's own towers: what the site serves as towers, taught further by the site's own users.

Their beginning is the matrix of rank d nearest to the EASE weights that the site serves, federation
and own users together (`ease_weights`), found from the released towers by subspace iteration. Then
come some passes of gradient descent on the full softmax over the site's users: no clipping and no
noise, for what comes out never leaves the site. Like all that a site adds to a release, what it
shows the site's users about each other is outside the federation's guarantee; whether it is used at
all is chosen on the site's own users (`site`).
"""

import numpy as np
import numpy.typing as npt

from recommons.common.data.interactions import Interactions
from recommons.common.models.interface import ModelRelease
from recommons.common.models.inverse import GramInverse
from recommons.common.models.local import dense_gram, weighted_rows
from recommons.common.models.neural.ease_weights import EaseWeights, tower_tables
from recommons.common.models.neural.shapes import REACH
from recommons.common.models.neural.tower_scoring import TowerScorer
from recommons.common.models.scoring import GlobalModel

__all__ = ["own_towers"]

MOST_CELLS = 1 << 25
"""Users × items of a pass: of more users some are drawn (128 MiB of float32)."""

PASSES, RATE, BATCH = 12, 3e-3, 64
_ITERATIONS = 2
_NEVER = -1e9

Floats = npt.NDArray[np.float64]


def own_towers(
    model: GlobalModel, own: Interactions, together: GramInverse, *, weight: float, seed: int
) -> TowerScorer:
    """Towers for one site.

    Args:
        model: A release of `two-tower` with a catalogue that allows dense matrices.
        own: The site's own users.
        together: (Ĝ + ρ WᵀW)⁻¹ of the federation's Ĝ and the site's W.
        weight: ρ.
        seed: Of the order of users and of what is hidden from the towers and asked for.
    """
    arrays = model.release.arrays
    begun = _beginning(model, own, together, weight)
    inputs, outputs, bias = _taught((*begun, np.asarray(arrays["bias"])), own, seed)
    return TowerScorer(
        release=ModelRelease(
            model="two-tower",
            arrays={
                "inputs": inputs,
                "input_features": np.zeros_like(inputs),
                "outputs": outputs,
                "bias": bias,
            },
            settings={"activation": "tanh"},
        )
    )


def _beginning(
    model: GlobalModel, own: Interactions, together: GramInverse, weight: float
) -> tuple[Floats, Floats]:
    """In and out tables, shape ``(m, d)`` each."""
    rows = weighted_rows(own, normalised=model.normalised)
    gram = dense_gram(model.source(), rows, weight)
    ease = EaseWeights(inverse=together, gram=gram.astype(np.float32, copy=False))
    basis, _ = np.linalg.qr(np.asarray(model.release.arrays["outputs"], np.float64))
    for _ in range(_ITERATIONS):
        basis, _ = np.linalg.qr(ease.metric(basis))
    values, turn = np.linalg.eigh(basis.T @ ease.metric(basis))
    right = basis @ turn[:, ::-1]
    users = float(model.release.settings["users"])
    return tower_tables(ease.weights(right), right, np.maximum(values[::-1], 0.0) / users)


def _taught(
    tables: tuple[npt.NDArray[np.floating], ...], own: Interactions, seed: int
) -> tuple[npt.NDArray[np.float32], ...]:
    """The in and out tables and the biases after all passes."""
    import torch  # here: whoever only plans does not wait for it

    draws = torch.Generator().manual_seed(seed)
    parameters = [
        torch.from_numpy(np.array(table, np.float32)).requires_grad_() for table in tables
    ]
    read, items, shift = parameters
    optimiser = torch.optim.Adam(parameters, lr=RATE)
    most = max(1, MOST_CELLS // own.n_items)
    kept = torch.randperm(own.n_users, generator=draws).numpy()[:most]
    histories = torch.from_numpy(own.take(kept).matrix(np.float32).toarray())
    for _ in range(PASSES):
        order = torch.randperm(len(histories), generator=draws)
        for start in range(0, len(order), BATCH):
            history = histories[order[start : start + BATCH]]
            share = torch.rand((len(history), 1), generator=draws)
            hidden = torch.rand(history.shape, generator=draws) < share
            asked, seen = history * hidden, history * ~hidden
            length = seen.sum(1, keepdim=True).clamp(min=1).sqrt()
            vectors = REACH * torch.tanh(seen @ read / length / REACH)
            scores = (vectors @ items.T + shift).masked_fill(seen > 0, _NEVER)
            losses = -(torch.log_softmax(scores, 1) * asked).sum(1)
            loss = (losses / asked.sum(1).clamp(min=1)).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return tuple(table.detach().numpy() for table in parameters)
