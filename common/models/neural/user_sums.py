"""The sum of users' clipped gradients, each user computed alone and made integers at once.

For models of which no useful bound on the rounding of a batch's sum can be proved
(`docs/neural-models.md` has the figures): attention multiplies what it reads, layer by layer, and
a bound on the products of norms grows beyond any clip.

A user's integers must depend on that user's record and the public state alone, to the last bit.
So a user is a batch of one without padding, in one thread, from tensors that PyTorch itself has
laid out: the same shapes, the same alignment and so the same instructions in any company. That is
what the BLAS behind PyTorch promises for one thread and aligned operands on one machine; another
machine may round differently, which is no one's loss, as every user is computed at one site.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from recommons.common.models.neural.clipping import Batch
from recommons.common.privacy.long_vectors import quantize_alone
from recommons.common.privacy.mechanism import BlockMechanism

__all__ = ["aligned", "user_gradient", "users_sum"]


def users_sum(
    module: nn.Module, users: Iterable[Batch], names: Sequence[str], block: BlockMechanism
) -> npt.NDArray[np.int64]:
    """Σ_u of user u's gradient, clipped to C and truncated to multiples of γ, exactly.

    Each user's integers have L2 norm at most S (`quantize_alone`), whatever the gradient; one that
    is not finite counts as zeros.

    Args:
        module: A loss module in float64.
        users: Batches of one user each.
        names: Trained parameters in the order of the block's coordinates.
        block: The block; its clamp must leave room for the sum, as every block's does.

    Returns:
        int64, shape ``(D,)``.
    """
    total = np.zeros(block.size, np.int64)
    with one_thread():
        for batch in users:
            gradient = user_gradient(module, batch, names)
            total += quantize_alone(gradient, clip=block.clip, sensitivity=block.sensitivity)
    return total


def user_gradient(module: nn.Module, batch: Batch, names: Sequence[str]) -> npt.NDArray[np.float64]:
    """The gradient of one user's loss by the named parameters, flat, float64."""
    by_name = dict(module.named_parameters())
    wanted = [by_name[name] for name in names]
    loss = module(*(tensor.clone() for tensor in batch)).sum()
    found = torch.autograd.grad(loss, wanted, allow_unused=True)
    parts = [
        torch.zeros_like(parameter) if gradient is None else gradient
        for parameter, gradient in zip(wanted, found, strict=True)
    ]
    return np.asarray(torch.cat([part.reshape(-1) for part in parts]).numpy())


def aligned(module: nn.Module) -> nn.Module:
    """The module with its parameters in memory that PyTorch laid out."""
    for parameter in module.parameters():
        parameter.data = parameter.data.clone()
    return module


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for PyTorch's operations: their order of summation follows the number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
