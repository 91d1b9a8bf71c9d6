"""In the round itself: an unsound module is not trained, and all of the attention is."""

import numpy as np
import pytest
import torch
from torch import nn

from recommons.common.errors import PrivacyError
from recommons.common.models.neural import sequence, two_tower
from tests.common.models.neural.conftest import MAKERS, Course, make_sequence_model, make_sequences

BLANKS = {"two-tower": (two_tower, "blank_towers"), "sequence": (sequence, "blank_sequence")}


@pytest.mark.parametrize("name", MAKERS)
def test_a_site_trains_no_unsound_module(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    course = Course(MAKERS[name]("full"), make_sequences()).advance()
    place, blank = BLANKS[name]
    original = getattr(place, blank)

    def with_dropout(*given: object, **named: object) -> nn.Module:
        module: nn.Module = original(*given, **named)
        module.user.add_module("noise", nn.Dropout(0.1))  # type: ignore[union-attr]
        return module

    monkeypatch.setattr(place, blank, with_dropout)
    with pytest.raises(PrivacyError, match=r"user\.noise") as caught:
        course.sums(course.users)
    assert caught.value.code == "model/unsound-module"


@pytest.mark.parametrize("part", ["kind", "query", "key", "value", "age", "gap", "likes"])
def test_every_part_of_the_attention_moves_a_sequences_loss(part: str) -> None:
    course = Course(make_sequence_model("full"), make_sequences()).advance(2)
    state, draws = dict(course.state()), np.random.default_rng(0)
    for name in state:
        if name.startswith("user."):
            state[name] = 0.3 * draws.standard_normal(state[name].shape)
    towers = course.model._module(state)
    (batch,) = course.model._batches(course.users, course.model._reading(2), None)
    weight = dict(towers.named_parameters())[f"user.{part}.weight"]
    (gradient,) = torch.autograd.grad(towers(*batch).sum(), [weight])
    moved = int((gradient.abs().sum(1) > 0).sum())
    assert moved >= min(4, len(weight))
