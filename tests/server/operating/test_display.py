"""How a run is watched: which events deserve a line, and what a terminal shows."""

import io

import pytest
from rich.console import Console

from recommons.common.errors import InvalidInput
from recommons.server.operating.display import LineDisplay, LiveDisplay, open_display
from recommons.server.operating.notices import notices, time_left
from recommons.server.rounds.progress import STEPS, RoundProgress


def event(**changes: object) -> RoundProgress:
    values: dict[str, object] = {
        "round": 1,
        "rounds": 3,
        "attempt": 1,
        "step": "advertise",
        "sites_in": 8,
        "sites_total": 8,
        "dropped": (),
        "bytes_up": 0,
        "bytes_down": 0,
        "epsilon_spent": 0.0,
        "epsilon_target": 8.0,
    }
    return RoundProgress(**(values | changes))  # type: ignore[arg-type]


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def lines_of(*events: RoundProgress) -> list[str]:
    output, clock = io.StringIO(), Clock()
    with LineDisplay(Console(file=output, width=40), clock=clock) as display:
        for one in events:
            clock.now += 1
            display.round(one)
    return output.getvalue().splitlines()


def test_an_unknown_step_is_refused() -> None:
    with pytest.raises(InvalidInput, match="step is 'dance'"):
        event(step="dance")


def test_a_quiet_round_takes_one_line() -> None:
    steps = [event(step=step, bytes_up=2_000_000, epsilon_spent=3.2) for step in STEPS]
    assert lines_of(*steps) == [
        "[   11.0 s] round 1 of 3 released: 8 of 8 sites, 2.0 MB up, 0 B down, ε 3.2 of 8 spent"
    ]


def test_each_dropout_abort_and_retry_takes_one_line() -> None:
    lost = {"dropped": ("site-3",), "sites_in": 7}
    told = lines_of(
        event(step="advertise", round=2),
        event(step="masked", round=2, **lost),
        event(step="survivors", round=2, **lost),
        event(step="survivors", round=2, message="aborted: secagg/least-survivors", **lost),
        event(step="survivors", round=2, message="aborted: secagg/least-survivors", **lost),
        event(step="advertise", round=2, attempt=2),
        event(step="keys", round=2, attempt=2),
        event(step="release", round=2, attempt=2),
    )
    assert [line.partition("] ")[2] for line in told] == [
        "round 2 of 3: lost site-3 by step 'masked'; 7 of 8 sites still in",
        "round 2 of 3: aborted: secagg/least-survivors",
        "round 2 of 3, attempt 2: starting over with new keys and new noise",
        "round 2 of 3, attempt 2 released: 8 of 8 sites, 0 B up, 0 B down, ε 0 of 8 spent",
    ]


def test_a_second_site_lost_is_named_alone() -> None:
    before = event(dropped=("a",), sites_in=7)
    (told,) = notices(before, event(dropped=("a", "b"), sites_in=6))
    assert "lost b by" in told.text
    assert not told.calm


def test_without_privacy_no_epsilon_is_named() -> None:
    (line,) = lines_of(event(step="release", epsilon_spent=None, epsilon_target=None))
    assert "ε" not in line


def test_the_time_left_assumes_rounds_alike() -> None:
    assert time_left(event(step="keys"), 5.0) is None
    half = event(round=2, step="sign")
    assert time_left(half, 30.0) == pytest.approx(30.0)
    assert time_left(event(round=3, step="evaluate"), 35.0) == pytest.approx(1.0)


def test_plain_lines_are_for_where_there_is_no_terminal() -> None:
    plain = Console(file=io.StringIO())
    terminal = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "xterm"})
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(open_display(plain), LineDisplay)
    assert isinstance(open_display(terminal), LiveDisplay)
    assert isinstance(open_display(dumb), LineDisplay)


def test_a_quiet_display_says_nothing() -> None:
    output = io.StringIO()
    with open_display(Console(file=output), quiet=True) as display:
        display.stage("reading the data")
        display.round(event(step="release", message="hello"))
    assert output.getvalue() == ""


def test_a_stage_takes_one_line() -> None:
    output = io.StringIO()
    with LineDisplay(Console(file=output), clock=Clock()) as display:
        display.stage("reading the data [bold]")
    assert output.getvalue() == "[    0.0 s] reading the data [bold]\n"


def test_the_live_display_shows_where_the_round_is() -> None:
    output, clock = io.StringIO(), Clock()
    console = Console(
        file=output, force_terminal=True, width=90, _environ={"TERM": "xterm"}, color_system=None
    )
    display = LiveDisplay(console, clock=clock)
    with display:
        display.stage("reading the data")
        clock.now += 2
        display.stage("training")
        display.round(event(step="advertise", round=2))
        clock.now += 10
        display.round(
            event(
                step="reveal",
                round=2,
                attempt=2,
                dropped=("site-3",),
                sites_in=7,
                bytes_up=3_400_000,
                epsilon_spent=4.0,
            )
        )
        display._live.refresh()
    shown = output.getvalue()
    for text in (
        "✓ reading the data  2.0 s",
        "2 of 3, attempt 2",
        "9 of 12",
        "the masks are lifted from the sum",
        "7 of 8 in",
        "lost: site-3",
        "ε 4 of 8 spent",
        "3.4 MB up",
        "12 s elapsed, about 8 s left",
        "! round 2 of 3, attempt 2: lost site-3 by step 'reveal'",
        "✓ training  10.0 s",
    ):
        assert text in shown


def test_a_failed_stage_gets_no_tick() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, _environ={"TERM": "xterm"})
    display = LiveDisplay(console, clock=Clock())
    display.__enter__()
    display.stage("training")
    display.__exit__(RuntimeError, RuntimeError(), None)
    assert "✓" not in output.getvalue()
