import errno
import os
import time
from pathlib import Path

import pytest

from recommons.common.errors import InvalidInput
from recommons.common.parcel import MOST_OBJECTS, pack_parcel, unpack_parcel
from recommons.server.transport.depot import Depot

ONE, TWO = "1a" * 32, "2b" * 32
NODE, OTHER = 7, 8


def test_a_parcel_gives_back_its_objects_in_order() -> None:
    objects = [b"", b"one", b"\x00" * 9]
    assert unpack_parcel(pack_parcel(objects)) == objects
    assert unpack_parcel(b"") == []


@pytest.mark.parametrize("cut", [1, 7, 8, 10, 12])
def test_a_parcel_that_is_cut_anywhere_is_refused(cut: int) -> None:
    whole = pack_parcel([b"one", b""])
    with pytest.raises(InvalidInput, match="not a parcel"):
        unpack_parcel(whole[:-cut] if cut != 8 else whole + b"\x00")


def test_a_parcel_of_too_many_objects_is_refused() -> None:
    assert len(unpack_parcel(pack_parcel([b"x"] * MOST_OBJECTS))) == MOST_OBJECTS
    with pytest.raises(InvalidInput):
        unpack_parcel(pack_parcel([b"x"] * (MOST_OBJECTS + 1)))


def test_requests_and_replies_do_not_mix_and_a_reply_is_taken_once(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.send(NODE, ONE, b"request")
    depot.send(NODE, TWO, b"another")
    assert depot.sent(NODE, ONE) == b"request"
    assert depot.sent(NODE, TWO) == b"another"
    assert depot.sent(OTHER, ONE) is None
    depot.answer(NODE, ONE, b"reply")
    depot.answer(NODE, TWO, b"other")
    assert depot.sent(NODE, ONE) is None
    assert depot.answered(ONE) == b"reply"
    assert depot.answered(ONE) is None
    depot.withdraw(NODE, ONE)
    depot.withdraw(NODE, ONE)
    assert depot.sent(NODE, ONE) is None
    assert depot.answered(TWO) == b"other"
    for folder in ("down", f"down/{NODE}", "up"):
        assert (tmp_path / folder).stat().st_mode & 0o077 == 0


def test_requests_wait_by_node_until_they_are_answered_or_withdrawn(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    assert depot.waiting(NODE) == frozenset()
    depot.send(NODE, ONE, b"request")
    depot.send(NODE, TWO, b"request")
    (tmp_path / "down" / str(NODE) / f".{ONE}.17").write_bytes(b"being written")
    assert depot.waiting(NODE) == {ONE, TWO}
    assert depot.waiting(OTHER) == frozenset()
    depot.answer(OTHER, ONE, b"of another node")
    assert depot.waiting(NODE) == {ONE, TWO}
    assert depot.answered(ONE) is None
    depot.answer(NODE, ONE, b"reply")
    depot.withdraw(NODE, TWO)
    assert depot.waiting(NODE) == frozenset()


def test_a_reply_that_nobody_waits_for_takes_no_room(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.answer(NODE, ONE, b"unasked")
    depot.send(NODE, TWO, b"request")
    depot.withdraw(NODE, TWO)
    depot.answer(NODE, TWO, b"late")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_parcel_for_which_there_is_no_room_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_source: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        Depot(tmp_path).send(NODE, ONE, b"request")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["", "..", "../" + ONE, ONE[:-1], ONE.upper(), ONE + "/x"])
def test_what_is_no_hash_names_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput):
        Depot(tmp_path).answer(NODE, name, b"x")
    assert not list(tmp_path.iterdir())


def test_what_nobody_fetched_for_a_day_is_removed(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.send(NODE, ONE, b"old")
    depot.send(NODE, TWO, b"new")
    before = time.time() - 25 * 3600
    os.utime(tmp_path / "down" / str(NODE) / ONE, (before, before))
    depot.clear_stale()
    assert (depot.sent(NODE, ONE), depot.sent(NODE, TWO)) == (None, b"new")
