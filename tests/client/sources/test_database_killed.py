"""SIGKILL of the server while its events are read: a named refusal, and no half of the users."""

import threading
from pathlib import Path

import polars as pl
import pytest

from recommons.common.errors import DataError
from recommons.simulations.loopback import wait_until
from tests.client.sources.databases import PASSWORD, Server, postgresql_server
from tests.client.sources.test_own import assert_same, events, source

SLOWLY = "SELECT user_id, item_id, pg_sleep(0.05) FROM events"
AT_ONCE = "SELECT user_id, item_id FROM events"


def write_settings(folder: Path, server: Server, query: str) -> None:
    (folder / "secret").write_text(PASSWORD + "\n")
    (folder / "data.toml").write_text(
        f'[events]\nurl = "{server.url}"\nquery = "{query}"\npassword_file = "secret"\n'
    )


def fill(server: Server, rows: pl.DataFrame) -> None:
    with server.connect() as shop, shop.cursor() as cursor:
        cursor.execute("CREATE TABLE events (user_id text, item_id text)")
        with cursor.copy("COPY events (user_id, item_id) FROM STDIN") as copy:
            for row in rows.select("user_id", "item_id").iter_rows():
                copy.write_row(row)


def reads(server: Server) -> bool:
    """Whether somebody waits for the slow query's next row."""
    told = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    with server.connect() as connection:
        (count,) = connection.execute(told).fetchone() or (0,)
    return int(count) > 0


def test_a_server_that_is_killed_while_it_is_read_leaves_no_copy(tmp_path: Path) -> None:
    rows = events(600)
    rows.write_parquet(tmp_path / "events.parquet")
    with postgresql_server() as server:
        fill(server, rows)
        write_settings(tmp_path, server, SLOWLY)

        def kill_while_read() -> None:
            wait_until(lambda: reads(server))
            server.kill()

        killing = threading.Thread(target=kill_while_read)
        killing.start()
        with pytest.raises(DataError) as found:
            source(tmp_path).users()
        killing.join()
        assert found.value.code == "data/database"
        with pytest.raises(DataError) as found:
            source(tmp_path).users()  # and refused for as long as it is away
        assert found.value.code == "data/database"
        server.start()
        write_settings(tmp_path, server, AT_ONCE)
        assert_same(source(tmp_path).users(), tmp_path / "events.parquet")
