import itertools
from types import SimpleNamespace

import pytest
from flwr.supercore.task_identity import TaskIdentity

from recommons.common.wire import Envelope
from recommons.server.transport import line as line_module
from recommons.server.transport.line import Line, Silent
from recommons.server.transport.wakeups import Wakeups


def test_asking_nobody_sends_nothing() -> None:
    """Flower refuses a push without messages, as when a run's end is told and no site is there."""
    line = Line(
        grid=SimpleNamespace(),  # type: ignore[arg-type]
        mail=SimpleNamespace(),
        wakeups=Wakeups.of_nobody(),
        hurried=lambda: False,
    )
    envelope = Envelope(run_id=b"r" * 16, exchange="join")
    assert line.exchange(envelope, {}, deadline_seconds=1.0) == {}


@pytest.mark.parametrize(("hurried", "seconds"), [(False, 600), (True, 100)])
def test_an_operator_who_is_in_a_hurry_while_last_words_are_waited_for_is_heard(
    monkeypatch: pytest.MonkeyPatch, hurried: bool, seconds: int
) -> None:
    """A hundred seconds on it is too late for the thirty that they are given in a hurry."""
    clock = itertools.count()
    monkeypatch.setattr(line_module, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    for part in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(TaskIdentity, part, 1)
    closed: list[list[str]] = []
    line = Line(
        grid=SimpleNamespace(),  # type: ignore[arg-type]
        mail=SimpleNamespace(
            push=lambda messages: [str(k) for k, _ in enumerate(messages)],
            pull=lambda _sent: {},
            close=closed.append,
            pause_seconds=0.0,
        ),
        wakeups=Wakeups.of_nobody(),
        hurried=lambda: hurried and next(clock) > 98,
    )
    envelope = Envelope(run_id=b"r" * 16, exchange="finish")
    outcomes = line.exchange(envelope, {7: b""}, deadline_seconds=600.0)
    assert outcomes == {7: Silent(reason="deadline passed")}
    assert closed == [["0"]]
    assert seconds <= next(clock) < seconds + 10
