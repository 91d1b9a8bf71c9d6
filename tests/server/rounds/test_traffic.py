from collections import Counter
from pathlib import Path

import pytest

from recommons.server.rounds.traffic import Traffic


def some(n: int) -> Traffic:
    return Traffic(
        bytes_up=Counter({("plum", "masked"): n}),
        bytes_down=Counter({("plum", "keys"): 2 * n, ("fig", "keys"): n}),
        seconds={"masked": 0.5 * n},
        refusals=[f"fig: {n}"],
    )


def test_it_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    some(3).write(tmp_path)
    assert Traffic.read(tmp_path) == some(3)


def test_what_came_after_is_added_site_by_site_and_step_by_step() -> None:
    later = Traffic(seconds={"sign": 1.0}, bytes_up=Counter({("fig", "sign"): 4}))
    total = some(1).plus(some(2)).plus(later)
    assert total.by_site() == {"plum": {"up": 3, "down": 6}, "fig": {"up": 4, "down": 3}}
    assert total.seconds == {"masked": 1.5, "sign": 1.0}
    assert total.refusals == ["fig: 1", "fig: 2"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}", "7"),
        '{"bytes_up": 1, "bytes_down": {}, "seconds": {}, "refusals": []}',
        '{"bytes_up": {"a": 1}, "bytes_down": {}, "seconds": {}, "refusals": []}',
        '{"bytes_up": {}, "bytes_down": {}, "seconds": {"a": "b"}, "refusals": []}',
    ],
)
def test_a_damaged_file_counts_nothing_and_stops_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "traffic.json").write_text(text)
    assert Traffic.read(tmp_path) == Traffic()
