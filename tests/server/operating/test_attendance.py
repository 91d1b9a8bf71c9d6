import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recommons.common.errors import RecommonsError
from recommons.server.operating import attendance
from recommons.server.operating.attendance import attended, is_attended, last_end, left_in

PROGRAM = """
import sys, time
from pathlib import Path
from recommons.server.operating.attendance import attended
with attended(Path(sys.argv[1]), 7):
    print("here", flush=True)
    time.sleep(60)
"""


def test_a_process_that_was_killed_is_told_from_one_that_lives_and_one_that_left(
    tmp_path: Path,
) -> None:
    assert left_in(tmp_path) is None
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        assert is_attended(tmp_path)
        assert left_in(tmp_path) is None
        with pytest.raises(RecommonsError, match="another process") as found, attended(tmp_path, 8):
            pass
        assert found.value.code == "run/ledger-busy"
        process.send_signal(signal.SIGKILL)
    assert (left_in(tmp_path), last_end(tmp_path)) == (7, None)
    with attended(tmp_path, 8):
        assert left_in(tmp_path) is None
    end = last_end(tmp_path)
    assert end is not None
    # It has said how it ended; whether Flower has heard of it is another matter.
    assert (end.code, left_in(tmp_path)) == (None, 8)


def test_two_runs_that_share_a_ledger_are_not_carried_out_at_once(tmp_path: Path) -> None:
    first, second = tmp_path / "001", tmp_path / "002"
    first.mkdir()
    second.mkdir()
    with attended(first, 1, records=tmp_path):
        with (
            pytest.raises(RecommonsError) as refused,
            attended(second, 2, records=tmp_path),
        ):
            raise AssertionError("it began")
        assert refused.value.code == "run/ledger-busy"
        assert is_attended(first)
    end = last_end(second)
    assert end is not None
    assert end.code == "run/ledger-busy"
    with attended(second, 3, records=tmp_path):
        assert is_attended(second)


def test_a_process_that_ends_for_want_of_room_says_so_on_the_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _fields: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def fill_up() -> None:
        with attended(tmp_path, 9):
            monkeypatch.setattr(attendance, "_replace", full)
            full(tmp_path, {})

    with pytest.raises(RecommonsError) as found:
        fill_up()
    assert found.value.code == "coordinator/disk"
    end = last_end(tmp_path)
    assert end is not None
    assert (end.code, left_in(tmp_path)) == ("coordinator/disk", 9)


def test_a_disk_that_takes_nothing_for_another_reason_is_not_called_full(tmp_path: Path) -> None:
    with pytest.raises(RecommonsError) as found, attended(tmp_path, 9):
        raise OSError(errno.EROFS, "Read-only file system")
    assert found.value.code == "coordinator/disk"
    assert "the disk takes nothing" in found.value.message
    assert "room" not in found.value.message


def test_another_error_of_the_operating_system_stays_a_fault(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), attended(tmp_path, 9):
        raise PermissionError(errno.EACCES, "Permission denied")
    end = last_end(tmp_path)
    assert end is not None
    assert end.code == "run/fault"
