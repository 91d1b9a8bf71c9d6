import os
import time
from pathlib import Path

import pytest

from recommons.common.errors import InvalidInput
from recommons.common.parcel import MOST_OBJECTS, pack_parcel, unpack_parcel
from recommons.server.depot import Depot

ONE, TWO = "1a" * 32, "2b" * 32


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
    depot.send(ONE, b"request")
    depot.send(TWO, b"another")
    depot.answer(ONE, b"reply")
    depot.answer(TWO, b"other")
    assert depot.sent(ONE) == b"request"
    assert depot.sent(TWO) == b"another"
    assert depot.answered(ONE) == b"reply"
    assert depot.answered(ONE) is None
    depot.withdraw(ONE)
    depot.withdraw(ONE)
    assert depot.sent(ONE) is None
    assert depot.answered(TWO) == b"other"
    assert (tmp_path / "down").stat().st_mode & 0o077 == 0


def test_a_reply_that_nobody_waits_for_takes_no_room(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.answer(ONE, b"unasked")
    depot.send(TWO, b"request")
    depot.withdraw(TWO)
    depot.answer(TWO, b"late")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["", "..", "../" + ONE, ONE[:-1], ONE.upper(), ONE + "/x"])
def test_what_is_no_hash_names_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput):
        Depot(tmp_path).answer(name, b"x")
    assert not list(tmp_path.iterdir())


def test_what_nobody_fetched_for_a_day_is_removed(tmp_path: Path) -> None:
    depot = Depot(tmp_path)
    depot.send(ONE, b"old")
    depot.send(TWO, b"new")
    before = time.time() - 25 * 3600
    os.utime(tmp_path / "down" / ONE, (before, before))
    depot.clear_stale()
    assert (depot.sent(ONE), depot.sent(TWO)) == (None, b"new")
