"""The sequence model as loss modules: self-attention over a user's last events.

An event is x_s = in_i + A f_i + e_k: its item's row of the in-table, the item's public features,
its type. The user's vector after event t is

    h_t = 4 tanh(u_t/4),  u_t = Σ_{s ≤ t} a_ts (x_s + V x_s),
    a_t = softmax_s ((Q x_t)·(K x_s)/√d + age_{t−s} + gap_{g(t,s)} + type_{k_s}),

with g(t, s) the time between the two events on a logarithmic scale. It is scored against item
vectors as in `towers`: their fusion of id and content, linear or deep, is the very same. The user's
loss is a weighted mean over the places t of the sequence of how badly h_t foretells event t + 1.

One block, one head, no layer normalisation, no dropout. Every module is called once and padding is
masked before the softmax, so that `soundness` accepts it. `nn.MultiheadAttention` would be refused:
it uses the weight of its output layer outside that layer, where Opacus does not see it.
"""

import math

import torch
from torch import Tensor, nn

from recommons.common.models.neural.shapes import GAPS, KINDS, REACH, TowerShape
from recommons.common.models.neural.towers import CandidateTowers, FullTowers

__all__ = ["CandidateSequence", "FullSequence", "blank_sequence"]

_LEAST_LOGIT = -1e9


class _Encoder(nn.Module):
    """Events of a user → h_t for every place t; see the module."""

    def __init__(self, shape: TowerShape, last: int) -> None:
        super().__init__()
        self.table = nn.Embedding(shape.items, shape.dim)
        self.content = nn.Linear(shape.features, shape.dim, bias=False) if shape.features else None
        self.kind = nn.Embedding(KINDS, shape.dim)
        self.query = nn.Linear(shape.dim, shape.dim, bias=False)
        self.key = nn.Linear(shape.dim, shape.dim, bias=False)
        self.value = nn.Linear(shape.dim, shape.dim, bias=False)
        self.age = nn.Embedding(last, 1)
        self.gap = nn.Embedding(GAPS, 1)
        self.likes = nn.Embedding(KINDS, 1)
        self.root = math.sqrt(shape.dim)

    def forward(
        self, items: Tensor, features: Tensor, kinds: Tensor, gaps: Tensor, lengths: Tensor
    ) -> Tensor:
        """Shape (n, L, d); places beyond a user's length hold what nobody may use.

        Args:
            items: int64, (n, L), oldest first, 0 where padded.
            features: (n, L, r).
            kinds: int64, (n, L).
            gaps: int64, (n, L, L).
            lengths: int64, (n, 1): events before the padding.
        """
        events = self.table(items) + self.kind(kinds)
        if self.content is not None:
            events = events + self.content(features)
        place = torch.arange(items.shape[1])
        ages = place[:, None] - place[None, :]
        ages = ages.clamp(min=0).expand(len(items), -1, -1).contiguous()
        logits = self.query(events) @ self.key(events).transpose(1, 2) / self.root
        logits = logits + self.age(ages)[..., 0] + self.gap(gaps)[..., 0]
        logits = logits + self.likes(kinds)[:, None, :, 0]
        later = place[None, :] > place[:, None]
        padded = place[None, None, :] >= lengths[:, :, None]
        blocked = (later | padded) & (place[None, :] != place[:, None])
        weights = torch.softmax(logits.masked_fill(blocked, _LEAST_LOGIT), 2)
        pooled = weights @ (events + self.value(events))
        return REACH * torch.tanh(pooled / REACH)


class FullSequence(FullTowers):
    """Softmax over the whole catalogue, less what the user has had by then; linear fusion.

    Args of `forward`: the encoder's five; ``targets`` (n, L) int64, the next item after each place;
    ``target_weights`` (n, L), 0 where padded; ``had`` (n, L, L) int64, the items of the user up to
    each place (some of them twice, never the target).

    Returns −Σ_t weight_t log softmax(target_t), shape (n,).
    """

    def __init__(self, shape: TowerShape, item_features: Tensor, last: int) -> None:
        super().__init__(shape, item_features)
        # In place of the other tower.
        self.user = _Encoder(shape, last)  # type: ignore[assignment]

    # Another tower takes other tensors.
    def forward(  # type: ignore[override]
        self,
        items: Tensor,
        features: Tensor,
        kinds: Tensor,
        gaps: Tensor,
        lengths: Tensor,
        targets: Tensor,
        target_weights: Tensor,
        had: Tensor,
    ) -> Tensor:
        """See the class."""
        hidden = self.user(items, features, kinds, gaps, lengths)
        scores = self.out(hidden)
        if self.fuse is not None:
            scores = scores + self.fuse(hidden) @ self.item_features.T
        likelihood = torch.log_softmax(scores.scatter(2, had, _LEAST_LOGIT), 2)
        wanted = likelihood.gather(2, targets[:, :, None])[:, :, 0]
        return -(wanted * target_weights).sum(1)


class CandidateSequence(CandidateTowers):
    """Sampled softmax on each place's target and the round's negatives; linear or deep fusion.

    Args of `forward`: the encoder's five; ``candidates`` (n, L + K) int64, targets first, then the
    negatives; ``candidate_features`` (n, L + K, r); ``target_weights`` (n, L), 0 where padded;
    ``corrections`` (n, K), as in `CandidateTowers`.

    Returns Σ_t weight_t ln(1 + Σ_k e^{s_tk − c_k − s_t}), shape (n,).
    """

    def __init__(self, shape: TowerShape, last: int) -> None:
        super().__init__(shape, pairwise=False)
        # In place of the other tower.
        self.user = _Encoder(shape, last)  # type: ignore[assignment]

    # Another tower takes other tensors.
    def forward(  # type: ignore[override]
        self,
        items: Tensor,
        features: Tensor,
        kinds: Tensor,
        gaps: Tensor,
        lengths: Tensor,
        candidates: Tensor,
        candidate_features: Tensor,
        target_weights: Tensor,
        corrections: Tensor,
    ) -> Tensor:
        """See the class."""
        hidden = self.user(items, features, kinds, gaps, lengths)
        vectors = self.vectors(candidates, candidate_features)
        bias = self.bias(candidates)[:, :, 0]
        places = target_weights.shape[1]
        wanted = (vectors[:, :places] * hidden).sum(2) + bias[:, :places]
        others = hidden @ vectors[:, places:].transpose(1, 2) + bias[:, None, places:]
        total = torch.logsumexp(others - corrections[:, None, :], 2)
        return (target_weights * nn.functional.softplus(total - wanted)).sum(1)


def blank_sequence(
    shape: TowerShape, item_features: Tensor, *, last: int, candidates: bool
) -> FullSequence | CandidateSequence:
    """A loss module in float64 whose parameters are zeros, to be loaded from a public state.

    Args:
        shape: Sizes of the towers.
        item_features: Public features, float64, shape ``(m, r)``.
        last: L, most events that are read.
        candidates: Sampled softmax; otherwise the full one.
    """
    with torch.device("meta"):  # nothing is drawn
        module: FullSequence | CandidateSequence = (
            CandidateSequence(shape, last)
            if candidates
            else FullSequence(shape, item_features, last)
        )
    module = module.double().to_empty(device="cpu")
    for parameter in module.parameters():
        parameter.data.zero_()
    return module
