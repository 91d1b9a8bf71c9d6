"""Who lives where: the users of a data set divided over simulated sites."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from recommons.common.errors import DataError, InvalidInput

__all__ = ["PartitionKind", "Population", "declared_users", "partition"]

PartitionKind = Literal["uniform", "country", "skewed"]

_REST = "rest"


@dataclass(frozen=True, kw_only=True, eq=False)
class Population:
    """Every user of a data set at exactly one site.

    Attributes:
        kind: How the users were divided.
        site_names: Distinct; lower-case letters, digits and hyphens, fit to name a folder.
        site_of_user: int32, shape ``(n_users,)``: position in `site_names`.
    """

    kind: PartitionKind
    site_names: tuple[str, ...]
    site_of_user: npt.NDArray[np.int32] = field(repr=False)

    def users_of(self, site: str) -> npt.NDArray[np.int64]:
        """The site's users, as ascending positions in the data set.

        Raises:
            InvalidInput: No site has that name.
        """
        if site not in self.site_names:
            raise InvalidInput(
                "input/argument",
                f"site is {site!r}; required: one of {', '.join(self.site_names)}",
            )
        users: npt.NDArray[np.int64] = np.flatnonzero(
            self.site_of_user == self.site_names.index(site)
        )
        return users

    def sizes(self) -> Mapping[str, int]:
        """Number of users by site."""
        counts = np.bincount(self.site_of_user, minlength=len(self.site_names))
        return dict(zip(self.site_names, counts.tolist(), strict=True))


def partition(
    kind: PartitionKind,
    n_users: int,
    sites: int,
    rng: np.random.Generator,
    *,
    countries: pl.Series | None = None,
) -> Population:
    """Divide users over sites; no site is left empty.

    - ``uniform``: drawn, in sizes that differ by at most one.
    - ``skewed``: drawn, in sizes proportional to 1, 1/2, 1/3, … (Zipf's law), ``site-01`` the
      largest.
    - ``country``: each of the ``sites - 1`` countries with most users is a site of that name, and
      all other users, those without a country included, are the site ``rest``. Where there are
      exactly as many countries as sites, each is a site. Nothing is drawn.

    Args:
        kind: One of the three.
        n_users: Number of users of the data set.
        sites: Number of sites, at least 1.
        rng: Draws the users of ``uniform`` and ``skewed``.
        countries: One value a user, null where unknown, for ``country``.

    Raises:
        InvalidInput: Fewer than one site, or another kind.
        DataError: Fewer users or countries than sites, or no countries where they are needed.
    """
    if kind not in get_args(PartitionKind):
        raise InvalidInput(
            "input/argument",
            f"partition is {kind!r}; required: one of {', '.join(get_args(PartitionKind))}",
        )
    if sites < 1:
        raise InvalidInput("input/argument", f"sites is {sites}; required: at least 1")
    if n_users < sites:
        raise DataError(
            "data/too-few-users",
            f"{n_users} users for {sites} sites; required: at least one user a site",
        )
    if kind == "country":
        return _by_country(n_users, sites, countries)
    weights = 1 / np.arange(1, sites + 1) if kind == "skewed" else np.ones(sites)
    site_of_user = np.empty(n_users, np.int32)
    site_of_user[rng.permutation(n_users)] = np.repeat(np.arange(sites), _sizes(n_users, weights))
    width = max(2, len(str(sites)))
    names = tuple(f"site-{k:0{width}}" for k in range(1, sites + 1))
    return Population(kind=kind, site_names=names, site_of_user=site_of_user)


def _sizes(n_users: int, weights: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """Whole numbers, at least 1, in proportion to the weights: largest remainders, first come."""
    spare = n_users - len(weights)
    exact = spare * weights / weights.sum()
    sizes = np.floor(exact).astype(np.int64)
    order = np.argsort(sizes - exact, kind="stable")
    sizes[order[: spare - sizes.sum()]] += 1
    return np.asarray(sizes + 1, np.int64)


def _by_country(n_users: int, sites: int, countries: pl.Series | None) -> Population:
    if countries is None or countries.null_count() == len(countries):
        raise DataError(
            "data/no-attribute",
            "partition is 'country', and the events have no country; required: a column of them",
        )
    if len(countries) != n_users:
        raise InvalidInput(
            "input/argument", f"countries has {len(countries)} values; required: {n_users}"
        )
    counts = (
        countries.drop_nulls()
        .value_counts()
        .sort(["count", countries.name], descending=[True, False])
    )
    ranked = counts[countries.name].to_list()
    homeless = countries.null_count() > 0
    groups = len(ranked) + homeless
    if groups < sites:
        raise DataError(
            "data/too-few-users",
            f"users come from {groups} countries; required: at least {sites}, one a site",
        )
    exact = groups == sites and not homeless
    own = ranked if exact else ranked[: sites - 1]
    codes = countries.cast(pl.Enum(own), strict=False).to_physical().cast(pl.Int32)
    names = _site_names([*own] if exact else [*own, _REST])
    return Population(
        kind="country",
        site_names=names,
        site_of_user=codes.fill_null(sites - 1).to_numpy().astype(np.int32),
    )


def _site_names(countries: list[str]) -> tuple[str, ...]:
    """Names fit for folders, made distinct by a number where two countries give the same."""
    names: list[str] = []
    for country in countries:
        plain = unicodedata.normalize("NFKD", country).encode("ascii", "ignore").decode().lower()
        name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "country"
        taken = sum(1 for other in names if other == name or re.fullmatch(rf"{name}-\d+", other))
        names.append(f"{name}-{taken + 1}" if taken else name)
    return tuple(names)


def declared_users(users: int) -> int:
    """The rounded number of users that a site declares in public.

    Rounded up to two significant digits, and at least to a multiple of ten: 7 → 10, 98 → 100,
    732 → 740, 5852 → 5900. Up, so that a default δ of one in ten declared users is never too
    large.

    Raises:
        InvalidInput: Fewer than one user.
    """
    if users < 1:
        raise InvalidInput("input/argument", f"users is {users}; required: at least 1")
    step: int = 10 ** max(1, len(str(users)) - 2)
    return -(-users // step) * step
