"""SIGKILL of the database that a site reads its events from: a real PostgreSQL server."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import psycopg
import pytest

from recommons.simulations.loopback import wait_until
from tests.client.sources.databases import PASSWORD, Server, postgresql_server
from tests.deployment.conftest import Deployment
from tests.deployment.faults import (
    check_everybody,
    check_sums,
    started,
    status_of,
    survivors,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning"),  # flwr's own
]

SITE = "site-04"
AT_ONCE = "SELECT user_id, item_id FROM events"
SLOWLY = "SELECT user_id, item_id, pg_sleep(0.02) FROM events"


@dataclass(frozen=True)
class Fed:
    """A deployment one of whose sites has its events in a database."""

    deployment: Deployment
    server: Server

    def ask(self, query: str) -> None:
        """What the site's `data.toml` says; the database is read whenever a run is joined."""
        (self.deployment.site(SITE) / "data.toml").write_text(
            f'[events]\nurl = "{self.server.url}"\nquery = "{query}"\n'
            'password_file = "password"\n[cache]\nmax_age_hours = 0\n'
        )

    def is_reading(self) -> bool:
        told = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        with self.server.connect() as connection:
            (count,) = connection.execute(told).fetchone() or (0,)
        return int(count) > 0


@pytest.fixture
def fed(five: Deployment) -> Iterator[Fed]:
    """The site's file of events as a table, for as long as this lasts."""
    folder = five.site(SITE)
    events = pl.read_parquet(folder / "events.parquet")
    with postgresql_server() as server:
        with server.connect() as shop, shop.cursor() as cursor:
            cursor.execute("CREATE TABLE events (user_id text, item_id text)")
            with cursor.copy("COPY events (user_id, item_id) FROM STDIN") as copy:
                for row in events.select("user_id", "item_id").iter_rows():
                    copy.write_row(row)
        (folder / "password").write_text(PASSWORD)
        found = Fed(five, server)
        found.ask(AT_ONCE)
        try:
            yield found
        finally:
            (folder / "data.toml").unlink()


def test_a_site_whose_database_was_killed_refuses_by_name_and_is_back_with_it(fed: Fed) -> None:
    deployment = fed.deployment
    fed.server.kill()
    with pytest.raises(psycopg.OperationalError):
        fed.server.connect()
    try:
        with started(deployment) as name:
            pass
    finally:
        fed.server.start()
    assert survivors(deployment, name) == [s for s in deployment.cohort if s != SITE]
    assert "data/database" in deployment.log(SITE)  # which fault it is stays in its own log
    check_sums(deployment, name, away=SITE)
    check_everybody(deployment)


def test_a_database_that_is_killed_while_it_is_read_leaves_no_half_of_the_users(fed: Fed) -> None:
    deployment, told = fed.deployment, fed.deployment.log(SITE).count("data/database")
    fed.ask(SLOWLY)
    try:
        with started(deployment, deadline=30.0) as name:
            wait_until(fed.is_reading)
            fed.server.kill()
            killed = time.monotonic()
    finally:
        fed.server.start()
        fed.ask(AT_ONCE)
    assert time.monotonic() - killed < 25  # it is told at once: nobody waits for the deadline
    assert deployment.log(SITE).count("data/database") > told
    assert survivors(deployment, name) == [s for s in deployment.cohort if s != SITE]
    check_sums(deployment, name, away=SITE)
    check_everybody(deployment)


def test_a_database_that_is_killed_in_the_midst_of_a_run_is_not_missed(fed: Fed) -> None:
    """A run's rounds are computed from the compact copy that was made when it was joined."""
    deployment = fed.deployment
    with started(deployment, model="als", settings={"dim": 2}) as name:
        deployment.wait_for_step(name, "advertise")
        fed.server.kill()
    fed.server.start()
    assert survivors(deployment, name) == list(deployment.cohort)
    assert status_of(deployment, name)["aborts"] == []
    check_sums(deployment, name)
