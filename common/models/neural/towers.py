"""The two towers as loss modules: a user's history on one side, items on the other.

The user tower reads the user's own history: h = f(Σ_i w_i in_i + C p), with in_i an item's row of
the in-table, p the history's mean public features, f the activation; after it, where a width is
given, h + W₂ tanh(W₁ h/4 + c₁) + c₂. There is no user table.

An item's vector fuses its row of the out-table with its public features f_i: out_i + Fᵀ f_i
(``linear``), or out_i + G₂ tanh(G₁ f_i + c) (``deep``, on candidates only: over a whole catalogue
each user's gradient would be measured through every item). Its score is the product with h, plus
a bias.

In and out tables are separate weights, and padding is masked: `soundness` says why.
"""

import torch
from torch import Tensor, nn

from recommons.common.models.neural.clipping import PerUserLinear
from recommons.common.models.neural.shapes import REACH, TowerShape

__all__ = ["CandidateTowers", "FullTowers", "blank_towers"]

_LEAST_LOGIT = -1e9
"""Score of an item that takes no part in a user's softmax: e to its power is 0."""


class _UserTower(nn.Module):
    """Items of a history, their weights (0 where padded) and its mean features → h."""

    def __init__(self, shape: TowerShape) -> None:
        super().__init__()
        self.table = nn.Embedding(shape.items, shape.dim)
        self.content = nn.Linear(shape.features, shape.dim, bias=False) if shape.features else None
        self.widen = nn.Linear(shape.dim, shape.hidden) if shape.hidden else None
        self.narrow = nn.Linear(shape.hidden, shape.dim) if shape.hidden else None
        self.activation = shape.activation

    def forward(self, items: Tensor, weights: Tensor, features: Tensor) -> Tensor:
        """See the class."""
        hidden = _pooled(self.table(items), weights)
        if self.content is not None:
            hidden = hidden + self.content(features)
        if self.activation == "tanh":
            hidden = REACH * torch.tanh(hidden / REACH)
        if self.widen is not None and self.narrow is not None:
            hidden = hidden + self.narrow(torch.tanh(self.widen(hidden / REACH)))
        return hidden


def _pooled(seen: Tensor, weights: Tensor) -> Tensor:
    """Σ_i w_i in_i, position after position: elementwise operations alone.

    So a user's sum is the same to the last bit whatever the batch and its padding; a reduction's
    order would follow the shape (`docs/neural-models.md` counts on this).
    """
    total = torch.zeros_like(seen[:, 0])
    for vectors, weight in zip(seen.unbind(1), weights.unbind(1), strict=True):
        total = total + vectors * weight[:, None]
    return total


class FullTowers(nn.Module):
    """Softmax over the whole catalogue, linear fusion.

    Args of `forward`: ``items`` (n, L) int64; ``weights`` (n, L), 0 where padded; ``features``
    (n, r); ``targets`` (n, m), the weight of each item in the user's loss; ``excluded`` (n, m)
    bool, items that take no part (never targets).

    Returns −Σ_j targets_j log softmax_j, shape (n,).
    """

    def __init__(self, shape: TowerShape, item_features: Tensor) -> None:
        super().__init__()
        self.user = _UserTower(shape)
        self.out = nn.Linear(shape.dim, shape.items)
        self.fuse = nn.Linear(shape.dim, shape.features, bias=False) if shape.features else None
        self.item_features = item_features  # a public constant: neither parameter nor buffer

    def forward(
        self, items: Tensor, weights: Tensor, features: Tensor, targets: Tensor, excluded: Tensor
    ) -> Tensor:
        """See the class."""
        hidden = self.user(items, weights, features)
        scores = self.out(hidden)
        if self.fuse is not None:
            scores = scores + self.fuse(hidden) @ self.item_features.T
        likelihood = torch.log_softmax(scores.masked_fill(excluded, _LEAST_LOGIT), 1)
        return -(likelihood * targets).sum(1)


class CandidateTowers(nn.Module):
    """Sampled softmax or pairwise ranking on each user's targets and the round's negatives.

    Args of `forward`: ``items``, ``weights``, ``features`` as in `FullTowers`; ``candidates``
    (n, K) int64, a user's targets first and then the negatives; ``candidate_features`` (n, K, r);
    ``targets`` (n, T), the weight of each of the first T candidates, 0 where padded;
    ``corrections`` (n, K − T), what is taken off a negative's score: ln of how many times it is
    expected among the negatives, or 10^9 for one the user has.

    Returns shape (n,). Sampled softmax: Σ_t targets_t ln(1 + Σ_k e^{s_k − c_k − s_t}); other
    targets take no part (Bengio and Senécal 2008). Pairwise ranking: Σ_t targets_t mean_k
    ln(1 + e^{s_k − s_t}) over negatives the user has not (Rendle et al. 2009).
    """

    def __init__(self, shape: TowerShape, *, pairwise: bool) -> None:
        super().__init__()
        self.user = _UserTower(shape)
        self.table = nn.Embedding(shape.items, shape.dim)
        self.bias = nn.Embedding(shape.items, 1)
        inner = shape.fusion_hidden if shape.fusion == "deep" else shape.dim
        self.fuse = PerUserLinear(shape.features, inner, bias=False) if shape.features else None
        self.deepen = None
        if shape.features and shape.fusion == "deep":
            self.deepen = PerUserLinear(inner, shape.dim, bias=False)
        self.pairwise = pairwise

    def vectors(self, candidates: Tensor, features: Tensor) -> Tensor:
        """Fused item vectors, shape (n, K, d)."""
        vectors: Tensor = self.table(candidates)
        if self.fuse is not None:
            fused = self.fuse(features)
            vectors = vectors + (fused if self.deepen is None else self.deepen(torch.tanh(fused)))
        return vectors

    def forward(
        self,
        items: Tensor,
        weights: Tensor,
        features: Tensor,
        candidates: Tensor,
        candidate_features: Tensor,
        targets: Tensor,
        corrections: Tensor,
    ) -> Tensor:
        """See the class."""
        hidden = self.user(items, weights, features)
        vectors = self.vectors(candidates, candidate_features)
        scores = (vectors * hidden[:, None, :]).sum(2) + self.bias(candidates)[:, :, 0]
        wanted, others = scores[:, : targets.shape[1]], scores[:, targets.shape[1] :]
        if not self.pairwise:
            total = torch.logsumexp(others - corrections, 1, keepdim=True)
            return (targets * nn.functional.softplus(total - wanted)).sum(1)
        counts = (corrections < -_LEAST_LOGIT).to(others.dtype)
        share = counts / counts.sum(1, keepdim=True).clamp(min=1)
        losses = nn.functional.softplus(others[:, None, :] - wanted[:, :, None])
        return (targets * (losses * share[:, None, :]).sum(2)).sum(1)


def blank_towers(
    shape: TowerShape, item_features: Tensor, loss: str
) -> FullTowers | CandidateTowers:
    """Towers in float64 whose parameters are zeros, to be loaded from a public state.

    Args:
        shape: Their sizes.
        item_features: Public features, float64, shape ``(m, r)``.
        loss: ``full-softmax``, ``sampled-softmax`` or ``pairwise``.
    """
    with torch.device("meta"):  # nothing is drawn
        towers: FullTowers | CandidateTowers = (
            FullTowers(shape, item_features)
            if loss == "full-softmax"
            else CandidateTowers(shape, pairwise=loss == "pairwise")
        )
    towers = towers.double().to_empty(device="cpu")
    for parameter in towers.parameters():
        parameter.data.zero_()
    return towers
