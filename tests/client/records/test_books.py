"""A site's books: what the text file may lack, what shows an older database, and what it costs."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, event

from recommons.client.records.books import (
    LEDGER,
    RECEIPTS,
    Line,
    distrust,
    distrusted,
    forget_heads,
    held_heads,
    hold_heads,
)
from recommons.client.records.store import SiteStore
from recommons.common.errors import Refusal
from recommons.common.privacy.ledger import Head


@contextmanager
def opened(folder: Path) -> Iterator[SiteStore]:
    store = SiteStore(folder / "site.db")
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SiteStore]:
    with opened(tmp_path) as store:
        yield store


def add(store: SiteStore, *lines: bytes) -> None:
    with store.transaction() as t:
        for line in lines:
            LEDGER.append(t, line)


def publish(store: SiteStore, folder: Path) -> bytes:
    with store.transaction() as t:
        LEDGER.publish(t, folder)
    path = folder / "ledger.jsonl"
    return path.read_bytes() if path.exists() else b""


def test_lines_are_numbered_and_know_where_they_end(store: SiteStore) -> None:
    add(store, b"one", b"", b"three")
    with store.transaction() as t:
        assert LEDGER.line(t, 0) == Line(seq=0, ends=4, line=b"one")
        assert LEDGER.line(t, 1) == Line(seq=1, ends=5, line=b"")
        assert LEDGER.last(t) == Line(seq=2, ends=11, line=b"three")
        assert LEDGER.line(t, 3) is None
        assert RECEIPTS.last(t) is None


def test_the_file_follows_the_database(store: SiteStore, tmp_path: Path) -> None:
    assert publish(store, tmp_path) == b""
    assert not (tmp_path / "ledger.jsonl").exists()
    add(store, b"one")
    assert publish(store, tmp_path) == b"one\n"
    assert publish(store, tmp_path) == b"one\n"
    add(store, b"two", b"three")
    assert publish(store, tmp_path) == b"one\ntwo\nthree\n"


def test_a_file_that_is_gone_is_written_again(store: SiteStore, tmp_path: Path) -> None:
    add(store, b"one", b"two")
    publish(store, tmp_path)
    (tmp_path / "ledger.jsonl").unlink()
    assert publish(store, tmp_path) == b"one\ntwo\n"


@given(data=st.data())
@settings(max_examples=60)
def test_a_file_cut_off_anywhere_is_mended(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever byte the power went at, and whatever came to the disk instead of the rest."""
    folder = tmp_path_factory.mktemp("book")
    lines = data.draw(st.lists(st.binary(max_size=9).filter(lambda b: b"\n" not in b), max_size=6))
    whole = b"".join(line + b"\n" for line in lines)
    cut = data.draw(st.integers(0, len(whole)))
    rubbish = data.draw(st.sampled_from([b"", b"\0\0", b"{"]))
    if whole[:cut].endswith(b"\n") and rubbish == b"" and cut == len(whole):
        rubbish = b"{"
    with opened(folder) as store:
        add(store, *lines)
        (folder / "ledger.jsonl").write_bytes(whole[:cut] + rubbish)
        assert publish(store, folder) == whole


