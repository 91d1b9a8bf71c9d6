import hashlib
import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.cli.build import build_fab_from_files
from flwr.clientapp import ClientApp

from recommons.client.agent.agent import Agent
from recommons.client.agent.connection import Connection
from recommons.client.agent.credentials import read_node_key, signing_request, tls_context
from recommons.client.agent.link import FleetLink, LinkError
from recommons.client.agent.logs import JsonLines
from recommons.client.agent.pace import Backoff, Pace
from recommons.client.commands import site as site_commands
from recommons.client.operating.metrics import SiteMetrics
from recommons.common.bundle import BUNDLE_FILES, BUNDLE_HASH
from recommons.common.errors import InvalidInput
from recommons.server.certificates.authority import Authority
from recommons.simulations.loopback import wait_until
from tests.client.agent.conftest import NODE, Stage

USER = "user-1234"
NEEDED = {
    "activate-node",
    "deactivate-node",
    "send-node-heartbeat",
    "pull-messages",
    "push-messages",
    "get-run",
    "pull-object",
    "push-object",
}


def echo() -> tuple[ClientApp, list[Context]]:
    """An app that answers two of Recommons' exchanges and one that is none."""
    app, seen = ClientApp(), []

    @app.train("join")
    @app.train("other")
    def join(message: Message, context: Context) -> Message:
        seen.append(context)
        record = message.content["recommons"]
        assert isinstance(record, ConfigRecord)
        back = ConfigRecord({"body": b"re: " + bytes(record["body"])})  # type: ignore[arg-type]
        return Message(RecordDict({"recommons": back}), reply_to=message)

    @app.train("masked")
    def masked(_message: Message, _context: Context) -> Message:
        raise ValueError(f"the record of {USER} is odd")

    @app.train("sign")
    def sign(_message: Message, _context: Context) -> Message:
        raise SystemExit(3)

    return app, seen


@contextmanager
def running(stage: Stage, app: ClientApp) -> Iterator[Agent]:
    agent = Agent(folder=stage.folder, app=app)
    thread = threading.Thread(target=agent.run)
    thread.start()
    try:
        yield agent
    finally:
        agent.stop.set()
        thread.join(20)
        assert not thread.is_alive()


def body(message: Message) -> object:
    record = message.content["recommons"]
    assert isinstance(record, ConfigRecord)
    return record["body"]


def test_a_message_is_answered_by_the_installed_app(stage: Stage) -> None:
    app, seen = echo()
    big = bytes(range(256)) * 20_000
    with running(stage, app):
        for payload in (b"hello", big):
            stage.coordinator.send("train.join", ConfigRecord({"body": payload}))
            assert body(stage.coordinator.reply()) == b"re: " + payload
    assert [c.node_config for c in seen] == [{"site-dir": str(stage.folder)}] * 2
    asked = stage.coordinator.asked
    assert set(asked) <= NEEDED  # nothing is registered, and no bundle fetched
    assert (asked[0], asked[-1]) == ("activate-node", "deactivate-node")
    assert asked.count("get-run") == 1


