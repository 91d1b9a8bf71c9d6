"""A whole data set in memory: the public catalogue and every user's history."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from recommons.common.data.catalogue import Catalogue
from recommons.common.data.interactions import Interactions
from recommons.common.data.splits import Roles, Split, apply_roles, draw_roles

__all__ = ["Dataset", "split_dataset"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Users' distinct (user, item) pairs, with what is known about them.

    Fields that hold users' data are left out of ``repr``, so that no log or traceback shows them.

    Attributes:
        name: The data set's name, for reports.
        catalogue: All items; the columns of `interactions`.
        user_ids: One id a row of `interactions`, ascending as strings.
        interactions: The positives: distinct pairs, however often a pair occurs.
        first_times: int64, aligned with ``interactions.indices``: when the pair first occurred,
            in microseconds since 1970; None where the events have no time.
        countries: One value a user, null where unknown; None where the events have no such column.
        roles: The fixed split that came with the data, if any.
        rows: Events read, before any were left out.
        left_out: Number of events left out, by reason.
    """

    name: str
    catalogue: Catalogue
    user_ids: pl.Series = field(repr=False)
    interactions: Interactions = field(repr=False)
    first_times: npt.NDArray[np.int64] | None = field(default=None, repr=False)
    countries: pl.Series | None = field(default=None, repr=False)
    roles: Roles | None = field(default=None, repr=False)
    rows: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def n_users(self) -> int:
        """Number of users with at least one positive."""
        return self.interactions.n_users


def split_dataset(dataset: Dataset, rng: np.random.Generator) -> Split:
    """The fixed split that came with the data; without one, a drawn one (see `draw_roles`).

    Raises:
        DataError: A split must be drawn and too few users have enough items.
    """
    roles = dataset.roles
    if roles is None:
        roles = draw_roles(dataset.interactions, rng, times=dataset.first_times)
    return apply_roles(dataset.interactions, roles)
