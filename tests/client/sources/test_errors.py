"""Wrong input: each kind is an error that names the place and never a user or an event."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from recommons.client.sources import ColumnNames, load_dataset
from recommons.common.errors import DataError

USER, ITEM = "zebra-7741", "quagga-9923"
GOOD = f"user_id,item_id,timestamp\n{USER},{ITEM},100\nu2,{ITEM},200\n"

Refused = Callable[..., DataError]


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """Load files with the given contents, expect an error that keeps users to itself."""

    def load(files: dict[str, str | bytes | pl.DataFrame], at: str = ".") -> DataError:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            if isinstance(content, pl.DataFrame):
                content.write_parquet(path)
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(DataError) as caught:
            load_dataset(tmp_path / at)
        text = f"{caught.value} {caught.value.args!r} {caught.value.remedy}"
        assert "zebra" not in text
        assert "quagga" not in text
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        return caught.value

    return load


def expect(error: DataError, code: str, *words: str) -> None:
    assert error.code == code
    for word in words:
        assert word in error.message


def test_a_path_where_nothing_is(refused: Refused) -> None:
    expect(refused({}, at="nowhere"), "data/not-found", "nowhere", "expected a file or a folder")


def test_a_folder_without_events(refused: Refused) -> None:
    expect(refused({"notes.txt": "x"}), "data/no-events", "expected one of events.parquet")


def test_a_file_with_an_unknown_ending(refused: Refused) -> None:
    expect(refused({"shop.xlsx": GOOD}, at="shop.xlsx"), "data/format", "shop.xlsx", ".parquet")


def test_two_files_of_events(refused: Refused) -> None:
    error = refused({"events.csv": GOOD, "events.tsv": GOOD.replace(",", "\t")})
    expect(error, "data/ambiguous", "events.csv and events.tsv")


def test_two_files_of_items(refused: Refused) -> None:
    items = "item_id\n1\n"
    error = refused({"events.csv": GOOD, "items.csv": items, "items.tsv": items})
    expect(error, "data/ambiguous", "items.csv and items.tsv")


@pytest.mark.parametrize("name", ["events.csv", "events.tsv", "events.jsonl", "events.parquet"])
def test_an_empty_file(refused: Refused, name: str) -> None:
    expect(refused({name: b""}), "data/empty", name, "expected rows")


@pytest.mark.parametrize("header", ["user_id,item_id", "user_id,item_id,timestamp,quantity"])
@pytest.mark.parametrize("lines", ["", "\n\n\n"])
def test_a_file_with_a_header_and_no_row(refused: Refused, header: str, lines: str) -> None:
    error = refused({"events.csv": f"{header}\n{lines}"})
    expect(error, "data/empty", "events.csv", "expected at least one event")


@pytest.mark.parametrize("dtype", [pl.Null, pl.String, pl.Float64])
def test_a_parquet_file_without_rows(refused: Refused, dtype: type[pl.DataType]) -> None:
    columns = ("user_id", "item_id", "timestamp", "rating")
    frame = pl.DataFrame(schema=dict.fromkeys(columns, dtype()))
    error = refused({"events.parquet": frame})
    expect(error, "data/empty", "events.parquet", "expected at least one event")


def test_a_file_of_blank_lines(refused: Refused) -> None:
    expect(refused({"events.csv": "\n\n"}), "data/unreadable", "events.csv", "header")


@pytest.mark.parametrize("missing", ["user_id", "item_id"])
@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_missing_column(refused: Refused, missing: str, ending: str) -> None:
    rows = pl.DataFrame({"user_id": [USER], "item_id": [ITEM]}).rename({missing: "other"})
    content: dict[str, str | pl.DataFrame] = {
        "csv": rows.write_csv(),
        "jsonl": rows.write_ndjson(),
        "parquet": rows,
    }
    error = refused({f"events.{ending}": content[ending]})
    expect(error, "data/missing-column", f"events.{ending}", missing)


def test_a_file_without_its_header_shows_no_event(refused: Refused) -> None:
    expect(refused({"events.csv": f"{USER},{ITEM}\n"}), "data/missing-column", "user_id")


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_another_separator_is_told_where_columns_are_missing(
    refused: Refused, separator: str, name: str
) -> None:
    error = refused({"events.csv": GOOD.replace(",", separator)})
    expect(error, "data/missing-column", f"its one column has {name} in it", "commas")
    assert "[columns]" in error.remedy
    assert "--columns" in error.remedy


def test_a_header_of_one_event_that_repeats_a_cell(refused: Refused) -> None:
    expect(refused({"events.csv": f"{USER},{USER}\n"}), "data/ambiguous", "columns 1 and 2")


def test_a_column_named_twice(refused: Refused) -> None:
    error = refused({"events.csv": f"user_id,item_id,user_id\n{USER},{ITEM},x\n"})
    expect(error, "data/ambiguous", "events.csv", "columns 1 and 3")


def test_two_columns_that_could_be_the_user(refused: Refused) -> None:
    error = refused({"events.csv": f"user_id,userId,item_id\n{USER},x,{ITEM}\n"})
    expect(error, "data/ambiguous", "user_id and userId")


def test_a_mapped_column_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(GOOD)
    with pytest.raises(DataError) as caught:
        load_dataset(tmp_path, names=ColumnNames(timestamp="when"))
    expect(caught.value, "data/missing-column", "events.csv", "'when'", "timestamp")


def test_a_row_with_too_many_cells(refused: Refused) -> None:
    error = refused({"events.csv": GOOD + f"{USER},{ITEM},300,400\n"})
    expect(error, "data/unreadable", "events.csv", "row 3", "line 4", "expected 3 cells")


def test_a_row_with_an_open_quote(refused: Refused) -> None:
    error = refused({"events.csv": GOOD + f'"{USER},{ITEM},300\n'})
    expect(error, "data/unreadable", "events.csv", "row 3", "line 4", "quotes")


def test_a_header_with_an_open_quote(refused: Refused) -> None:
    error = refused({"events.csv": f'"user_id,item_id\n{USER},{ITEM}\n'})
    expect(error, "data/unreadable", "events.csv", "header")


def test_a_line_that_is_not_json(refused: Refused) -> None:
    good = f'{{"user_id": "{USER}", "item_id": "{ITEM}"}}\n'
    error = refused({"events.jsonl": good + "\n" + good + f'{{"user_id": "{USER}",\n'})
    expect(error, "data/unreadable", "events.jsonl", "row 3", "line 4", "JSON object")


def test_a_line_that_is_a_json_list(refused: Refused) -> None:
    good = f'{{"user_id": "{USER}", "item_id": "{ITEM}"}}\n'
    error = refused({"events.jsonl": good + f'["{USER}", "{ITEM}"]\n'})
    expect(error, "data/unreadable", "events.jsonl", "row 2", "JSON object")


@pytest.mark.parametrize("value", ['{"name": "zebra-7741"}', '["zebra-7741"]'])
def test_an_id_that_is_a_json_object_or_list(refused: Refused, value: str) -> None:
    good = f'{{"user_id": "{USER}", "item_id": "{ITEM}"}}\n'
    error = refused({"events.jsonl": good + f'{{"user_id": {value}, "item_id": "{ITEM}"}}\n'})
    expect(error, "data/unreadable", "row 2", "column user_id", "text or a whole number")


def test_a_file_that_is_not_parquet(refused: Refused) -> None:
    error = refused({"events.parquet": f"user_id,item_id\n{USER},{ITEM}\n"})
    expect(error, "data/unreadable", "events.parquet", "expected a Parquet file")


@pytest.mark.parametrize("column", ["user_id", "item_id"])
@pytest.mark.parametrize("cell", ["", '""'])
def test_an_empty_id(refused: Refused, column: str, cell: str) -> None:
    row = f"{cell},{ITEM}" if column == "user_id" else f"{USER},{cell}"
    error = refused({"events.csv": f"user_id,item_id\n{USER},{ITEM}\n{row}\n"})
    expect(error, "data/missing-value", "events.csv", "row 2", "line 3", f"column {column}")


def test_an_empty_id_in_parquet(refused: Refused) -> None:
    frame = pl.DataFrame({"user_id": [USER, USER, None], "item_id": [ITEM] * 3})
    error = refused({"events.parquet": frame})
    expect(error, "data/missing-value", "events.parquet", "row 3, column user_id")


@pytest.mark.parametrize("column", ["user_id", "item_id", "timestamp"])
@pytest.mark.parametrize("dtype", [pl.Null, pl.String, pl.Float64, pl.Int64])
def test_a_column_that_is_all_null(refused: Refused, column: str, dtype: type[pl.DataType]) -> None:
    full = pl.DataFrame({"user_id": [USER] * 2, "item_id": [ITEM] * 2, "timestamp": [1, 2]})
    frame = full.with_columns(pl.lit(None, dtype=dtype()).alias(column))
    error = refused({"events.parquet": frame})
    expect(error, "data/empty-column", "events.parquet", f"column {column}", "every cell is empty")


def test_a_user_column_that_is_all_empty_in_text(refused: Refused) -> None:
    error = refused({"events.csv": f"user_id,item_id\n,{ITEM}\n,{ITEM}\n"})
    expect(error, "data/empty-column", "events.csv", "column user_id")


def test_ids_that_are_decimal_numbers(refused: Refused) -> None:
    frame = pl.DataFrame({"user_id": [7741.0], "item_id": [ITEM]})
    error = refused({"events.parquet": frame})
    expect(error, "data/unreadable", "column user_id", "Float64", "text or whole numbers")
    assert "7741" not in error.message


@pytest.mark.parametrize("time", ["-1", "-0.5"])
def test_a_negative_time(refused: Refused, time: str) -> None:
    first = "0" if time == "-1" else "0.5"
    rows = f"user_id,item_id,timestamp\n{USER},{ITEM},{first}\n\n{USER},{ITEM},{time}\n"
    error = refused({"events.csv": rows})
    expect(error, "data/negative-time", "events.csv", "row 3", "line 4", "column timestamp")


def test_a_date_before_1970(refused: Refused) -> None:
    rows = f"user_id,item_id,timestamp\n{USER},{ITEM},1971-01-01\n{USER},{ITEM},1969-12-31\n"
    expect(refused({"events.csv": rows}), "data/negative-time", "row 2", "column timestamp")


@pytest.mark.parametrize("time", ["yesterday", "inf", "2010-01-01"])
def test_an_unreadable_time(refused: Refused, time: str) -> None:
    error = refused({"events.csv": GOOD + f"{USER},{ITEM},{time}\n"})
    expect(error, "data/unreadable", "row 3", "line 4", "column timestamp", "a number")


def test_a_first_time_in_no_known_form(refused: Refused) -> None:
    rows = f"user_id,item_id,timestamp\n{USER},{ITEM},first of May\n"
    error = refused({"events.csv": rows})
    expect(error, "data/unreadable", "row 1", "line 2", "column timestamp", "ISO 8601")


def test_a_time_that_is_no_number(refused: Refused) -> None:
    frame = pl.DataFrame(
        {"user_id": [USER] * 2, "item_id": [ITEM] * 2, "timestamp": [1.0, float("nan")]}
    )
    error = refused({"events.parquet": frame})
    expect(error, "data/unreadable", "row 2, column timestamp", "finite")


def test_times_of_another_type(refused: Refused) -> None:
    frame = pl.DataFrame({"user_id": [USER], "item_id": [ITEM], "timestamp": [True]})
    expect(refused({"events.parquet": frame}), "data/unreadable", "column timestamp")


def test_an_empty_time(refused: Refused) -> None:
    error = refused({"events.csv": GOOD + f"{USER},{ITEM}\n"})
    expect(error, "data/missing-value", "row 3", "line 4", "column timestamp")


@pytest.mark.parametrize("column", ["quantity", "value", "rating"])
def test_a_number_that_is_none(refused: Refused, column: str) -> None:
    rows = f"user_id,item_id,{column}\n{USER},{ITEM},1\n{USER},{ITEM},many\n"
    error = refused({"events.csv": rows})
    expect(error, "data/unreadable", "row 2", "line 3", f"column {column}", "expected a number")


def test_rows_that_are_all_left_out(refused: Refused) -> None:
    error = refused({"events.csv": f"user_id,item_id,quantity\n{USER},{ITEM},-1\n"})
    expect(error, "data/empty", "events.csv", "quantity of zero or less")


def test_bytes_that_are_not_utf8_in_a_cell(refused: Refused) -> None:
    rows = GOOD.encode() + b"\n" + USER.encode() + b",caf\xe9,300\n"
    error = refused({"events.csv": rows})
    expect(error, "data/encoding", "events.csv", "row 4", "line 5", "column item_id", "UTF-8")


def test_bytes_that_are_not_utf8_in_a_column_that_is_not_read(refused: Refused) -> None:
    rows = f"user_id,item_id,{USER}\n".encode() + USER.encode() + b",x,\xe9\n"
    error = refused({"events.csv": rows})
    expect(error, "data/encoding", "row 1", "line 2", "column 3")


def test_bytes_that_are_not_utf8_far_into_a_file(refused: Refused) -> None:
    rows = "user_id,item_id\n" + f"{USER},{ITEM}\n" * 60_000
    error = refused({"events.csv": rows.encode() + b"u\xff,x\n"})
    expect(error, "data/encoding", "row 60001", "line 60002", "column user_id")


def test_a_character_cut_at_the_end_of_a_file(refused: Refused) -> None:
    error = refused({"events.csv": GOOD.encode() + f"{USER},é".encode()[:-1]})
    expect(error, "data/encoding", "row 3", "line 4", "column item_id")


def test_bytes_that_are_not_utf8_in_the_header(refused: Refused) -> None:
    error = refused({"events.csv": b"user_id,item_id,pre\xe7o\n" + f"{USER},{ITEM},1".encode()})
    expect(error, "data/encoding", "events.csv", "line 1")


def test_bytes_that_are_not_utf8_in_json_lines(refused: Refused) -> None:
    good = f'{{"user_id": "{USER}", "item_id": "{ITEM}"}}\n'.encode()
    error = refused({"events.jsonl": good + good.replace(b"quagga", b"\xff")})
    expect(error, "data/encoding", "events.jsonl", "row 2", "line 2")


def test_an_item_that_stands_twice_in_the_file_of_items(refused: Refused) -> None:
    items = "item_id,title\na,A\nquagga-9923,B\n\nquagga-9923,C\n"
    error = refused({"events.csv": GOOD, "items.csv": items})
    expect(error, "data/duplicate-item", "items.csv", "row 4", "line 5", "column item_id")


def test_an_item_without_an_id(refused: Refused) -> None:
    error = refused({"events.csv": GOOD, "items.csv": "item_id,title\na,A\n,B\n"})
    expect(error, "data/missing-value", "items.csv", "row 2", "line 3", "column item_id")


def test_items_without_their_column(refused: Refused) -> None:
    error = refused({"events.csv": GOOD, "items.csv": "sku,title\na,A\n"})
    expect(error, "data/missing-column", "items.csv", "item_id")


@pytest.mark.parametrize("name", ["items.csv", "items.parquet", "items.jsonl"])
def test_an_empty_file_of_items(refused: Refused, name: str) -> None:
    expect(refused({"events.csv": GOOD, name: b""}), "data/empty", name)


def test_items_with_a_header_and_no_row(refused: Refused) -> None:
    error = refused({"events.csv": GOOD, "items.csv": "item_id,title\n"})
    expect(error, "data/empty", "items.csv", "expected at least one item")


def test_a_vector_of_another_length(refused: Refused) -> None:
    items = pl.DataFrame({"item_id": ["a", "b"], "image": [[0.1, 0.2], [0.3]]})
    error = refused({"events.csv": GOOD, "items.parquet": items})
    expect(error, "data/unreadable", "items.parquet, row 2, column image", "expected 2 numbers")


def test_a_vector_that_is_not_finite(refused: Refused) -> None:
    items = pl.DataFrame({"item_id": ["a", "b"], "image": [[0.1, 0.2], [0.3, float("inf")]]})
    error = refused({"events.csv": GOOD, "items.parquet": items})
    expect(error, "data/unreadable", "items.parquet, row 2, column image", "finite")


def test_a_column_of_items_that_cannot_be_a_feature(refused: Refused) -> None:
    items = pl.DataFrame({"item_id": ["a"], "size": [{"w": 1}]})
    error = refused({"events.csv": GOOD, "items.parquet": items})
    expect(error, "data/unreadable", "items.parquet", "column size", "expected text")


HELD_OUT = f"user_id,item_id\n{USER},{ITEM}\n"


def test_half_a_split(refused: Refused) -> None:
    error = refused({"events.csv": GOOD, "benchmark/users.csv": "user_id,role\n"})
    expect(error, "data/benchmark", "users.csv", "heldout.csv")


@pytest.mark.parametrize(
    ("users", "place"),
    [
        ("u2,valid\nzebra-1,test\n", "row 2 (line 3), column user_id: a user who is not"),
        (f"{USER},test\n{USER},valid\n", "row 2 (line 3), column user_id: a user named in"),
        ("u2,zebra\n", "row 1 (line 2), column role: an unknown role"),
    ],
    ids=["a foreign user", "a user named twice", "an unknown role"],
)
def test_a_split_with_wrong_users(refused: Refused, users: str, place: str) -> None:
    split = {"benchmark/users.csv": "user_id,role\n" + users, "benchmark/heldout.csv": HELD_OUT}
    error = refused({"events.csv": GOOD, **split})
    expect(error, "data/benchmark", "benchmark/users.csv", place)


@pytest.mark.parametrize(
    ("pairs", "place"),
    [
        (f"zebra-1,{ITEM}\n", "row 1 (line 2), column user_id: a user who is not"),
        (f"u2,{ITEM}\n", "row 1 (line 2), column user_id: a user who trains"),
        (f"{USER},quagga-1\n", "row 1 (line 2), column item_id: an item that is not"),
        (f"{USER},{ITEM}\n{USER},other\n", "row 2 (line 3), column item_id: a pair that is not"),
    ],
    ids=["a foreign user", "a user who trains", "a foreign item", "a foreign pair"],
)
def test_a_split_with_wrong_pairs(refused: Refused, pairs: str, place: str) -> None:
    files = {
        "events.csv": GOOD + "u2,other,5\n",
        "benchmark/users.csv": f"user_id,role\n{USER},test\n",
        "benchmark/heldout.csv": "user_id,item_id\n" + pairs,
    }
    expect(refused(files), "data/benchmark", "benchmark/heldout.csv", place)


def test_a_split_without_its_columns_or_cells(refused: Refused) -> None:
    events = {"events.csv": GOOD, "benchmark/heldout.csv": HELD_OUT}
    error = refused({**events, "benchmark/users.csv": f"user,role\n{USER},test\n"})
    expect(error, "data/missing-column", "benchmark/users.csv", "user_id")
    error = refused({**events, "benchmark/users.csv": f"user_id,role\n{USER},\n"})
    expect(error, "data/missing-value", "benchmark/users.csv", "row 1", "column role")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("u.data", f"{USER}\t{ITEM}\t5\n", ("row 1 (line 1)", "expected 4 cells")),
        ("u.data", f"{USER}\t{ITEM}\t5\t1\n{USER}\t{ITEM}\n", ("row 2", "column timestamp")),
        ("u.data", f"{USER}\t{ITEM}\t5\t1\t9\n", ("row 1", "expected 4 cells")),
        ("ratings.dat", f"{USER}::{ITEM}::5::1\n{USER},{ITEM}\n", ("row 2", "column item_id")),
        ("ratings.dat", f"{USER}::{ITEM}::5::1\n{USER}::{ITEM}::5::-1\n", ("row 2", "negative")),
        ("ratings.csv", f"userId,movieId\n{USER},1\n{USER},\n", ("row 2", "column movieId")),
    ],
)
def test_rows_that_are_not_of_a_published_layout(
    refused: Refused, name: str, content: str, words: tuple[str, ...]
) -> None:
    error = refused({name: content})
    for word in (name, *words):
        assert word in error.message


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("u.item", "1|A|\n", ("data/unreadable", "u.item", "row 1", "24 cells")),
        ("movies.dat", "1::A (1990)::X\n2::B\n", ("data/unreadable", "movies.dat", "row 2")),
        ("movies.dat", "1::A::X\n1::B::Y\n", ("data/duplicate-item", "movies.dat", "row 2")),
        ("movies.dat", "\n", ("data/empty", "movies.dat")),
        ("movies.csv", "movieId,title\n1,A\n1,B\n", ("data/duplicate-item", "row 2")),
    ],
)
def test_items_that_are_not_of_a_published_layout(
    refused: Refused, name: str, content: str, words: tuple[str, ...]
) -> None:
    error = refused({"u.data": f"{USER}\t{ITEM}\t5\t1\n", name: content})
    for word in words:
        assert word in f"{error.code} {error.message}"


def test_more_about_items_that_is_not_utf8(refused: Refused) -> None:
    error = refused(
        {
            "ratings.dat": f"{USER}::1::5::1\n",
            "movies.dat": "1::A (1990)::X\n",
            "movies_extrainfos.dat": b"1::A::1990::G::d::x::y::z::\xe9::p::u\n",
        }
    )
    expect(error, "data/encoding", "movies_extrainfos.dat", "row 1")
