from types import SimpleNamespace

from recommons.common.wire import Envelope
from recommons.server.transport.line import Line
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
