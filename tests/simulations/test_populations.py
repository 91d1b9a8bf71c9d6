"""Populations: every user at exactly one site."""

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommons.common.errors import DataError, InvalidInput
from recommons.simulations.populations import PartitionKind, declared_users, partition

DRAWN: tuple[PartitionKind, ...] = ("uniform", "skewed")


@given(st.sampled_from(DRAWN), st.integers(1, 12), st.integers(0, 300), st.integers(0, 99))
def test_every_user_is_at_one_site_and_no_site_is_empty(
    kind: PartitionKind, sites: int, more: int, seed: int
) -> None:
    users = sites + more
    population = partition(kind, users, sites, np.random.default_rng(seed))
    assert len(population.site_names) == len(set(population.site_names)) == sites
    members = [population.users_of(site) for site in population.site_names]
    assert all(len(m) > 0 for m in members)
    assert sorted(np.concatenate(members)) == list(range(users))
    assert list(population.sizes().values()) == [len(m) for m in members]


def test_uniform_sites_differ_by_one_user_at_most() -> None:
    sizes = partition("uniform", 101, 8, np.random.default_rng(0)).sizes()
    assert set(sizes.values()) == {12, 13}
    assert list(sizes)[:2] == ["site-01", "site-02"]


def test_skewed_sites_follow_zipfs_law() -> None:
    sizes = partition("skewed", 100_000, 8, np.random.default_rng(0)).sizes()
    harmonic = sum(1 / k for k in range(1, 9))
    expected = [100_000 / (k * harmonic) for k in range(1, 9)]
    assert list(sizes.values()) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("kind", DRAWN)
def test_who_is_where_depends_on_the_seed_alone(kind: PartitionKind) -> None:
    first, again, other = (
        partition(kind, 200, 4, np.random.default_rng(s)).site_of_user for s in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


COUNTRIES = pl.Series(
    ["Spain", "Spain", "United Kingdom", "United Kingdom", "United Kingdom", "Eire", None, "Malta"]
)


def by_country(sites: int, countries: pl.Series | None = COUNTRIES) -> dict[str, list[int]]:
    users = 8 if countries is None else len(countries)
    population = partition("country", users, sites, np.random.default_rng(0), countries=countries)
    return {site: population.users_of(site).tolist() for site in population.site_names}


def test_the_largest_countries_are_sites_and_the_rest_is_one_more() -> None:
    assert by_country(3) == {
        "united-kingdom": [2, 3, 4],
        "spain": [0, 1],
        "rest": [5, 6, 7],
    }


def test_countries_of_one_size_are_taken_in_the_order_of_the_alphabet() -> None:
    assert list(by_country(4)) == ["united-kingdom", "spain", "eire", "rest"]


def test_as_many_countries_as_sites_leave_no_rest() -> None:
    assert by_country(2, pl.Series(["B", "A", "B"])) == {"b": [0, 2], "a": [1]}


def test_one_site_takes_everybody() -> None:
    assert by_country(1) == {"rest": list(range(8))}


def test_countries_named_alike_get_names_of_their_own() -> None:
    names = list(by_country(4, pl.Series(["Rest", "rest!", "Réunion", "日本", "x", "x", "x"])))
    assert names[0] == "x"
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)


@pytest.mark.parametrize("countries", [None, pl.Series([None] * 8, dtype=pl.String)])
def test_countries_that_nobody_knows_are_a_named_error(countries: pl.Series | None) -> None:
    with pytest.raises(DataError) as caught:
        by_country(3, countries)
    assert caught.value.code == "data/no-attribute"


def test_more_sites_than_countries_are_a_named_error() -> None:
    with pytest.raises(DataError) as caught:
        by_country(6)
    assert caught.value.code == "data/too-few-users"


def test_more_sites_than_users_are_a_named_error() -> None:
    with pytest.raises(DataError) as caught:
        partition("uniform", 3, 4, np.random.default_rng(0))
    assert caught.value.code == "data/too-few-users"


def test_an_unknown_kind_no_site_and_an_unknown_site_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InvalidInput):
        partition("round-robin", 3, 2, rng)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        partition("uniform", 3, 0, rng)
    with pytest.raises(InvalidInput):
        partition("uniform", 3, 2, rng).users_of("site-09")
    with pytest.raises(InvalidInput):
        partition("country", 9, 2, rng, countries=COUNTRIES)


@pytest.mark.parametrize(
    ("users", "declared"),
    [(1, 10), (7, 10), (10, 10), (98, 100), (101, 110), (732, 740), (1000, 1000), (5852, 5900)],
)
def test_declared_users_are_rounded_up_to_two_digits(users: int, declared: int) -> None:
    assert declared_users(users) == declared


@given(st.integers(1, 10**9))
def test_declared_users_are_never_fewer_and_little_more(users: int) -> None:
    declared = declared_users(users)
    assert users <= declared < users + max(10, users / 9)
    assert len(str(declared).rstrip("0")) <= 2


def test_nobody_cannot_be_declared() -> None:
    with pytest.raises(InvalidInput):
        declared_users(0)