def test_a_hostile_bundle_is_refused_and_logged_and_nothing_of_it_fetched(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    app, seen = echo()
    stage.coordinator.bundle = "66" * 32
    with caplog.at_level(logging.INFO), running(stage, app):
        stage.coordinator.send("train.join", ConfigRecord({"body": b"x"}))
        reply = stage.coordinator.reply()
    assert reply.has_error()
    assert reply.error.reason == "agent/bundle"
    assert not seen
    assert "get-fab" not in stage.coordinator.asked
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    refused = next(line for line in lines if line["event"] == "bundle refused")
    assert (refused["level"], refused["bundle"]) == ("warning", "66" * 32)


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")  # of flwr's own
def test_the_known_bundle_is_the_one_that_flower_builds_and_holds_no_code() -> None:
    content, _ = build_fab_from_files(dict(BUNDLE_FILES))
    assert hashlib.sha256(content).hexdigest() == BUNDLE_HASH
    assert sorted(BUNDLE_FILES) == ["README.md", "pyproject.toml"]


@pytest.mark.parametrize("kind", ["train.other", "train", "query.join", "evaluate.join", "system"])
def test_only_the_exchanges_of_recommons_are_answered(stage: Stage, kind: str) -> None:
    app, seen = echo()
    with running(stage, app):
        stage.coordinator.send(kind, ConfigRecord({"body": b"x"}))
        assert stage.coordinator.reply().error.reason == "agent/message-type"
    assert not seen


def test_of_a_fault_only_its_type_leaves_the_site(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    app, _ = echo()
    with caplog.at_level(logging.DEBUG), running(stage, app):
        for kind, reason in (("train.masked", "ValueError"), ("train.sign", "SystemExit")):
            stage.coordinator.send(kind, ConfigRecord({"body": b"x"}))
            reply = stage.coordinator.reply()
            assert reply.error.reason == reason
        stage.coordinator.send("train.join", ConfigRecord({"body": b"still here"}))
        assert body(stage.coordinator.reply()) == b"re: still here"
    ours = [r for r in caplog.records if r.name.startswith("recommons.client.agent")]
    assert ours
    assert not any(USER in JsonLines().format(record) for record in ours)


def test_how_long_a_sites_users_took_is_neither_logged_nor_a_metric(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    app, _ = echo()
    with caplog.at_level(logging.INFO), running(stage, app):
        for kind in ("train.join", "train.masked"):
            stage.coordinator.send(kind, ConfigRecord({"body": b"x"}))
            stage.coordinator.reply()
    metrics = SiteMetrics(stage.folder)
    answered = {}
    for record in caplog.records:
        metrics.emit(record)
        line = json.loads(JsonLines().format(record))
        if line["event"] == "answered":
            answered[line["kind"]] = line
    assert "seconds_computing" in answered["train.join"]
    assert "seconds_computing" not in answered["train.masked"]
    assert "seconds_fetching" in answered["train.masked"]
    name = "recommons_site_message_seconds_count"
    for kind, part, count in (
        ("train.join", "computing", 1),
        ("train.masked", "sending", 1),
        ("train.masked", "computing", None),
    ):
        assert metrics.registry.get_sample_value(name, {"kind": kind, "part": part}) == count


def test_an_object_other_than_announced_is_dropped(stage: Stage) -> None:
    app, seen = echo()
    stage.coordinator.spoil = b"first"
    with running(stage, app):
        stage.coordinator.send("train.join", ConfigRecord({"body": b"first"}))
        stage.coordinator.send("train.join", ConfigRecord({"body": b"second"}))
        assert body(stage.coordinator.reply()) == b"re: second"
    assert len(seen) == 1


def test_a_lease_of_a_killed_agent_is_ended_and_not_waited_for(stage: Stage) -> None:
    app, _ = echo()
    (stage.folder / "node.id").write_text(f"{NODE}\n")
    stage.coordinator.leases = 1
    with running(stage, app):
        stage.coordinator.send("train.join", ConfigRecord({"body": b"x"}))
        stage.coordinator.reply()
    assert stage.coordinator.asked[:3] == ["activate-node", "deactivate-node", "activate-node"]


def test_a_lease_that_cannot_be_ended_is_waited_for(stage: Stage) -> None:
    app, _ = echo()
    stage.coordinator.leases = 2
    with running(stage, app):
        stage.coordinator.send("train.join", ConfigRecord({"body": b"x"}))
        stage.coordinator.reply()
    assert stage.coordinator.asked[:3] == ["activate-node"] * 3


def link(stage: Stage) -> FleetLink:
    address = Connection.read(stage.folder).address
    return FleetLink(address, read_node_key(stage.folder), tls_context(stage.folder), seconds=5)


def test_a_redirect_is_not_followed(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.5)
        stage.coordinator.redirect = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/"
        opened = link(stage)
        with pytest.raises(LinkError):
            opened.activate(10.0)
        opened.close()
        with pytest.raises(TimeoutError):
            elsewhere.accept()


def test_another_authoritys_coordinator_is_not_believed(stage: Stage) -> None:
    stranger = Authority.create("fruit", now=datetime.now(UTC))
    (stage.folder / "authority.pem").write_bytes(stranger.credentials().certificate)
    opened = link(stage)
    with pytest.raises(LinkError) as lost:
        opened.activate(10.0)
    opened.close()
    assert lost.value.code == "agent/tls"
    assert not stage.coordinator.asked


@pytest.mark.parametrize(
    ("days", "own", "reason"),
    [(-3000, True, "ended on"), (0, False, "not of the authority"), (3000, True, "begins on")],
)
def test_a_bad_certificate_of_its_own_is_named_by_the_agent(
    stage: Stage, caplog: pytest.LogCaptureFixture, days: int, own: bool, reason: str
) -> None:
    now = datetime.now(UTC)
    authority = stage.authority if own else Authority.create("fruit", now=now)
    request = signing_request(read_node_key(stage.folder), "plum")
    then = now + timedelta(days=days)
    made = authority.issue_site("fruit", "plum", request, now=then)
    (stage.folder / "node.pem").write_bytes(made)
    app, _ = echo()
    with caplog.at_level(logging.INFO), running(stage, app):
        wait_until(lambda: "line lost" in caplog.messages)
    (lost, *_) = [r for r in caplog.records if r.getMessage() == "line lost"]
    fields = getattr(lost, "fields", {})
    assert fields["code"] == "agent/tls"
    assert reason in fields["reason"]
    assert not stage.coordinator.asked


def test_the_line_goes_through_a_proxy_where_one_is_set(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        thread = threading.Thread(target=_tunnel, args=(proxy, seen))
        thread.start()
        opened = link(stage)
        assert opened.activate(10.0) == NODE
        opened.close()
        thread.join(10)
    assert seen[0].startswith(f"CONNECT 127.0.0.1:{stage.port} ".encode())


def _tunnel(proxy: socket.socket, seen: list[bytes]) -> None:
    """One CONNECT, then bytes both ways until either side closes."""
    inner, _ = proxy.accept()
    head = b""
    while b"\r\n\r\n" not in head:
        head += inner.recv(4096)
    seen.append(head)
    host, port = head.split()[1].decode().rsplit(":", 1)
    outer = socket.create_connection((host, int(port)))
    inner.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    back = threading.Thread(target=_copy, args=(outer, inner))
    back.start()
    _copy(inner, outer)
    back.join()
    inner.close()
    outer.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side is done


def test_one_folder_has_one_agent(stage: Stage) -> None:
    app, _ = echo()
    with running(stage, app):
        stage.coordinator.send("train.join", ConfigRecord({"body": b"x"}))
        stage.coordinator.reply()
        with pytest.raises(InvalidInput) as refused:
            Agent(folder=stage.folder, app=app).run()
    assert refused.value.code == "agent/running"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("connection.toml", None, "agent/connection"),
        ("connection.toml", "address = 3", "agent/connection"),
        ("connection.toml", 'address = "https://x:1/"', "agent/connection"),
        ("connection.toml", "address = ", "agent/connection"),
        ("node.key", "not a key", "agent/credentials"),
        ("node.key", None, "agent/credentials"),
        ("node.pem", None, "agent/credentials"),
        ("authority.pem", "", "agent/credentials"),
    ],
)
def test_a_folder_that_is_not_enrolled_is_refused_by_name(
    stage: Stage, name: str, content: str | None, code: str
) -> None:
    if content is None:
        (stage.folder / name).unlink()
    else:
        (stage.folder / name).write_text(content)
    with pytest.raises(InvalidInput) as refused:
        Agent(folder=stage.folder, app=echo()[0]).run()
    assert refused.value.code == code


def test_pauses_grow_with_the_time_since_something_happened() -> None:
    pace = Pace(shortest=0.02, longest=1.0, since=100.0)
    assert [pace.pause(100.0 + t) for t in (0.0, 0.1, 1.0, 5.0, 100.0)] == pytest.approx(
        [0.02, 0.02, 0.1, 0.5, 1.0]
    )
    pace.happened(200.0)
    assert pace.pause(200.0) == 0.02


def test_pauses_after_failures_double_up_to_a_bound_and_differ() -> None:
    pauses = [[b.failed() for _ in range(12)] for b in (Backoff(), Backoff())]
    for number, (one, other) in enumerate(zip(*pauses, strict=True)):
        bound = min(30.0, 0.5 * 2**number)
        assert bound / 2 < one <= bound
        assert bound / 2 < other <= bound
    assert pauses[0] != pauses[1]
    again = Backoff(failures=9)
    again.succeeded()
    assert again.failed() <= 0.5


def test_the_command_names_its_folder() -> None:
    assert "start" in {command.name for command in site_commands.registered_commands}


def test_the_fresh_connection_file_is_read_back(tmp_path: Path) -> None:
    written = Connection(address="coordinator.example:9443")
    written.write(tmp_path)
    assert Connection.read(tmp_path) == written
