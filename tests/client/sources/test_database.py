"""Events out of real databases: what a query gives is what a file of the same rows gives."""
# ruff: noqa: S608 - the tables are the tests' own

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recommons.client.sources import database
from recommons.client.sources.clocks import clock_by_cell
from recommons.client.sources.looking import look_at
from recommons.client.sources.settings import read_settings
from recommons.client.sources.tables import Table
from recommons.common.errors import DataError
from tests.client.sources.databases import PASSWORD, Server, postgresql_server
from tests.client.sources.test_own import assert_same, events, source


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    with postgresql_server() as server:
        yield server


Fill = Callable[[pl.DataFrame, str], None]


class Shop:
    """A database that a test fills."""

    def __init__(self, folder: Path, kind: str, server: Server | None) -> None:
        self.folder, self.kind, self.server = folder, kind, server
        self.table = f"events_{uuid.uuid4().hex[:8]}"

    def fill(self, rows: pl.DataFrame, columns: str) -> None:
        """Make the table with these columns, as SQL has them, and these rows."""
        names = ", ".join(rows.columns)
        if self.server is None:
            marks = ", ".join("?" * rows.width)
            with sqlite3.connect(self.folder / "shop.db") as connection:
                connection.execute(f"CREATE TABLE {self.table} ({columns})")
                insert = f"INSERT INTO {self.table} ({names}) VALUES ({marks})"
                connection.executemany(insert, rows.iter_rows())
            return
        with self.server.connect() as shop, shop.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {self.table} ({columns})")
            with cursor.copy(f"COPY {self.table} ({names}) FROM STDIN") as copy:
                for row in rows.iter_rows():
                    copy.write_row(row)

    def run(self, statement: str) -> None:
        assert self.server is not None
        with self.server.connect() as connection:
            connection.execute(statement)

    def settings(self, query: str, more: str = "") -> None:
        """Write `data.toml`."""
        url = "sqlite:///shop.db" if self.server is None else self.server.url
        reference = "" if self.server is None else 'password_file = "secret"\n'
        (self.folder / "secret").write_text(PASSWORD + "\n")
        (self.folder / "data.toml").write_text(
            f'[events]\nurl = "{url}"\nquery = """{query}"""\n{reference}{more}'
        )


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    if request.param == "sqlite":
        return Shop(tmp_path, "sqlite", None)
    return Shop(tmp_path, "postgresql", request.getfixturevalue("postgresql"))


@pytest.fixture
def server_shop(tmp_path: Path, postgresql: Server) -> Shop:
    return Shop(tmp_path, "postgresql", postgresql)


COLUMNS = "user_id TEXT, item_id TEXT, timestamp BIGINT, event_type TEXT"


