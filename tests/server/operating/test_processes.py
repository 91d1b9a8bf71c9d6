import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recommons.server.operating.processes import Child, Supervisor


def child(tmp_path: Path, name: str, program: str) -> Child:
    return Child(
        name=name,
        command=[sys.executable, "-c", program],
        environment={"MARK": str(tmp_path / name)},
        log=tmp_path / f"{name}.log",
    )


COUNTS = "import os; open(os.environ['MARK'], 'a').write('x')"
STAYS = COUNTS + "; import time; time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + STAYS


def wait_for(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def times(tmp_path: Path, name: str) -> int:
    path = tmp_path / name
    return len(path.read_text()) if path.exists() else 0


def test_a_child_that_ends_is_started_again_and_others_are_left_alone(tmp_path: Path) -> None:
    ends, stays = child(tmp_path, "ends", COUNTS), child(tmp_path, "stays", STAYS)
    supervisor = Supervisor([ends, stays])
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        wait_for(lambda: times(tmp_path, "ends") >= 3)
    finally:
        supervisor.stop.set()
        thread.join(30)
    assert times(tmp_path, "stays") == 1
    assert ends.ended()
    assert stays.ended()


def test_a_child_that_will_not_end_is_killed(tmp_path: Path) -> None:
    stubborn = child(tmp_path, "stubborn", STUBBORN)
    supervisor = Supervisor([stubborn], stop_seconds=0.5)
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    wait_for(lambda: times(tmp_path, "stubborn") == 1)
    supervisor.stop.set()
    thread.join(30)
    assert stubborn.process is not None
    assert stubborn.process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")
def test_children_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; "
        "from recommons.server.operating.processes import Child, Supervisor; "
        f"Supervisor([Child(name='c', command=[sys.executable, '-c', {STAYS!r}], "
        "environment={'MARK': sys.argv[1]}, log=Path(sys.argv[1] + '.log'))]).run()"
    )
    mark = tmp_path / "mark"
    with subprocess.Popen([sys.executable, "-c", program, str(mark)]) as parent:
        wait_for(mark.exists)
        listed = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text()
        (orphan,) = (int(pid) for pid in listed.split())
        parent.kill()
    wait_for(lambda: not _alive(orphan))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
