from typing import Any

import pytest

from recommons.common.errors import RecommonsError
from recommons.simulations.benchmarks.deployment import STEPS, Case, _figures, _found, _table

WAITED = 3.0
MOMENTS = {
    "advertise": 0,
    "keys": 1,
    "shares": 1,
    "masked": 2,
    "sign": 3,
    "reveal": 4,
    "release": 5,
}


def events(round_: int, start: float, seconds: float, *, attempt: int = 1) -> list[dict[str, Any]]:
    """A round whose five steps take so long each, and the model; a megabyte a site each way."""
    return [
        {
            "round": round_,
            "attempt": attempt,
            "step": step,
            "elapsed": start + place * seconds + (WAITED if place and step != "keys" else 0.0),
            "sites_total": 5,
            "bytes_up": 5_000_000 * (round_ - 1) + (5_000_000 if step == "release" else 0),
            "bytes_down": 5_000_000 * (round_ - 1) + (5_000_000 if step == "release" else 0),
        }
        for step, place in MOMENTS.items()
    ]


def test_a_round_is_timed_from_its_first_message_to_its_sum_and_the_first_left_out() -> None:
    told = [*events(1, 0.0, 9.0), *events(2, 60.0, 1.0), *events(3, 70.0, 2.0)]
    figures = _figures("recommons", told)
    assert figures.rounds == (5.0, 10.0)
    assert figures.median == 7.5
    assert figures.steps == dict.fromkeys(STEPS, 1.5)
    assert figures.model == WAITED
    assert (figures.bytes_up, figures.bytes_down) == (1_000_000, 1_000_000)
    assert _table(Case(), [figures]).row_count == 3 + len(STEPS) + 4


def test_the_sides_stand_beside_each_other_with_their_ratio() -> None:
    ours = _figures("recommons", [*events(1, 0.0, 1.0), *events(2, 9.0, 0.5)])
    stock = _figures("stock", [*events(1, 0.0, 9.0), *events(2, 60.0, 8.0)])
    table = _table(Case(), [ours, stock])
    cells = [list(column.cells) for column in table.columns]
    row = cells[0].index("times as long")
    assert [column[row] for column in cells[1:]] == ["1.0", "16.0"]


def test_a_round_that_was_repeated_or_not_finished_is_no_measurement() -> None:
    whole = events(1, 0.0, 1.0)
    for rest in (events(2, 9.0, 1.0, attempt=2), events(2, 9.0, 1.0)[:-1], []):
        with pytest.raises(RecommonsError):
            _figures("recommons", [*whole, *rest])


def test_the_plan_sends_the_size_asked_for_both_ways(tmp_path: Any) -> None:
    case = Case(sites=3, megabytes=0.1)
    run = _found(tmp_path, case, 2)
    spec = run.plan.specs()[1]
    assert len(run.plan.rounds) == 3
    assert spec.ring_bits == 64
    assert spec.size * 8 == pytest.approx(0.1e6, rel=0.06)
    assert case.items * 32 * 8 == pytest.approx(0.1e6, rel=0.01)
