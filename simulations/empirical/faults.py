"""Faults put into the sites of a simulation, to see that the audit notices them.

They replace a function of the site's code in this process while a run is on. No setting and no
message reaches them; the packages of sites and coordinator do not import this one (import-linter).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from recommons.client.rounds import contribution as site_contribution
from recommons.common.models import als_sums
from recommons.common.privacy.mechanism import RoundSpec
from recommons.common.privacy.noise import Entropy, clamp_and_add_noise

__all__ = ["FAULTS", "Fault", "injected", "replaced"]

Fault = Literal["none", "no-noise", "no-clipping", "half-noise"]
FAULTS: tuple[Fault, ...] = get_args(Fault)

Integers = npt.NDArray[np.int64]


@contextmanager
def injected(fault: Fault) -> Iterator[None]:
    """While this is open, every site of this process has the fault."""
    if fault == "no-clipping":
        with replaced(als_sums, "quantize", _unclipped):
            yield
    elif fault == "none":
        yield
    else:
        factor = {"no-noise": 0.0, "half-noise": 0.5}[fault]

        def weakened(sums: Mapping[str, Integers], spec: RoundSpec, entropy: Entropy) -> Integers:
            blocks = tuple(replace(b, noise_stddev=factor * b.noise_stddev) for b in spec.blocks)
            return clamp_and_add_noise(sums, replace(spec, blocks=blocks), entropy)

        with replaced(site_contribution, "clamp_and_add_noise", weakened):
            yield


@contextmanager
def replaced(module: ModuleType, name: str, stand_in: Any) -> Iterator[None]:  # noqa: ANN401 - any function
    """While this is open, a module's function is another one."""
    genuine = getattr(module, name)
    setattr(module, name, stand_in)
    try:
        yield
    finally:
        setattr(module, name, genuine)


def _unclipped(
    values: npt.NDArray[np.float64],
    *,
    clip: float,
    sensitivity: int,
    multiplicity: Integers | int = 1,
) -> Integers:
    """`quantize` as if nobody clipped: x in place of x/‖x‖ for a history x, and any norm goes.

    `als` hands over 1/‖x‖ times what an item adds, and the items of each history as multiplicity.
    """
    lengths = np.sqrt(np.maximum(np.asarray(multiplicity, np.float64), 1.0))
    raw = values * (lengths[:, None] if lengths.ndim == 1 else lengths)
    return np.trunc(raw * (sensitivity / clip)).astype(np.int64)
