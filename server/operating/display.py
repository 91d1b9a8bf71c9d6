"""A run, watched: a live display on a terminal, plain lines anywhere else.

Everything goes to the console given, which is standard error's, so that ``--json`` leaves standard
output to the result alone. Plain lines are few: one for each stage and round, and one for each
dropout, abort and retry.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from recommons.server.operating.notices import (
    Notice,
    notices,
    part_done,
    spent_words,
    time_left,
    traffic_words,
)
from recommons.server.rounds.progress import STEPS, RoundProgress

__all__ = ["Display", "LineDisplay", "LiveDisplay", "open_display"]

Clock = Callable[[], float]

_ORDER = tuple(STEPS)


class Display(Protocol):
    """What a run tells its progress to; a context manager."""

    def stage(self, name: str) -> None:
        """A new stage begins, e.g. "reading the data"; the one before has ended."""
        ...

    def round(self, event: RoundProgress) -> None:
        """A step of a round has begun."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def open_display(
    console: Console, *, quiet: bool = False, clock: Clock = time.monotonic
) -> Display:
    """The display that suits a console: live on a terminal, lines elsewhere, or nothing.

    Args:
        console: Standard error's.
        quiet: Show nothing at all.
        clock: Seconds from any fixed instant.
    """
    if quiet:
        return LineDisplay(Console(quiet=True), clock=clock)
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveDisplay(console, clock=clock)
    return LineDisplay(console, clock=clock)


class _Watch:
    """Times and the last event: what both displays know."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start = clock()
        self._first_round: float | None = None
        self.stage_name = ""
        self.stage_start = self._start
        self.event: RoundProgress | None = None
        self.in_rounds = False

    @property
    def elapsed(self) -> float:
        return self._clock() - self._start

    @property
    def stage_seconds(self) -> float:
        return self._clock() - self.stage_start

    @property
    def left(self) -> float | None:
        if self.event is None or self._first_round is None:
            return None
        return time_left(self.event, self._clock() - self._first_round)

    def begin(self, stage: str) -> None:
        self.stage_name, self.stage_start = stage, self._clock()
        self.in_rounds = False

    def see(self, event: RoundProgress) -> list[Notice]:
        """Take in an event; returns its notices."""
        if self._first_round is None:
            self._first_round = self._clock()
        found = notices(self.event, event)
        self.event = event
        self.in_rounds = True
        return found


class LineDisplay:
    """Plain lines, each with the seconds since the start.

    Args:
        console: Where to write.
        clock: Seconds from any fixed instant.
    """

    def __init__(self, console: Console, *, clock: Clock = time.monotonic) -> None:
        self._console = console
        self._watch = _Watch(clock)

    def stage(self, name: str) -> None:
        """A line for the stage."""
        self._watch.begin(name)
        self._say(name)

    def round(self, event: RoundProgress) -> None:
        """A line for each notice of the event."""
        for notice in self._watch.see(event):
            self._say(notice.text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        return None

    def _say(self, line: str) -> None:
        text = f"[{self._watch.elapsed:7.1f} s] {line}"
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class LiveDisplay:
    """A small table that keeps itself up to date at the foot of the terminal.

    Finished stages and notices stay above it as lines.

    Args:
        console: A terminal.
        clock: Seconds from any fixed instant.
    """

    def __init__(self, console: Console, *, clock: Clock = time.monotonic) -> None:
        self._watch = _Watch(clock)
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(
            console=console, get_renderable=self._draw, refresh_per_second=8, transient=True
        )

    def stage(self, name: str) -> None:
        """End the stage before with a tick and its seconds, and begin this one."""
        self._finish_stage()
        self._watch.begin(name)

    def round(self, event: RoundProgress) -> None:
        """Show where the round is; dropouts, aborts and retries stay as lines."""
        for notice in self._watch.see(event):
            style = "dim" if notice.calm else "yellow"
            mark = "  • " if notice.calm else "  ! "
            self._live.console.print(Text(mark + notice.text, style=style))

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._finish_stage()
        self._live.__exit__(kind, error, trace)

    def _finish_stage(self) -> None:
        if self._watch.stage_name:
            line = Text("✓ ", style="green").append(self._watch.stage_name, style="default")
            line.append(f"  {self._watch.stage_seconds:.1f} s", style="dim")
            self._live.console.print(line)
            self._watch.begin("")

    def _draw(self) -> RenderableType:
        heading = Text(self._watch.stage_name or "starting")
        heading.append(f"  {self._watch.stage_seconds:.0f} s", style="dim")
        self._spinner.update(text=heading)
        if self._watch.event is None or not self._watch.in_rounds:
            return self._spinner
        return Group(self._spinner, _table(self._watch.event, self._watch))


def _table(event: RoundProgress, watch: _Watch) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", justify="right", min_width=9)
    grid.add_column(min_width=24)
    grid.add_column()
    attempt = f", attempt {event.attempt}" if event.attempt > 1 else ""
    left = watch.left
    ending = "" if left is None else f", about {left:.0f} s left"
    times = Text(f"{watch.elapsed:.0f} s elapsed{ending}", style="dim")
    grid.add_row("round", _bar(part_done(event)), f"{event.round} of {event.rounds}{attempt}")
    grid.add_row("step", f"{_ORDER.index(event.step) + 1} of {len(STEPS)}", STEPS[event.step])
    dropped = Text(f"lost: {', '.join(event.dropped)}", style="yellow") if event.dropped else ""
    grid.add_row("sites", f"{event.sites_in} of {event.sites_total} in", dropped)
    grid.add_row("privacy", _privacy_bar(event), spent_words(event))
    grid.add_row("traffic", traffic_words(event), times)
    return grid


def _bar(part: float) -> ProgressBar:
    return ProgressBar(
        total=1.0, completed=part, width=24, complete_style="cyan", finished_style="cyan"
    )


def _privacy_bar(event: RoundProgress) -> RenderableType:
    if event.epsilon_spent is None or not event.epsilon_target:
        return Text("no budget to spend", style="dim")
    return _bar(min(event.epsilon_spent / event.epsilon_target, 1.0))