@given(data=st.data())
@settings(max_examples=60)
def test_an_older_database_beside_the_file_is_found(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Also one that has gone on differently before the file is looked at, whatever its length."""
    folder = tmp_path_factory.mktemp("book")
    text = st.binary(min_size=1, max_size=9).filter(lambda b: b"\n" not in b)
    lines = data.draw(st.lists(text, min_size=1, max_size=6))
    kept = data.draw(st.integers(0, len(lines) - 1))
    others = data.draw(st.lists(text, max_size=8))
    # In a chain lines that follow on different lines differ: every line names the one before.
    others = [b"other " + line for line in others]
    (folder / "ledger.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    with opened(folder) as store:
        add(store, *lines[:kept], *others)
        with pytest.raises(Refusal) as found:
            publish(store, folder)
    assert found.value.code == "site/old-backup"
    assert (folder / "ledger.jsonl").read_bytes() == b"".join(line + b"\n" for line in lines)


class Meter:
    """Counts what is read of and written to a file, and the rows that come out of the database."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, store: SiteStore) -> None:
        self.bytes = self.statements = 0
        original = Path.open

        def counted(path: Path, *arguments: Any, **more: Any) -> Any:
            file = original(path, *arguments, **more)
            return Counted(file, self) if path.suffix == ".jsonl" else file

        monkeypatch.setattr(Path, "open", counted)
        event.listen(store._engine, "before_cursor_execute", self._count)

    def _count(self, *_arguments: object) -> None:
        self.statements += 1


class Counted(io.BytesIO):
    """A file whose bytes are counted."""

    def __init__(self, file: Any, meter: Meter) -> None:
        super().__init__()
        self._file, self._meter = file, meter

    def read(self, size: int | None = -1) -> bytes:
        data: bytes = self._file.read(size)
        self._meter.bytes += len(data)
        return data

    def write(self, data: Any) -> int:
        self._meter.bytes += len(data)
        return int(self._file.write(data))

    def seek(self, place: int, whence: int = 0) -> int:
        return int(self._file.seek(place, whence))

    def truncate(self, size: int | None = None) -> int:
        return int(self._file.truncate(size))

    def flush(self) -> None:
        self._file.flush()

    def fileno(self) -> int:
        return int(self._file.fileno())

    def __exit__(self, *_exception: object) -> None:
        self._file.close()


@pytest.mark.parametrize("length", [10, 2_000])
def test_a_line_costs_the_same_however_long_the_book_is(
    store: SiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    line = b"x" * 800
    with store.transaction() as t:
        for _ in range(length):
            LEDGER.append(t, line)
    publish(store, tmp_path)
    meter = Meter(monkeypatch, store)
    add(store, line)
    with store.transaction() as t:
        LEDGER.publish(t, tmp_path)
    assert meter.bytes <= 512 + 2 * 801  # the last line that was there, and the new one
    before = meter.bytes, meter.statements
    with store.transaction() as t:
        LEDGER.publish(t, tmp_path)
    assert meter.bytes - before[0] == 512 + 801  # nothing new: the last line is compared
    assert meter.statements - before[1] <= 4


def heads(connection: Connection) -> dict[str, int]:
    return {writer: head.seq for writer, head in held_heads(connection).items()}


def test_the_latest_head_of_a_writer_is_held_whatever_its_key(store: SiteStore) -> None:
    one, two = bytes(32), bytes([1]) * 32
    with store.transaction() as t:
        hold_heads(t, [Head(writer="a", seq=3, hash=one), Head(writer="b", seq=4, hash=one)])
        hold_heads(t, [Head(writer="a", seq=9, hash=two), Head(writer="b", seq=2, hash=two)])
        hold_heads(t, [])
    with store.transaction() as t:
        assert heads(t) == {"a": 9, "b": 4}
        assert held_heads(t)["a"].hash == two
        assert held_heads(t)["b"].hash == one


def test_what_is_held_of_a_writer_is_forgotten_by_name(store: SiteStore) -> None:
    one = bytes(32)
    with store.transaction() as t:
        hold_heads(t, [Head(writer=name, seq=3, hash=one) for name in "ab"])
        assert forget_heads(t, "a") == Head(writer="a", seq=3, hash=one)
        assert forget_heads(t, "a") is None
        assert heads(t) == {"b": 3}


def test_a_writer_that_went_back_is_remembered_until_it_is_forgotten(store: SiteStore) -> None:
    one = bytes(32)
    with store.transaction() as t:
        hold_heads(t, [Head(writer=name, seq=3, hash=one) for name in "ab"])
        distrust(t, "a")
        distrust(t, "nobody")
        hold_heads(t, [Head(writer="a", seq=9, hash=one)])
    with store.transaction() as t:
        assert distrusted(t) == {"a"}
        assert heads(t) == {"a": 9, "b": 3}
        forget_heads(t, "a")
        assert distrusted(t) == set()
        hold_heads(t, [Head(writer="a", seq=1, hash=one)])
        assert (distrusted(t), heads(t)) == (set(), {"a": 1, "b": 3})
