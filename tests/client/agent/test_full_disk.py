"""A full disk does not end an agent: what cannot be noted does not leave, under a name."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flwr.app import ConfigRecord

from recommons.simulations.loopback import wait_until
from tests.client.agent.conftest import Coordinator, Stage
from tests.namespaces import SmallDisk, small_disk


@contextmanager
def agent_on(disk: SmallDisk, stage: Stage, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The installed agent on a copy of the stage's folder."""
    shutil.copytree(stage.folder, disk.folder, dirs_exist_ok=True)
    words = ("-m", "recommons.common.commandline", "site", "start", str(disk.folder))
    with log.open("wb") as told:
        agent = subprocess.Popen([*disk.within, sys.executable, *words], stderr=told)
    try:
        yield agent
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(30) == 0
    finally:
        agent.kill()
        agent.wait()


def ask(coordinator: Coordinator, payload: bytes) -> None:
    coordinator.send("train.join", ConfigRecord({"body": payload}))


def test_on_a_full_disk_nothing_leaves_and_the_agent_answers_when_there_is_room(
    stage: Stage, tmp_path: Path
) -> None:
    coordinator, log = stage.coordinator, tmp_path / "agent.log"
    with small_disk(tmp_path / "disk", 8) as disk, agent_on(disk, stage, log):
        ask(coordinator, b"before")
        assert coordinator.reply().has_content()
        assert "site/disk" not in log.read_text()
        with disk.filled():
            ask(coordinator, b"meanwhile")
            wait_until(lambda: '"message dropped", "code": "site/disk"' in log.read_text(), 20)
        ask(coordinator, b"after")
        assert coordinator.reply().has_content()
    assert not coordinator.replies
    assert coordinator.asked.count("pull-object") == 3
    assert coordinator.asked.count("activate-node") == 1


def test_an_agent_starts_on_a_full_disk(stage: Stage, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8) as disk:
        (disk.folder / "agent.lock").touch()  # of its first start, when there was room
        (disk.folder / "node.id").write_text("12\n")
        with agent_on(disk, stage, tmp_path / "agent.log"), disk.filled():
            wait_until(lambda: "pull-messages" in stage.coordinator.asked, 20)
            assert (disk.folder / "node.id").read_text() == "12\n"  # whole, if late
