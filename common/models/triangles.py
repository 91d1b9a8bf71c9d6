"""Symmetric matrices as vectors of the same Euclidean norm.

The packed form of a symmetric d × d matrix is its diagonal and √2 times its strict upper triangle,
row by row: d(d+1)/2 numbers whose Euclidean norm is the matrix's Frobenius norm, so that a bound on
one is a bound on the other.
"""

import numpy as np
import numpy.typing as npt

__all__ = ["packed_size", "scales", "triangle", "unpack"]

SQRT_2 = float(np.sqrt(2.0))


def packed_size(order: int) -> int:
    """Number of coordinates of a packed matrix of `order` rows."""
    return order * (order + 1) // 2


def triangle(order: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row and column of every packed coordinate: the upper triangle, row by row."""
    rows, columns = np.triu_indices(order)
    return rows.astype(np.int64), columns.astype(np.int64)


def scales(order: int) -> npt.NDArray[np.float64]:
    """The factor of every packed coordinate: 1 on the diagonal, √2 off it; shape ``(size,)``."""
    rows, columns = triangle(order)
    return np.where(rows == columns, 1.0, SQRT_2)


def unpack(packed: npt.NDArray[np.float64], order: int) -> npt.NDArray[np.float64]:
    """The symmetric matrix, shape ``(order, order)``, of a packed vector."""
    rows, columns = triangle(order)
    matrix = np.empty((order, order))
    matrix[rows, columns] = packed / scales(order)
    matrix[columns, rows] = matrix[rows, columns]
    return matrix
