"""What the pages say: charts, the sentence about now, totals by kind."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from recommons.client.console.history import Run
from recommons.client.console.reading import SiteSeen
from recommons.client.records.outbox import Outbound
from recommons.common.console.charts import Chart, Series

__all__ = ["KindTotals", "bytes_chart", "epsilon_chart", "kinds_of", "last_step", "now_sentence"]

_MOST_POINTS = 60

STEPS = {
    "join": "joined the run",
    "advertise": "sent its fresh keys",
    "shares": "sent the encrypted shares of its secrets",
    "masked": "sent its masked, noised vector",
    "sign": "signed the set of survivors",
    "reveal": "revealed its shares of the masks",
    "finish": "ended the run",
    "anchor": "kept the run’s last receipt",
}
"""What an answer of each kind meant, in words."""


@dataclass(frozen=True, kw_only=True)
class KindTotals:
    """Answers of one kind, among the latest.

    Attributes:
        kind: The message type.
        messages: How many.
        bytes: Their size together.
        largest: The largest one's size.
    """

    kind: str
    messages: int
    bytes: int
    largest: int


def kind_name(kind: str) -> str:
    """A message type without Flower's word for all of them."""
    return kind.removeprefix("train.")


def last_step(seen: SiteSeen) -> str:
    """What the last answer did, in words; empty where none is known."""
    for message in seen.messages:
        if message.code is None:
            return STEPS.get(kind_name(message.kind), "")
    return ""


def now_sentence(seen: SiteSeen) -> str:
    """What goes on now, for readers and for those who have it read to them."""
    if seen.status.halted:
        return "This site is halted: its folder lacks lines of its ledger. It answers nothing."
    if seen.status.earlier_ledger is not None:
        return (
            "This site takes no part: others hold a ledger that a site of its name had before, "
            "and its operator has not given it up."
        )
    if seen.status.paused is not None:
        return "This site is paused by its operator: it joins nothing and begins nothing."
    current = current_run(seen)
    agent = "" if seen.status.running else " Its agent does not run."
    if current is None:
        return f"No run is going on.{agent}"
    attempt = current.current
    where = f"Run {current.id[:8]}"
    if attempt is None:
        return f"{where} is between attempts.{agent}"
    place = f"round {attempt.round} of {len(current.plan.rounds)}, attempt {attempt.attempt}"
    step = last_step(seen)
    return f"{where}, {place}{f': this site {step}' if step else ''}.{agent}"


def current_run(seen: SiteSeen) -> Run | None:
    """The last run that has not ended here."""
    return next((run for run in reversed(seen.history.runs) if not run.ended), None)


def kinds_of(messages: Sequence[Outbound]) -> list[KindTotals]:
    """The latest answers by kind, the largest sum first."""
    sizes: dict[str, list[int]] = defaultdict(list)
    for message in messages:
        sizes[kind_name(message.kind)].append(message.bytes)
    found = [
        KindTotals(kind=kind, messages=len(each), bytes=sum(each), largest=max(each))
        for kind, each in sizes.items()
    ]
    return sorted(found, key=lambda totals: -totals.bytes)


def bytes_chart(messages: Sequence[Outbound]) -> Chart | None:
    """Sizes of the latest answers, the earliest first."""
    shown = list(reversed(messages[:_MOST_POINTS]))
    if not shown:
        return None
    sizes = Series(name="size", unit="bytes", shape="bars", values=[float(m.bytes) for m in shown])
    return Chart(
        id="sizes",
        title=f"Sizes of the last {len(shown)} messages that left",
        axis="Message",
        points=[str(message.number) for message in shown],
        series=[sizes],
    )


def epsilon_chart(seen: SiteSeen) -> Chart | None:
    """ε of everything that left, after each attempt of the last run."""
    run = seen.history.runs[-1] if seen.history.runs else None
    if run is None or run.reserved is None:
        return None
    sent = [attempt for attempt in run.attempts if attempt.spent][-_MOST_POINTS:]
    if not sent:
        return None
    left = Series(name="released", unit="epsilon", values=[attempt.epsilon for attempt in sent])
    reserved = _level("reserved by the plan", run.reserved, len(sent))
    return Chart(
        id="epsilon",
        title=f"ε of everything that left in run {run.id[:8]}, after each attempt",
        axis="Round",
        points=[f"{a.round}.{a.attempt}" if a.attempt > 1 else str(a.round) for a in sent],
        series=[left, reserved],
    )


def _level(name: str, value: float, points: int) -> Series:
    shown = None if math.isinf(value) else value
    return Series(name=name, unit="epsilon", shape="level", values=[shown] * points)
