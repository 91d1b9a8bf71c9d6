"""Files that are there whole or as they were, and what is left where their writer was killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from recommons.common.durably import clear_unfinished, create_durably, write_durably

SECRET = b"a signing key"

KILLED = """
import os, signal, sys
from pathlib import Path
from recommons.common import durably

def killed(*_arguments):
    os.kill(os.getpid(), signal.SIGKILL)

durably.os.link = killed
Path.replace = killed
getattr(durably, sys.argv[1])(Path(sys.argv[2]), b"a signing key")
"""

AGENT = """
import sys
from pathlib import Path
from recommons.client.agent import agent, connection, start

class Agent:
    def __init__(self, **_settings):
        pass

    def run(self):
        print("runs")

agent.Agent, connection.connection_of = Agent, lambda folder: None
start.start_agent(Path(sys.argv[1]))
"""

COORDINATOR = """
import sys
from pathlib import Path
from types import SimpleNamespace
from recommons.server.operating import superlink

class Supervisor:
    def __init__(self, *_arguments, **_settings):
        pass

    def run(self, _ready):
        print("runs")

superlink.Supervisor, superlink.coordinator_children = Supervisor, lambda home: ()
superlink.start_coordinator(SimpleNamespace(folder=Path(sys.argv[1])))
"""


def ran(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=False
    )


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def left_behind(folder: Path, seconds: float) -> Path:
    found = folder / ".identity.key.0123abcd.new"
    found.parent.mkdir(parents=True, exist_ok=True)
    found.write_bytes(SECRET)
    age(found, seconds)
    return found


@pytest.mark.parametrize("writer", ["write_durably", "create_durably"])
def test_what_a_killed_writer_left_is_cleared_once_it_cannot_be_at_work(
    tmp_path: Path, writer: str
) -> None:
    path = tmp_path / "below" / "identity.key"
    path.parent.mkdir()
    assert ran(KILLED, writer, str(path)).returncode == -signal.SIGKILL
    (left,) = path.parent.iterdir()
    assert (left.name != path.name, left.read_bytes()) == (True, SECRET)
    clear_unfinished(tmp_path)
    assert left.exists()
    age(left, 3600)
    clear_unfinished(tmp_path)
    assert list(path.parent.iterdir()) == []


def test_only_unfinished_files_are_cleared(tmp_path: Path) -> None:
    write_durably(tmp_path / "a.key", SECRET)
    create_durably(tmp_path / "b.key", SECRET)
    names = (".a.new", "a.0123abcd.new", ".a.0123abcd.new.txt", ".a.0123abcg.new", ".a.0123ab.new")
    for name in names:
        (tmp_path / name).write_bytes(b"")
    (tmp_path / ".a.01234567.new").mkdir()
    before = sorted(tmp_path.iterdir())
    for path in before:
        age(path, 3600)
    left = left_behind(tmp_path, 30)
    clear_unfinished(tmp_path, older_than=60)
    assert sorted(tmp_path.iterdir()) == sorted([*before, left])
    clear_unfinished(tmp_path, older_than=10)
    assert sorted(tmp_path.iterdir()) == before
    clear_unfinished(tmp_path / "absent")


@pytest.mark.parametrize("script", [AGENT, COORDINATOR], ids=["agent", "coordinator"])
def test_agent_and_coordinator_clear_their_folders_when_they_start(
    tmp_path: Path, script: str
) -> None:
    old, young = left_behind(tmp_path, 3600), left_behind(tmp_path / "runs", 5)
    done = ran(script, str(tmp_path))
    assert (done.returncode, done.stdout) == (0, "runs\n"), done.stderr
    assert not old.exists()
    assert young.exists()
