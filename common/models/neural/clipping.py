"""The sum of users' clipped gradients, taken out of Opacus before any noise.

A *loss module* is a `torch.nn.Module` that takes tensors whose first dimension is the user and
returns one loss a user, shape ``(n,)``. Opacus finds the norm of each user's gradient in a first
backward pass (ghost clipping: Li, Tramèr, Liang and Hashimoto 2022; for embeddings: Denison et al.
2023), and ``p.grad`` of a second pass, over losses weighted by

    min(1, C / (norm + 10^-6)),

is the clipped sum. Its optimiser is never stepped and its noise multiplier is 0: noise is the
site's discrete Gaussian share, as for every other model.

Float64 throughout. `docs/neural-models.md` bounds what rounding can do to the sum.
"""

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Literal

import torch
from torch import Tensor, nn

from recommons.common.checks import require

__all__ = ["Batch", "Clipping", "PerUserLinear", "clipped_sum", "user_norms"]

Batch = tuple[Tensor, ...]
"""What a loss module takes: tensors whose first dimension is the user."""

Clipping = Literal["ghost", "hooks"]
"""``ghost``: norms from activations and backpropagated values wherever Opacus can, gradients of
each user otherwise; ``hooks``: gradients of each user everywhere (batch × parameters of memory)."""


class PerUserLinear(nn.Linear):
    """A linear layer whose norm comes from each user's gradient, also under ghost clipping.

    For a small layer that is called at very many places of a user: there ghost clipping would
    build a matrix of all pairs of places, and take the norm as the root of a sum whose terms may
    cancel.
    """


def clipped_sum(
    module: nn.Module, batches: Iterable[Batch], *, clip: float, clipping: Clipping = "ghost"
) -> dict[str, Tensor]:
    """Σ_u min(1, C/(‖g_u‖ + 10^-6)) g_u, with g_u the gradient of user u's loss.

    The module must be one that `soundness.check_sound` accepts: what Opacus measures is then the
    norm over all trainable parameters together, and each user's part of the sum has norm at most C.

    Args:
        module: A loss module in float64. Hooks are added for the call and taken off again.
        batches: Users in any number of batches; their sums are added in this order. Batches
            without users are left out: Opacus cannot go backwards through nothing, and Poisson
            sampling will draw nobody some day.
        clip: C, positive and finite.
        clipping: How norms are found; the result is the same but for rounding.

    Returns:
        float64 by parameter name, of the parameters' shapes; zeros where there are no users.

    Raises:
        InvalidInput: The clip is not admissible, or a parameter is not float64.
    """
    _validate(module, clip)
    total = {name: torch.zeros_like(p) for name, p in _trainable(module)}
    with _opacus(module, clip, clipping) as backward:
        for batch in batches:
            if not len(batch[0]):
                continue
            backward(batch)
            for name, parameter in _trainable(module):
                if parameter.grad is not None:
                    total[name] += parameter.grad
    return {name: tensor.detach() for name, tensor in total.items()}


def user_norms(
    module: nn.Module, batch: Batch, *, clipping: Clipping = "ghost"
) -> dict[str, Tensor]:
    """Norm of each user's gradient as Opacus finds it, by parameter, shape ``(n,)``.

    Private to the site: for tests and for `soundness`.
    """
    _validate(module, 1.0)
    with _opacus(module, 1.0, clipping) as backward:
        backward(batch)
        return {name: p._norm_sample.detach().clone() for name, p in _trainable(module)}  # type: ignore[attr-defined]


class _Quiet:
    """Leaves out one warning of PyTorch's while any thread is within.

    A module fed by constants alone has no gradient to pass on: nothing is amiss. Filters belong to
    the whole process, so that threads which each put back what they found would undo one another.
    """

    _TEXT = "Full backward hook is firing"

    def __init__(self) -> None:
        self._lock, self._within = Lock(), 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._within:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", message=self._TEXT)
            self._within += 1

    def __exit__(self, *_exception: object) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                self._filters.__exit__(None, None, None)


_QUIET = _Quiet()


class _PerUser:
    """The criterion Opacus asks for: the losses are the module's own output."""

    reduction = "sum"

    def __call__(self, losses: Tensor) -> Tensor:
        return losses


@contextmanager
def _opacus(module: nn.Module, clip: float, clipping: Clipping) -> Iterator[Any]:
    """A function that does both backward passes for a batch; leaves the module as it was."""
    from opacus.grad_sample import GradSampleModuleFastGradientClipping, register_grad_sampler
    from opacus.grad_sample.linear import compute_linear_grad_sample
    from opacus.optimizers import DPOptimizerFastGradientClipping
    from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping

    register_grad_sampler(PerUserLinear)(compute_linear_grad_sample)
    was_training = module.training
    hooked = GradSampleModuleFastGradientClipping(
        module.train(),
        loss_reduction="sum",
        max_grad_norm=clip,
        strict=True,
        use_ghost_clipping=clipping == "ghost",
    )
    optimizer = DPOptimizerFastGradientClipping(
        torch.optim.SGD([p for _, p in _trainable(module)], lr=0.0),
        noise_multiplier=0.0,
        max_grad_norm=clip,
        expected_batch_size=None,
        loss_reduction="sum",
    )
    loss = DPLossFastGradientClipping(hooked, optimizer, _PerUser(), loss_reduction="sum")

    def backward(batch: Batch) -> None:
        for _, parameter in _trainable(module):  # nothing of an earlier batch may be taken for this
            parameter._norm_sample = None  # type: ignore[attr-defined]
            parameter._forward_counter = 0  # type: ignore[attr-defined]
        with _QUIET:
            loss(hooked(*batch)).backward()

    try:
        yield backward
    finally:
        hooked.cleanup()
        for part in module.modules():
            for name in ("activations", "max_batch_len"):
                part.__dict__.pop(name, None)
        module.zero_grad(set_to_none=True)
        module.train(was_training)


def _trainable(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in module.named_parameters() if p.requires_grad]


def _validate(module: nn.Module, clip: float) -> None:
    require(0 < clip < float("inf"), "clip", clip, "a positive, finite number")
    for name, parameter in module.named_parameters():
        require(parameter.dtype == torch.float64, name, parameter.dtype, "float64")
