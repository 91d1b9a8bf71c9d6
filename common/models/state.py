"""Named arrays as bytes: the public state of a round as it travels and is hashed."""

from collections.abc import Mapping

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from recommons.common.errors import InvalidInput
from recommons.common.models.interface import Arrays

__all__ = ["arrays_from_bytes", "arrays_to_bytes", "check_state"]

_DTYPES = (np.float32, np.float64, np.int32, np.int64, np.uint32, np.uint64)


def arrays_to_bytes(arrays: Arrays) -> bytes:
    """Safetensors bytes; the same arrays always give the same bytes."""
    return bytes(save({name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}))


def arrays_from_bytes(data: bytes) -> Arrays:
    """Read named arrays.

    Raises:
        InvalidInput: Not safetensors, a data type other than float32/64 and (u)int32/64, or a
            value that is not finite.
    """
    try:
        arrays = load(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise InvalidInput("site/message", "the public state is not readable") from error
    for name, array in arrays.items():
        if array.dtype not in _DTYPES:
            raise InvalidInput("site/message", f"state {name!r} has data type {array.dtype}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InvalidInput("site/message", f"state {name!r} holds values that are not finite")
    return arrays


def check_state(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse a public state that is not float64 arrays of exactly these names and shapes.

    Raises:
        InvalidInput: ``site/message``; what is wrong depends on the state alone, never on a user.
    """
    found = {name: (array.dtype.str, array.shape) for name, array in arrays.items()}
    wanted = {name: ("<f8", tuple(shape)) for name, shape in shapes.items()}
    if found != wanted:
        raise InvalidInput("site/message", f"public state is {found}; required: {wanted}")