@pytest.mark.parametrize("rows_a_part", [7, 100_000])
def test_a_query_gives_what_a_file_of_the_same_rows_gives(
    shop: Shop, rows_a_part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_PART_ROWS", rows_a_part)
    rows = events(600)
    rows.write_parquet(shop.folder / "events.parquet")
    shop.fill(rows, COLUMNS)
    shop.settings(f"SELECT * FROM {shop.table} ORDER BY timestamp")
    found = source(shop.folder).users(with_order=True)
    assert found.manifest.rows == 600
    plain = source(shop.folder).users()
    assert_same(plain, shop.folder / "events.parquet")
    look = look_at(shop.folder, read_settings(shop.folder, ""))
    assert (look.kind, look.rows, look.users) == (shop.kind, 600, len(plain.keys))


def test_signs_that_drivers_read_as_parameters_are_left_alone(shop: Shop) -> None:
    rows = pl.DataFrame({"user_id": ["a%b", "c:d", "e"], "item_id": ["sku-1", "sku-2", "sku-3"]})
    shop.fill(rows, "user_id TEXT, item_id TEXT")
    cast = "item_id::text" if shop.kind == "postgresql" else "item_id"
    shop.settings(
        f"SELECT user_id, {cast} AS item_id FROM {shop.table} "
        "WHERE user_id LIKE '%b' OR user_id = 'c:d'"
    )
    assert source(shop.folder).users().manifest.users == 2


def test_a_bad_row_is_left_out_and_named_by_its_number_to_the_operator(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_PART_ROWS", 2)
    rows = pl.DataFrame(
        {"n": [1, 2, 3, 4], "user_id": ["zebra", "zebra", None, "zebra"], "item_id": ["sku-1"] * 4}
    )
    shop.fill(rows, "n INTEGER, user_id TEXT, item_id TEXT")
    shop.settings(f"SELECT * FROM {shop.table} ORDER BY n")
    made = source(shop.folder).users().manifest
    assert (made.users, made.rows, made.bad) == (
        1,
        4,
        {"user_id: the cell is empty; expected an id": 1},
    )
    look = look_at(shop.folder, read_settings(shop.folder, ""))
    assert look.first_bad == "the query's result, row 3: user_id: the cell is empty; expected an id"


def test_what_a_cell_is_does_not_depend_on_the_rows_beside_it(shop: Shop) -> None:
    """Columns of mixed types, as SQLite has them: row by row and together come to the same."""
    cells = [
        *[1, True, 2.0, 2.5, "2", "x", Decimal(7), Decimal("7.5"), 2**70, -(2**63), b"\xff"],
        *[None, uuid.UUID(int=1), float("nan"), float("inf"), Decimal("Infinity"), ["a"]],
        *[date(2020, 1, 2), datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "2020-01-02T03:04"],
        datetime(2020, 1, 2, tzinfo=timezone(timedelta(hours=2))),
    ]
    for is_id in (True, False):

        def read(chosen: list[Any], is_id: bool = is_id) -> list[Any]:
            column = database._column("timestamp", chosen, is_id=is_id)
            if is_id:
                return column.cast(pl.String).to_list()
            table = Table(
                path=shop.folder,
                label="",
                frame=pl.LazyFrame({"timestamp": column}),
                columns=("timestamp",),
                form=None,
            )
            clock = clock_by_cell(table, "timestamp")
            return table.frame.select(clock.read("timestamp")).collect().to_series().to_list()

        alone = [read([cell])[0] for cell in cells]
        assert read(cells) == alone
        assert read(cells[::-1]) == alone[::-1]
        assert len({value for value in alone if value is not None}) > 5
    assert (
        read([datetime(2020, 1, 1, tzinfo=UTC)]) == read(["2020-01-01"]) == [1_577_836_800_000_000]
    )


def test_a_time_that_python_does_not_know_spoils_its_own_row_alone(server_shop: Shop) -> None:
    rows = pl.DataFrame({"user_id": ["u", "v", "w"], "item_id": ["sku-1"] * 3})
    server_shop.fill(rows, "user_id TEXT, item_id TEXT")
    table = server_shop.table
    server_shop.settings(
        "SELECT user_id, item_id, CASE user_id WHEN 'u' THEN TIMESTAMPTZ 'infinity' "
        "WHEN 'v' THEN TIMESTAMPTZ '4712-01-01 BC' "
        f"ELSE TIMESTAMPTZ '2024-05-01 02:00:00+02' END AS timestamp FROM {table}"
    )
    made = source(server_shop.folder).users(with_order=True)
    assert made.manifest.bad == {"timestamp: unreadable; expected a time": 2}
    assert made.interactions.times is not None
    assert made.interactions.times.tolist() == [1_714_521_600_000_000]


@pytest.mark.parametrize("as_number", [False, True])
def test_times_of_one_second_keep_their_order(shop: Shop, as_number: bool) -> None:
    """As timestamps, and as numbers with a fraction: NUMERIC and DOUBLE PRECISION, or REAL."""
    within = ["750000", "250001", "250000", "500000"]
    times = [f"{'1714521600' if as_number else '2024-05-01 00:00:00'}.{us}" for us in within]
    rows = pl.DataFrame(
        {"user_id": ["u"] * 4, "item_id": [f"sku-{k}" for k in range(4)], "timestamp": times}
    )
    kinds = ["NUMERIC(20, 6)", "DOUBLE PRECISION"] if as_number else ["TIMESTAMP(6)", "TIMESTAMPTZ"]
    for kind in kinds:
        shop.table = f"events_{uuid.uuid4().hex[:8]}"
        shop.fill(rows, f"user_id TEXT, item_id TEXT, timestamp {kind}")
        shop.settings(f"SELECT * FROM {shop.table}")
        found = source(shop.folder).read_anew(with_order=True).interactions
        assert found.times is not None
        assert found.times.tolist() == [1_714_521_600_000_000 + int(us) for us in within]


def test_bytes_that_are_no_text_spoil_their_own_row_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE events (user_id TEXT, item_id TEXT)")
        connection.execute("INSERT INTO events VALUES ('u', 'sku-1'), (CAST(x'ff' AS TEXT), 'x')")
    query = "SELECT * FROM events"
    (tmp_path / "data.toml").write_text(f'[events]\nurl = "sqlite:///shop.db"\nquery = "{query}"\n')
    made = source(tmp_path).users().manifest
    assert (made.users, made.bad) == (1, {"user_id: unreadable; expected text in UTF-8": 1})


def test_nobody_is_data_like_any_other(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_PART_ROWS", 2)
    rows = pl.DataFrame(
        {"user_id": ["u", "v", "w"], "item_id": ["sku-1"] * 3, "quantity": [-1, 0, 2]}
    )
    shop.fill(rows, "user_id TEXT, item_id TEXT, quantity INTEGER")
    shop.settings(f"SELECT * FROM {shop.table} WHERE user_id = 'x'")
    assert source(shop.folder).users().manifest.users == 0
    # A part of the rows in which none counts is no fault either.
    shop.settings(f"SELECT * FROM {shop.table} ORDER BY user_id")
    found = source(shop.folder).users().manifest
    assert (found.users, found.rows, sum(found.left_out.values())) == (1, 3, 2)


def test_a_missing_column_is_named(shop: Shop) -> None:
    shop.fill(pl.DataFrame({"user_id": ["u"], "sku": ["sku-1"]}), "user_id TEXT, sku TEXT")
    shop.settings(f"SELECT * FROM {shop.table}")
    with pytest.raises(DataError) as refused:
        source(shop.folder).users()
    assert refused.value.code == "data/missing-column"
    shop.settings(f"SELECT * FROM {shop.table}", '[columns]\nitem_id = "sku"\n')
    assert source(shop.folder).users().manifest.pairs == 1


def test_a_query_that_fails_is_named_with_what_it_asked_for_and_is_not_there(shop: Shop) -> None:
    shop.fill(pl.DataFrame({"user_id": ["zebra"]}), "user_id TEXT")
    kinds = {"sqlite": "SQLITE_ERROR", "postgresql": "42"}
    for query, missing in (
        ("SELECT sku FROM zebras", "zebras"),
        (f"SELECT sku FROM {shop.table}", "sku"),
        (f"SELECT o.sku FROM {shop.table} o", "o.sku"),
    ):
        shop.settings(query)
        with pytest.raises(DataError) as refused:
            source(shop.folder).users()
        assert refused.value.code == "data/database"
        assert "refused the query" in refused.value.message
        assert refused.value.message.endswith(f": there is no {missing}")
        assert kinds[shop.kind] in refused.value.message
        assert refused.value.__cause__ is None
        assert "zebra" not in refused.value.message.replace("zebras", "")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT user_id FORM 'zebra'",
        "SELECT 'zebra' FROM missing('zebra')",
        "SELECT * FROM TABLE WHERE user_id = 'no such column: zebra'",
    ],
)
def test_of_a_query_that_fails_nothing_between_quotes_is_shown(shop: Shop, query: str) -> None:
    shop.fill(pl.DataFrame({"user_id": ["zebra"]}), "user_id TEXT")
    shop.settings(query)
    with pytest.raises(DataError) as refused:
        source(shop.folder).users()
    assert "refused the query" in refused.value.message
    assert "zebra" not in str(refused.value)


def test_a_column_between_quotes_may_be_a_value_and_is_not_shown(server_shop: Shop) -> None:
    server_shop.fill(pl.DataFrame({"user_id": ["u"]}), "user_id TEXT")
    server_shop.settings(f'SELECT * FROM {server_shop.table} WHERE user_id = \\"zebra\\"')
    with pytest.raises(DataError) as refused:
        source(server_shop.folder).users()
    assert "UndefinedColumn (42703)" in refused.value.message
    assert "zebra" not in str(refused.value)


@pytest.mark.parametrize("name", ["nosuch.db", "missing/shop.db"])
def test_a_file_of_sqlite_that_is_not_there_is_named_and_not_made(
    tmp_path: Path, name: str
) -> None:
    text = f'[events]\nurl = "sqlite:///{name}"\nquery = "SELECT 1"\n'
    (tmp_path / "data.toml").write_text(text)
    with pytest.raises(DataError) as refused:
        source(tmp_path).users()
    assert refused.value.code == "data/not-found"
    assert f"{tmp_path / name}: no such file" in refused.value.message
    assert not (tmp_path / name).exists()


def test_a_file_that_is_no_database_is_told_from_a_query_that_fails(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_text("user_id,item_id\n" * 100)
    text = '[events]\nurl = "sqlite:///shop.db"\nquery = "SELECT * FROM events"\n'
    (tmp_path / "data.toml").write_text(text)
    with pytest.raises(DataError) as refused:
        source(tmp_path).users()
    assert refused.value.code == "data/database"
    assert "could not be opened: DatabaseError (SQLITE_NOTADB)" in refused.value.message


def test_a_copy_of_a_database_is_taken_for_rounds_and_renewed_for_a_run(shop: Shop) -> None:
    now = [1_800_000_000.0]
    shop.fill(events(100), COLUMNS)
    shop.settings(f"SELECT * FROM {shop.table}", "[cache]\nmax_age_hours = 1\n")

    def read(**how: Any) -> float:
        return source(shop.folder, clock=lambda: now[0]).users(**how).manifest.read

    first = read(joining=True)
    now[0] += 3600
    assert read(joining=True) == first
    now[0] += 1
    assert read() == first
    assert read(joining=True) == now[0]
    now[0] -= 7200  # a clock that was set back says nothing about the copy's age
    assert read(joining=True) == now[0]


def test_types_of_postgresql_are_read(server_shop: Shop) -> None:
    ids = [uuid.UUID(int=k) for k in range(3)]
    zone = timezone(timedelta(hours=2))
    rows = pl.DataFrame(
        {
            "user_id": [str(i) for i in ids],
            "item_id": ["sku-1", "sku-2", "sku-1"],
            "quantity": [Decimal("1.5"), None, Decimal(-1)],
        },
        schema_overrides={"quantity": pl.Decimal(10, 2)},
    )
    server_shop.fill(rows, "user_id UUID, item_id VARCHAR(20), quantity NUMERIC(10, 2)")
    server_shop.run(
        f"ALTER TABLE {server_shop.table} ADD timestamp TIMESTAMPTZ "
        "DEFAULT '2024-05-01 02:00:00+02'"
    )
    server_shop.settings(f"SELECT * FROM {server_shop.table}")
    found = source(server_shop.folder).users(with_order=True)
    assert (found.manifest.users, found.manifest.pairs) == (2, 2)
    moment = datetime(2024, 5, 1, 2, tzinfo=zone).astimezone(UTC)
    assert found.interactions.times is not None
    assert set(found.interactions.times) == {int(moment.timestamp() * 1e6)}
    days = {"user_id": "1::NUMERIC", "timestamp": "DATE '2024-05-01'", "item_id": "'sku-1'"}
    chosen = ", ".join(f"{value} AS {name}" for name, value in days.items())
    server_shop.settings(f"SELECT {chosen}")
    found = source(server_shop.folder).users(with_order=True)
    assert found.interactions.times is not None
    expected = datetime.combine(date(2024, 5, 1), datetime.min.time(), UTC).timestamp() * 1e6
    assert found.interactions.times.tolist() == [expected]


def test_a_column_of_something_else_is_left_out_row_by_row(server_shop: Shop) -> None:
    server_shop.settings("SELECT ARRAY['zebra'] AS user_id, 'sku-1' AS item_id")
    made = source(server_shop.folder).users().manifest
    assert (made.users, made.bad) == (0, {"user_id: unreadable; expected text in UTF-8": 1})


def test_a_query_cannot_write(server_shop: Shop) -> None:
    server_shop.run(f"CREATE SEQUENCE {server_shop.table}")
    server_shop.settings(
        f"SELECT nextval('{server_shop.table}')::TEXT AS user_id, 'sku-1' AS item_id"
    )
    with pytest.raises(DataError) as refused:
        source(server_shop.folder).users()
    assert "ReadOnlySqlTransaction (25006)" in str(refused.value)


@pytest.mark.parametrize("wrong", ["password", "port"])
def test_no_password_is_shown_when_the_server_does_not_answer(
    server_shop: Shop, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    server_shop.settings("SELECT 1")
    if wrong == "password":
        (server_shop.folder / "secret").write_text("giraffe-7741\n")
    else:
        text = (server_shop.folder / "data.toml").read_text()
        port = str(server_shop.server.port)  # type: ignore[union-attr]
        (server_shop.folder / "data.toml").write_text(text.replace(port, "1"))
    with pytest.raises(DataError) as refused:
        source(server_shop.folder).users()
    assert refused.value.code == "data/database"
    shown = f"{refused.value!r} {refused.value.__context__ and ''} {caplog.text}"
    assert "could not be opened: OperationalError" in shown
    for secret in ("giraffe", "zebra", PASSWORD):
        assert secret not in shown
    assert refused.value.__suppress_context__


def test_a_driver_that_is_not_installed_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.toml").write_text(
        '[events]\nurl = "mysql+nosuchdriver://u@h/d"\nquery = "SELECT 1"\n'
    )
    with pytest.raises(DataError) as refused:
        source(tmp_path).users()
    assert refused.value.code == "data/driver"


def test_rows_come_in_a_stream_from_a_cursor_on_the_server(
    server_shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_PART_ROWS", 100)
    # The server would need minutes for all of these: only the first parts are asked for.
    server_shop.settings(
        "SELECT 'u' || (n % 1000) AS user_id, 'sku-1' AS item_id "
        "FROM (SELECT generate_series(1, 1000000000) AS n) AS numbers"
    )
    settings = read_settings(server_shop.folder, "")
    url = settings.events.connection_url(server_shop.folder)
    tables = database.query_tables(url, settings.events.query or "", settings.names)
    first = [next(tables) for _ in range(3)]
    tables.close()
    assert [len(table.frame.collect()) for table in first] == [100] * 3
    assert np.all(first[2].frame.collect()["__row__"].to_numpy() == np.arange(201, 301))
