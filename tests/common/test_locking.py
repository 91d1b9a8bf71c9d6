import errno
import fcntl
import threading
import time
from pathlib import Path

import pytest

from recommons.common.locking import is_locked, locked, locked_or_not


def test_a_lock_is_seen_while_it_is_held_and_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    assert not is_locked(path / "below")
    with locked(path):
        assert is_locked(path)
        with locked_or_not(path) as alone:
            assert not alone
        assert is_locked(path)
    assert not is_locked(path)


def test_a_disk_without_locks_is_no_other_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    path.touch()

    def none(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    for use in (locked, locked_or_not):
        with pytest.raises(OSError, match="No locks available"), use(path):
            pass
    with pytest.raises(OSError, match="No locks available"):
        is_locked(path)


def test_whoever_only_looks_keeps_nobody_out(tmp_path: Path) -> None:
    path, over = tmp_path / "lock", threading.Event()

    def look() -> None:
        while not over.is_set():
            is_locked(path)

    path.touch()
    watchers = [threading.Thread(target=look) for _ in range(3)]
    for watcher in watchers:
        watcher.start()
    try:
        for _ in range(20):
            with locked_or_not(path) as alone:
                assert alone
    finally:
        over.set()
        for watcher in watchers:
            watcher.join()


def test_one_who_waits_comes_after_the_other(tmp_path: Path) -> None:
    path, order = tmp_path / "lock", list[str]()

    def second() -> None:
        with locked(path):
            order.append("second")

    with locked(path):
        other = threading.Thread(target=second)
        other.start()
        time.sleep(0.1)
        order.append("first")
    other.join()
    assert order == ["first", "second"]
