"""What the pages say: charts, the sentence about now, refusals."""

from collections.abc import Iterable

from recommons.common.console.charts import Chart, Series
from recommons.common.console.refusals import Refused
from recommons.server.console.history import Attempt
from recommons.server.console.reading import Overview, RunSeen
from recommons.server.rounds.progress import STEPS

__all__ = ["charts_of", "now_sentence", "present_sites", "refusals_of"]

_MOST_POINTS = 200


def now_sentence(state: Overview) -> str:
    """What goes on now, for readers and for those who have it read to them."""
    if not state.federation:
        return "No site has been approved yet."
    if not state.runs:
        return "No run has begun yet."
    seen = state.runs[0]
    run = seen.run
    if seen.state == "finished":
        return f"No run is going on. Run {seen.name} finished."
    if seen.state != "running":
        verb = "failed" if seen.state == "failed" else f"is {seen.state}"
        return f"No run is going on. Run {seen.name} {verb}: {seen.code}."
    attempt = run.current
    if attempt is None:
        return f"Run {seen.name} is between attempts."
    where = f"Run {seen.name}, round {attempt.round} of {len(run.plan.rounds)}"
    doing = f": {STEPS.get(seen.current.step, seen.current.step)}" if seen.current else ""
    return f"{where}, attempt {attempt.attempt}{doing}."


def present_sites(seen: RunSeen) -> tuple[list[str], list[str]]:
    """(in, dropped) of the last attempt's cohort."""
    last = seen.run.attempts[-1] if seen.run.attempts else None
    out = set(last.missing) if last else set()
    if seen.current is not None:
        out |= set(seen.current.dropped)
    cohort = seen.run.plan.cohort
    return [s for s in cohort if s not in out], [s for s in cohort if s in out]


def charts_of(seen: RunSeen) -> list[Chart]:
    """ε, bytes and sites by attempt."""
    attempts = [a for a in seen.run.attempts if a.outcome != "open"][-_MOST_POINTS:]
    if not attempts:
        return []
    points = [_point(attempt) for attempt in attempts]
    charts = []
    if seen.run.reserved is not None:
        released = Series(
            name="released", unit="epsilon", values=[attempt.epsilon for attempt in attempts]
        )
        cap = Series(
            name="reserved by the plan",
            unit="epsilon",
            shape="level",
            values=[seen.run.reserved] * len(attempts),
        )
        title = "ε of everything released, after each attempt"
        charts.append(_chart("epsilon", title, points, [released, cap]))
    traffic = [seen.bytes_of(attempt) for attempt in attempts]
    if any(traffic):
        received = Series(
            name="received", unit="bytes", values=[None if t is None else t.up for t in traffic]
        )
        sent = Series(
            name="sent", unit="bytes", values=[None if t is None else t.down for t in traffic]
        )
        charts.append(_chart("bytes", "Bytes of each attempt, all sites", points, [received, sent]))
    return [*charts, _sites_chart(seen, attempts, points)]


def _sites_chart(seen: RunSeen, attempts: list[Attempt], points: list[str]) -> Chart:
    there = Series(
        name="sites in",
        unit="count",
        shape="bars",
        # Of an attempt that was given up before its certificate the ledger names no survivors.
        values=[None if a.survivors is None else float(len(a.survivors)) for a in attempts],
    )
    needed = Series(
        name="needed",
        unit="count",
        shape="level",
        values=[float(seen.run.plan.privacy.min_survivors)] * len(attempts),
    )
    return _chart("sites", "Sites in each attempt", points, [there, needed])


def _chart(name: str, title: str, points: list[str], series: list[Series]) -> Chart:
    return Chart(id=name, title=title, axis="Round", points=points, series=series)


def _point(attempt: Attempt) -> str:
    """``3`` for the first attempt at round 3, ``3.2`` for the second."""
    again = f".{attempt.attempt}" if attempt.attempt > 1 else ""
    return f"{attempt.round}{again}"


def refusals_of(state: Overview) -> list[Refused]:
    """Aborted attempts and runs that did not go on, the last first."""
    return sorted(
        (found for seen in state.runs for found in _of_run(seen)),
        key=lambda found: found.time,
        reverse=True,
    )


def _of_run(seen: RunSeen) -> Iterable[Refused]:
    for attempt in seen.run.attempts:
        if attempt.code is not None:
            missing = f"; missing: {', '.join(attempt.missing)}" if attempt.missing else ""
            yield Refused(
                time=attempt.ended,
                place=f"run {seen.name}, round {attempt.round}, attempt {attempt.attempt}",
                code=attempt.code,
                said=f"The attempt was given up{missing}.",
            )
    if seen.code is not None:
        last = seen.run.attempts[-1].ended if seen.run.attempts else ""
        yield Refused(
            time=seen.run.ended or last or seen.run.begun,
            place=f"run {seen.name}",
            code=seen.code,
            said="The run failed." if seen.state == "failed" else f"The run is {seen.state}.",
        )
    for refusal in seen.live.refusals if seen.live else ():
        site, _, code = refusal.partition(": ")
        yield Refused(
            time=seen.live.time if seen.live else "",
            place=f"run {seen.name}, {site}",
            code=code,
            said=f"{site} refused; nothing but the code left it.",
        )
