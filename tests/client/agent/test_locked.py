"""A database that another process holds is waited for; no agent dies of it."""

import json
import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.app.message import make_message
from flwr.app.metadata import Metadata
from flwr.clientapp import ClientApp
from flwr.supercore.task_identity import TaskIdentity

from recommons.client.agent import answering
from recommons.client.agent.agent import Agent
from recommons.client.agent.logs import JsonLines
from recommons.client.app import app as installed_app
from recommons.client.records import database
from recommons.client.records.database import DATABASE
from recommons.client.records.store import SiteStore
from recommons.common.errors import RecommonsError
from recommons.common.wire import Envelope
from recommons.simulations.loopback import wait_until
from tests.client.agent.conftest import Stage
from tests.client.seat import OWN, RUN, Seat


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try waits for a moment."""
    monkeypatch.setattr(database, "_BUSY_MILLISECONDS", 20)
    monkeypatch.setattr(answering, "_PAUSE_SECONDS", 0.02)


@contextmanager
def running(stage: Stage, app: ClientApp) -> Iterator[tuple[Agent, threading.Thread]]:
    agent = Agent(folder=stage.folder, app=app)
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        yield agent, thread
    finally:
        agent.stop.set()
        thread.join(20)
        assert not thread.is_alive()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Another process is in the midst of something long."""
    SiteStore(folder / DATABASE).close()
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


def record(message: Message) -> ConfigRecord:
    found = message.content["recommons"]
    assert isinstance(found, ConfigRecord)
    return found


def app_of(asked: list[str]) -> ClientApp:
    """For `join` an app that opens the site's database, as the installed one; for `sign` none."""
    app = ClientApp()

    def reply(message: Message, **fields: str) -> Message:
        return Message(RecordDict({"recommons": ConfigRecord(dict(fields))}), reply_to=message)

    @app.train("join")
    def join(message: Message, context: Context) -> Message:
        asked.append("join")
        try:
            SiteStore(Path(str(context.node_config["site-dir"])) / DATABASE).close()
        except RecommonsError as error:
            return reply(message, refusal=error.code)
        return reply(message, body="done")

    @app.train("sign")
    def sign(message: Message, _context: Context) -> Message:
        asked.append("sign")
        return reply(message, body="done")

    return app


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    return [line.get("code", "") for line in lines if line["event"] == event]


@pytest.mark.parametrize("kind", ["join", "sign"])
def test_an_answer_waits_until_the_other_process_is_done(
    stage: Stage, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """Whether it is the step that needs the database, or the note of the answer."""
    asked: list[str] = []
    with caplog.at_level(logging.INFO), running(stage, app_of(asked)):
        with held(stage.folder):
            stage.coordinator.send(f"train.{kind}", ConfigRecord({"body": b"x"}))
            wait_until(lambda: len(logged(caplog, "database locked")) > 2, 20)
            assert not stage.coordinator.replies
        assert record(stage.coordinator.reply())["body"] == "done"
    assert set(logged(caplog, "database locked")) == {"site/locked"}
    assert asked.count("sign") == (kind == "sign"), "what was answered is not computed again"
    assert stage.coordinator.asked.count("activate-node") == 1


def test_an_agent_that_is_told_to_leave_does_not_wait_for_the_other_process(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO),
        held(stage.folder),
        running(stage, app_of([])) as (agent, thread),
    ):
        stage.coordinator.send("train.sign", ConfigRecord({"body": b"x"}))
        wait_until(lambda: bool(logged(caplog, "database locked")), 20)
        agent.stop.set()
        thread.join(10)
        assert not thread.is_alive()
    assert logged(caplog, "message dropped") == ["site/locked"]
    assert logged(caplog, "stopped") == [""]
    assert not stage.coordinator.replies


def test_an_answer_that_nobody_waits_for_any_more_is_given_up_and_the_next_is_given(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with caplog.at_level(logging.INFO), running(stage, app_of([])):
        with held(stage.folder):
            monkeypatch.setattr("tests.client.agent.conftest.TTL", 0.1)
            stage.coordinator.send("train.sign", ConfigRecord({"body": b"x"}))
            wait_until(lambda: logged(caplog, "message dropped") == ["site/locked"], 20)
        stage.coordinator.send("train.sign", ConfigRecord({"body": b"y"}))
        assert record(stage.coordinator.reply())["body"] == "done"
    assert stage.coordinator.asked.count("activate-node") == 1


def test_the_installed_app_says_by_name_that_it_could_not_take_the_step(
    tmp_path: Path, tiny_data: Path
) -> None:
    folder = Seat.take(tmp_path / "run", tiny_data).found.sites[OWN]
    envelope = Envelope(run_id=RUN, exchange="join").to_bytes()
    asked = ConfigRecord({"envelope": envelope, "body": b""})
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1
    metadata = Metadata(
        run_id=1,
        message_id="m",
        src_node_id=1,
        dst_node_id=1,
        reply_to_message_id="",
        group_id="",
        created_at=0.0,
        ttl=60.0,
        message_type="train.join",
    )
    message = make_message(metadata=metadata, content=RecordDict({"recommons": asked}))
    context = Context(
        run_id=1,
        node_id=1,
        node_config={"site-dir": str(folder)},
        state=RecordDict(),
        run_config={},
    )
    with held(folder):
        assert dict(record(installed_app(message, context))) == {"refusal": "site/locked"}
