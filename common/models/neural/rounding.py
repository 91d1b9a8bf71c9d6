"""How far a tower's computed gradient can be from the exact one: a bound from public figures.

The forward and backward pass is followed line by line with bounds on sizes and errors, in the L2
norm unless said otherwise; each line is derived in `docs/neural-models.md`. What makes it small is
that parameters are bounded (`STATE`; a site refuses any other state) and that the history's sum is
the same to the last bit in any company, so its own rounding is no error here.
"""

import math
from dataclasses import dataclass

from recommons.common.models.neural.integers import UNIT_ROUNDOFF, SumError, relative_error
from recommons.common.models.neural.shapes import REACH, TowerShape

__all__ = ["MOST_BIAS", "MOST_LAYER", "MOST_ROW", "MOST_STRETCH", "gradient_error"]

MOST_ROW = 24.0
"""Largest L2 norm of a row of the in-table or the out-table."""

MOST_STRETCH = 4.0
"""Largest spectral norm of a layer's weight, and L2 norm of its bias."""

MOST_LAYER = 32.0
"""Largest Frobenius norm of a layer's weight."""

MOST_BIAS = 32.0
"""Largest absolute value of an item's bias."""

_FUNCTION = 8 * UNIT_ROUNDOFF
"""Error of tanh, exp, log and softplus where the result is at most one, with a factor to spare."""


@dataclass(frozen=True)
class _Value:
    """A vector (or a user's whole set of vectors): largest norm, largest error of the norm."""

    size: float
    error: float

    def through(self, terms: int, *, biased: bool = False) -> "_Value":
        """W x (+ b) of a layer within its bounds, by sums of so many terms."""
        bias = MOST_STRETCH if biased else 0.0
        rounding = relative_error(terms + 2) * (MOST_LAYER * (self.size + self.error) + bias)
        return _Value(MOST_STRETCH * self.size + bias, MOST_STRETCH * self.error + rounding)

    def times(self, other: "_Value") -> "_Value":
        """Products of the two, outer or elementwise: ‖ab‖ ≤ ‖a‖‖b‖."""
        error = (self.size + self.error) * other.error + self.error * other.size
        size = self.size * other.size
        return _Value(size, error + 4 * UNIT_ROUNDOFF * (size + error))

    def plus(self, other: "_Value") -> "_Value":
        """The sum of the two."""
        size, error = self.size + other.size, self.error + other.error
        return _Value(size, error + 2 * UNIT_ROUNDOFF * (size + error))


def gradient_error(
    shape: TowerShape,
    *,
    largest_feature: float,
    most_history: int,
    most_candidates: int,
    users: int,
) -> SumError:
    """The bound for towers whose loss weighs each user's targets by a total of at most one.

    Args:
        shape: Sizes of the towers.
        largest_feature: Largest L2 norm of an item's public features.
        most_history: L, most items of a history that are read.
        most_candidates: Most items among which a user's target is sought (m for the full softmax).
        users: n, most users of a sum.
    """
    rho, items = largest_feature, most_candidates
    features = _Value(rho, 0.0)
    root = math.sqrt(most_history)
    # The user tower.
    content = features.through(shape.features)
    before = _Value(root * MOST_ROW, 0.0).plus(content if shape.features else _Value(0.0, 0.0))
    first = before
    if shape.activation == "tanh":
        length = REACH * math.sqrt(shape.dim)
        first = _Value(min(length, before.size), before.error + _FUNCTION * length)
    hidden, inner = first, _Value(0.0, 0.0)
    small = first
    if shape.hidden:
        small = _Value(first.size / REACH, first.error / REACH)
        wide = small.through(shape.dim, biased=True)
        width = math.sqrt(shape.hidden)
        inner = _Value(min(width, wide.size), wide.error + _FUNCTION * width)
        hidden = first.plus(inner.through(shape.hidden, biased=True))
    # Item vectors and scores (largest absolute value over items).
    fused, middle = _fused(shape, features)
    vector = _Value(MOST_ROW, 0.0).plus(fused)
    score = hidden.times(vector).plus(_Value(MOST_BIAS, 0.0))
    sums = relative_error(shape.dim + shape.features + 8) * score.size
    score = _Value(score.size, score.error + sums)
    # δ, the gradient by scores, in the L1 norm: at most two, for a total weight of one.
    exponent = 2 * score.error + relative_error(items + most_history + 32)
    exponent += 4 * UNIT_ROUNDOFF * (2 * score.size + math.log(items + 1) + 50)
    # Softmax and logistic weights have a relative error of e^x - 1; a target's weight and a
    # negative's share of it multiply.
    delta = _Value(2.0, min(4.0, 2 * math.expm1(min(exponent, 5.0)) + _FUNCTION))
    per_item = delta.times(hidden)
    fusing: list[_Value] = []
    if shape.features and shape.fusion == "deep":
        back = per_item.through(shape.dim).times(_Value(1.0, 4 * middle.error))
        fusing = [per_item.times(middle), back.times(features)]
    elif shape.features:
        fusing = [per_item.times(features)]
    parts = [delta, per_item, *fusing]  # bias, out-table, fusion
    # Back through the user tower.
    by_hidden = delta.times(vector)
    by_hidden = _Value(
        by_hidden.size,
        by_hidden.error + relative_error(items + shape.features + 8) * by_hidden.size,
    )
    if shape.hidden:
        parts.append(by_hidden.times(inner))
        by_wide = by_hidden.through(shape.dim).times(_Value(1.0, 4 * inner.error + _FUNCTION))
        parts += [by_hidden, by_wide, by_wide.times(small)]
        back = by_wide.through(shape.hidden)
        by_hidden = by_hidden.plus(_Value(back.size / REACH, back.error / REACH))
    if shape.activation == "tanh":
        by_hidden = by_hidden.times(_Value(1.0, 4 * first.error + _FUNCTION))
    parts.append(by_hidden)  # in-table: the weights of a history are a unit vector
    if shape.features:
        parts.append(by_hidden.times(features))
    terms = 2 * (items + most_history + shape.dim + shape.features + shape.hidden) + 64
    size, error = sum(part.size for part in parts), sum(part.error for part in parts)
    rounding = relative_error(terms)
    # The second backward pass repeats the first with weights of at most one.
    gradient = error + rounding * size
    return SumError(users=users, gradient=gradient, norm=gradient)


def _fused(shape: TowerShape, features: _Value) -> tuple[_Value, _Value]:
    """What features add to an item's vector, and the inner layer of the deep fusion."""
    if not shape.features:
        return _Value(0.0, 0.0), _Value(0.0, 0.0)
    if shape.fusion == "linear":
        return features.through(shape.features), _Value(0.0, 0.0)
    wide = features.through(shape.features)
    width = math.sqrt(shape.fusion_hidden)
    middle = _Value(min(width, wide.size), wide.error + _FUNCTION * width)
    return middle.through(shape.fusion_hidden), middle
