"""Norms and clipped sums of every shipped model, against one backward pass for each user."""

from typing import Any, get_args, get_type_hints

import pytest
import torch

from recommons.common.errors import InvalidInput
from recommons.common.models.interface import PublicFigures
from recommons.common.models.neural.batches import Negatives
from recommons.common.models.neural.clipping import Clipping, clipped_sum, user_norms
from recommons.common.models.registry import MODEL_NAMES, build_model
from tests.common.models.neural.conftest import (
    ITEMS,
    MAKERS,
    NEURAL,
    USERS,
    Course,
    make_catalogue,
    make_sequences,
)

CLOSENESS = {"two-tower": 1e-9, "sequence": 1e-7}
EVERY_VARIANT = [(name, variant) for name, variants in NEURAL.items() for variant in variants]


@pytest.mark.parametrize("clipping", ["ghost", "hooks"])
@pytest.mark.parametrize(("name", "variant"), EVERY_VARIANT)
def test_norms_and_clipped_sums_are_those_of_users_one_at_a_time(
    name: str, variant: str, clipping: Clipping
) -> None:
    model, closeness = MAKERS[name](variant), CLOSENESS[name]
    course = Course(model, make_sequences()).advance(len(model.rounds()) - 2)
    towers = model._module(course.state())
    reading, negatives = model._reading(len(course.done)), Negatives.of_state(course.state())
    (batch,) = model._batches(course.users, reading, negatives)
    names, parameters = zip(
        *((n, p) for n, p in towers.named_parameters() if p.requires_grad), strict=True
    )
    norms = user_norms(towers, batch, clipping=clipping)
    together = torch.stack([norms[name] for name in names]).norm(dim=0)
    clip = float(together.median())
    expected = {name: torch.zeros_like(p) for name, p in zip(names, parameters, strict=True)}
    for user in range(len(batch[0])):
        loss = towers(*(tensor[user : user + 1] for tensor in batch)).sum()
        gradients = dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))
        whole = torch.cat([g.flatten() for g in gradients.values()]).norm()
        torch.testing.assert_close(together[user], whole, rtol=closeness, atol=closeness * 1e-3)
        for name, gradient in gradients.items():
            expected[name] += gradient * min(1.0, clip / (float(whole) + 1e-6))
    found = clipped_sum(towers, [batch], clip=clip, clipping=clipping)
    for name in names:
        torch.testing.assert_close(
            found[name], expected[name].detach(), rtol=10 * closeness, atol=closeness * 1e-2
        )


def build(name: str, **settings: object) -> Any:
    figures = PublicFigures(declared_users={"a": USERS}, n_items=ITEMS, epsilon=8.0)
    return build_model(name, make_catalogue(), figures, settings=settings)


def test_no_model_that_samples_users_is_left_out_above() -> None:
    assert {name for name in MODEL_NAMES if any(build(name).sampling())} == set(NEURAL)


@pytest.mark.parametrize("name", NEURAL)
def test_no_loss_that_a_model_takes_is_left_out_above(name: str) -> None:
    taken = set()
    for loss in get_args(get_type_hints(type(build(name).options))["loss"]):
        try:
            taken.add(build(name, loss=loss).options.loss)
        except InvalidInput:
            continue  # its settings refuse it: nothing is trained by it
    assert taken == {MAKERS[name](variant).options.loss for variant in NEURAL[name]}
