"""The losses by hand, one user at a time: which items take part, and with what correction."""

import math

import numpy as np
import pytest
import torch

from recommons.common.models.neural.batches import NEVER, Negatives
from recommons.common.models.neural.shapes import TowerShape
from recommons.common.models.neural.towers import CandidateTowers, FullTowers, blank_towers

ITEMS, DIM = 9, 3
SHAPE = TowerShape(items=ITEMS, dim=DIM, activation="identity")
SEEN, WANTED, NEGATIVES = [0, 1], [2, 3], [1, 4, 5, 6]
CORRECTIONS = [NEVER, -0.2, -1.5, -3.0]  # the user has item 1


def towers(loss: str) -> FullTowers | CandidateTowers:
    module = blank_towers(SHAPE, torch.zeros((ITEMS, 0), dtype=torch.float64), loss)
    draws = torch.Generator().manual_seed(4)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draws, dtype=torch.float64)
    return module


def scores(module: FullTowers | CandidateTowers) -> list[float]:
    """Of every item, for the user who has seen the first two."""
    weights = {name: value.detach().numpy() for name, value in module.named_parameters()}
    user = weights["user.table.weight"][SEEN].sum(axis=0) / math.sqrt(len(SEEN))
    full = isinstance(module, FullTowers)
    table, bias = ("out.weight", "out.bias") if full else ("table.weight", "bias.weight")
    return [float(score) for score in weights[table] @ user + weights[bias].ravel()]


def loss_of(module: FullTowers | CandidateTowers) -> float:
    items = torch.tensor([SEEN])
    weights = torch.full((1, 2), 1 / math.sqrt(2), dtype=torch.float64)
    features = torch.zeros((1, 0), dtype=torch.float64)
    if isinstance(module, FullTowers):
        targets = torch.zeros((1, ITEMS), dtype=torch.float64)
        targets[0, WANTED] = 0.5
        excluded = torch.zeros((1, ITEMS), dtype=torch.bool)
        excluded[0, SEEN] = True
        losses = module(items, weights, features, targets, excluded)
    else:
        candidates = torch.tensor([WANTED + NEGATIVES])
        empty = torch.zeros((1, len(WANTED + NEGATIVES), 0), dtype=torch.float64)
        targets = torch.full((1, 2), 0.5, dtype=torch.float64)
        corrections = torch.tensor([CORRECTIONS], dtype=torch.float64)
        losses = module(items, weights, features, candidates, empty, targets, corrections)
    return float(losses[0].detach())


def test_the_full_softmax_leaves_out_what_the_user_has_seen() -> None:
    module = towers("full-softmax")
    s = scores(module)
    total = math.log(sum(math.exp(s[j]) for j in range(ITEMS) if j not in SEEN))
    assert loss_of(module) == pytest.approx(sum(0.5 * (total - s[t]) for t in WANTED))


def test_the_sampled_softmax_corrects_every_negative_for_its_chance_to_be_drawn() -> None:
    module = towers("sampled-softmax")
    s = scores(module)
    others = sum(
        math.exp(s[k] - c) for k, c in zip(NEGATIVES, CORRECTIONS, strict=True) if c < NEVER
    )
    expected = sum(0.5 * math.log1p(others / math.exp(s[t])) for t in WANTED)
    assert loss_of(module) == pytest.approx(expected)


def test_pairwise_ranking_is_a_mean_over_negatives_the_user_has_not() -> None:
    module = towers("pairwise")
    s = scores(module)
    fresh = [k for k, c in zip(NEGATIVES, CORRECTIONS, strict=True) if c < NEVER]
    expected = sum(
        0.5 * np.mean([math.log1p(math.exp(s[k] - s[t])) for k in fresh]) for t in WANTED
    )
    assert loss_of(module) == pytest.approx(expected)


def test_a_negatives_correction_is_about_how_often_it_is_drawn() -> None:
    """So that e^{s − c} over the drawn is, on average, e^s over all."""
    counts = np.random.default_rng(0).gamma(2.0, 50, 400)
    drawn, claimed = np.zeros(400), np.zeros(400)
    for round_ in range(2000):
        negatives = Negatives.draw(counts, 20, seed=(1, round_))
        drawn[negatives.items] += 1
        claimed[negatives.items] = np.exp(negatives.corrections)
    often = drawn > 50
    ratio = drawn[often] / 2000 / claimed[often]
    assert ratio.mean() == pytest.approx(1, abs=0.05)
    assert np.corrcoef(np.log(drawn[often]), np.log(claimed[often]))[0, 1] > 0.95
