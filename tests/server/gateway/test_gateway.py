import socket
import ssl
import threading
import time
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    PullMessagesRequest,
    PullMessagesResponse,
    PushMessagesRequest,
    PushMessagesResponse,
)
from flwr.proto.message_pb2 import (
    Message,
    Metadata,
    ObjectTree,
    PullObjectRequest,
    PullObjectResponse,
    PushObjectRequest,
)
from flwr.proto.node_pb2 import Node
from flwr.proto.run_pb2 import GetRunRequest, GetRunResponse, Run

from recommons.client.agent.credentials import read_node_key, signing_request
from recommons.common.errors import InvalidInput
from recommons.server.certificates.authority import Authority, key_fingerprint
from recommons.server.gateway import Members, SuperLink
from recommons.server.gateway.calls import CALLS
from recommons.server.gateway.denial import Denial
from recommons.server.gateway.limits import Allowance, Limits
from recommons.server.gateway.members import write_members
from tests.server.gateway.conftest import FEDERATION, LIMITS, Door

PULL = "/v1/fleet/pull-messages"
PUSH = "/v1/fleet/push-messages"
PUSH_OBJECT = "/v1/fleet/push-object"
PULL_OBJECT = "/v1/fleet/pull-object"
GET_RUN = "/v1/fleet/get-run"
PLUM, PEAR = 11, 22
ASKED, OTHER, REPLY = "a5" * 32, "b6" * 32, "e7" * 32


def node_key(home: Path) -> bytes:
    key = read_node_key(home).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def headers(home: Path) -> dict[str, str]:
    return {
        "flwr-public-key": b64encode(node_key(home)).decode(),
        "flwr-signature": "c2ln",
        "flwr-timestamp": datetime.now(UTC).isoformat(),
        "content-type": "application/protobuf",
    }


def call(door: Door, home: Path, path: str, body: bytes, **changed: str) -> httpx.Response:
    with door.client(home) as client:
        return client.post(path, content=body, headers=headers(home) | changed)


def pull(door: Door, home: Path, node: int) -> httpx.Response:
    return call(door, home, PULL, PullMessagesRequest(node=Node(node_id=node)).SerializeToString())


def code(response: httpx.Response) -> str:
    return str(response.json()["code"])


def deliver(door: Door, home: Path, node: int, message: str = ASKED, run: int = 7) -> None:
    """Let the stand-in hand a message to a site."""
    metadata = Metadata(run_id=run, message_id=message, src_node_id=1, dst_node_id=node)
    tree = ObjectTree(object_id=message)
    answer = PullMessagesResponse(
        messages_list=[Message(metadata=metadata)], message_object_trees=[tree]
    )
    door.upstream.answers[PULL] = answer.SerializeToString()
    response = pull(door, home, node)
    assert response.status_code == 200
    assert PullMessagesResponse.FromString(response.content) == answer
    door.upstream.answers.clear()


def reply(
    node: int, to: str = ASKED, run: int = 7, *, source: int | None = None, destination: int = 1
) -> PushMessagesRequest:
    metadata = Metadata(
        run_id=run,
        message_id=REPLY,
        src_node_id=node if source is None else source,
        dst_node_id=destination,
        reply_to_message_id=to,
    )
    return PushMessagesRequest(
        node=Node(node_id=node),
        messages_list=[Message(metadata=metadata)],
        message_object_trees=[ObjectTree(object_id=REPLY)],
    )


def test_a_members_call_goes_on_with_flowers_headers_alone(door: Door) -> None:
    plum = door.admit("plum")
    body = PullMessagesRequest(node=Node(node_id=PLUM)).SerializeToString()
    wanted = headers(plum)
    others = {"cookie": "a=b", "authorization": "x", "host": "elsewhere"}
    response = call(door, plum, PULL, body, **wanted, **others)
    assert response.status_code == 200
    ((path, sent, received),) = door.upstream.asked
    assert (path, received) == (PULL, body)
    assert {name: sent[name] for name in wanted} == wanted
    assert not {"cookie", "authorization"} & set(sent)
    assert sent["host"].startswith("127.0.0.1")


UNREACHABLE = [
    "/v1/fleet/register-node",
    "/v1/fleet/unregister-node",
    "/v1/fleet/get-fab",
    "/v1/fleet/confirm-message-received",
    "/v1/control/start-run",
    "/v1/control/stop-run",
    "/v1/control/register-node",
    "/v1/control/unregister-node",
    "/v1/control/stream-logs",
    "/v1/runtime/acquire-task",
    "/v1/runtime/push-messages",
    "/v1/runtime/pull-object",
    "/health",
    "/docs",
    "/openapi.json",
    "/",
    "*",
    "/v1/fleet/pull-messages/",
    "//v1/fleet/pull-messages",
    "/v1//fleet/pull-messages",
    "/v1/fleet//pull-messages",
    "/v1/fleet/./pull-messages",
    "/v1/fleet/../fleet/pull-messages",
    "/v1/fleet/../control/start-run",
    "/v1/fleet/%2e%2e/control/start-run",
    "/v1/fleet/pull%2Dmessages",
    "/v1/fleet%2fpull-messages",
    "/%76%31/fleet/pull-messages",
    "/v1/fleet/pull-messages%00",
    "/v1/fleet/pull-messages;x=1",
    "/v1/fleet/pull-messages?x=1",
    "/V1/fleet/pull-messages",
    "/v1/fleet/pull-messages\\..\\..\\control\\start-run",
    "/v1/control/start-run#/v1/fleet/pull-messages",
]


def test_nothing_else_is_reached_by_any_spelling(door: Door) -> None:
    plum = door.admit("plum")
    for path in UNREACHABLE:
        status, told = raw(door, plum, f"POST {path} HTTP/1.1")
        assert status in {b"404", b"400"}, path
        assert status == b"400" or b"gateway/no-such-call" in told, path
        assert not door.upstream.asked, path


def raw(door: Door, home: Path, line: str) -> tuple[bytes, bytes]:
    """Send a request as it is written here, past any client's own tidying."""
    lines = [line, "host: x", "content-length: 0", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers(home).items()]
    with (
        socket.create_connection(("127.0.0.1", door.port)) as plain,
        door.context(home).wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        tls.settimeout(5)
        found = b"".join(iter(lambda: tls.recv(65536), b""))
    return found.split(b" ")[1], found


def test_the_raw_request_itself_is_sound(door: Door) -> None:
    """The companion of the test above: the same bytes with a right path do get through."""
    status, _ = raw(door, door.admit("plum"), f"POST {PULL} HTTP/1.1")
    assert status == b"200"
    assert len(door.upstream.asked) == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS", "CONNECT"])
def test_no_other_method_is_answered(door: Door, method: str) -> None:
    status, _ = raw(door, door.admit("plum"), f"{method} {PULL} HTTP/1.1")
    assert status in {b"404", b"400"}
    assert not door.upstream.asked


def test_an_absolute_address_does_not_lead_elsewhere(door: Door) -> None:
    plum = door.admit("plum")
    status, _ = raw(door, plum, "POST http://127.0.0.1:1/v1/control/start-run HTTP/1.1")
    assert status == b"404"
    assert not door.upstream.asked


def test_two_requests_in_one_body_are_not_both_served(door: Door) -> None:
    """A body's length is read one way: what hides behind both headers goes nowhere."""
    plum = door.admit("plum")
    hidden = "POST /v1/control/start-run HTTP/1.1\r\nhost: x\r\n\r\n"
    lines = f"POST {PULL} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(hidden)}\r\n"
    lines += "transfer-encoding: chunked\r\n\r\n0\r\n\r\n" + hidden
    with (
        socket.create_connection(("127.0.0.1", door.port)) as plain,
        door.context(plum).wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall(lines.encode())
        tls.settimeout(5)
        assert tls.recv(65536).split(b" ")[1] == b"400"
    assert not door.upstream.asked


def refused_by_tls(door: Door, context: ssl.SSLContext) -> bool:
    """Whether a connection with this context ends before any answer."""
    with socket.create_connection(("127.0.0.1", door.port)) as plain:
        plain.settimeout(5)
        try:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                tls.sendall(f"POST {PULL} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
                return tls.recv(1024) == b""  # TLS 1.3 tells a client only when it reads
        except (ssl.SSLError, ConnectionError):
            return True


def test_without_a_certificate_nobody_is_heard(door: Door) -> None:
    assert refused_by_tls(door, door.context(None))


def test_a_certificate_of_another_authority_is_not_heard(door: Door) -> None:
    stranger = Authority.create(FEDERATION, now=datetime.now(UTC))
    assert refused_by_tls(door, door.context(door.admit("plum", by=stranger)))


def test_an_expired_certificate_is_not_heard_and_a_future_one_neither(door: Door) -> None:
    old = datetime.now(UTC) - timedelta(days=40)
    assert refused_by_tls(door, door.context(door.admit("plum", now=old, days=30)))
    ahead = datetime.now(UTC) + timedelta(days=2)
    assert refused_by_tls(door, door.context(door.admit("pear", now=ahead)))
    assert not refused_by_tls(door, door.context(door.admit("fig")))


def test_a_certificate_that_expires_on_an_open_line_is_turned_away(door: Door) -> None:
    plum = door.admit("plum")
    members = Members(door.folder / "sites.json", FEDERATION)
    (valid,) = x509.load_pem_x509_certificates((plum / "node.pem").read_bytes())[:1]
    assert members.admit(valid.public_bytes(Encoding.DER)).site == "plum"
    old = door.authority.issue_site(
        FEDERATION,
        "plum",
        signing_request(read_node_key(plum), "plum"),
        now=datetime.now(UTC) - timedelta(days=40),
        days=30,
    )
    (expired,) = x509.load_pem_x509_certificates(old)[:1]
    with pytest.raises(Denial, match="not a present member's"):
        members.admit(expired.public_bytes(Encoding.DER))


def test_a_servers_certificate_does_not_open_the_door(door: Door) -> None:
    context = door.context(None)
    context.load_cert_chain(door.folder / "link.pem", door.folder / "link.key")
    assert refused_by_tls(door, context)


def test_older_tls_is_not_spoken(door: Door) -> None:
    context = door.context(door.admit("plum"))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert refused_by_tls(door, context)


def test_a_site_off_the_list_is_turned_away_at_once(door: Door) -> None:
    plum = door.admit("plum")
    with door.client(plum) as client:
        body = PullMessagesRequest().SerializeToString()
        assert client.post(PULL, content=body, headers=headers(plum)).status_code == 200
        write_members(door.folder / "sites.json", {})
        response = client.post(PULL, content=body, headers=headers(plum))
    assert (response.status_code, code(response)) == (403, "gateway/not-a-member")
    assert len(door.upstream.asked) == 1


def test_a_site_never_listed_or_with_an_earlier_key_is_turned_away(door: Door) -> None:
    unlisted = door.admit("plum", listed=False)
    assert code(pull(door, unlisted, PLUM)) == "gateway/not-a-member"
    renewed = door.admit("pear")
    door.list("pear", key_fingerprint(read_node_key(unlisted).public_key()))
    assert code(pull(door, renewed, PEAR)) == "gateway/not-a-member"
    (door.folder / "sites.json").write_text("{broken")
    assert code(pull(door, renewed, PEAR)) == "gateway/not-a-member"
    assert not door.upstream.asked


def test_a_certificate_opens_its_own_node_alone(door: Door) -> None:
    plum, pear = door.admit("plum"), door.admit("pear")
    foreign = headers(pear)["flwr-public-key"]
    body = PullMessagesRequest(node=Node(node_id=PEAR)).SerializeToString()
    response = call(door, plum, PULL, body, **{"flwr-public-key": foreign})
    assert (response.status_code, code(response)) == (403, "gateway/other-node")
    activate = "/v1/fleet/activate-node"
    other = ActivateNodeRequest(public_key=node_key(pear)).SerializeToString()
    assert code(call(door, plum, activate, other)) == "gateway/other-node"
    own = ActivateNodeRequest(public_key=node_key(plum)).SerializeToString()
    assert call(door, plum, activate, own).status_code == 200
    assert [path for path, _, _ in door.upstream.asked] == [activate]


def test_headers_that_stand_twice_or_not_at_all_are_refused(door: Door) -> None:
    plum = door.admit("plum")
    pairs = list(headers(plum).items())
    with door.client(plum) as client:
        twice = client.post(PULL, content=b"", headers=[*pairs, ("flwr-timestamp", "now")])
        missing = client.post(PULL, content=b"", headers=pairs[:2])
    assert [code(r) for r in (twice, missing)] == ["gateway/malformed"] * 2
    assert not door.upstream.asked


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (4, "passed"),
        (6, "gateway/clock"),
        (3600, "gateway/clock"),
        (-300, "passed"),
        (-310, "gateway/clock"),
        (-3600, "gateway/clock"),
    ],
)
def test_a_clock_that_flower_would_refuse_is_refused_by_name(
    door: Door, seconds: int, expected: str
) -> None:
    plum = door.admit("plum")
    body = ActivateNodeRequest(public_key=node_key(plum)).SerializeToString()
    told = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    answer = call(door, plum, "/v1/fleet/activate-node", body, **{"flwr-timestamp": told})
    assert (code(answer) if answer.status_code == 401 else "passed") == expected
    assert bool(door.upstream.asked) == (expected == "passed")


@pytest.mark.parametrize("told", ["", "now", "2026-05-01T12:00:00", "9999-99-99T00:00:00+00:00"])
def test_a_time_that_is_none_is_refused(door: Door, told: str) -> None:
    plum = door.admit("plum")
    answer = call(door, plum, PULL, b"", **{"flwr-timestamp": told})
    assert (answer.status_code, code(answer)) == (400, "gateway/malformed")


def test_a_site_reads_only_what_was_delivered_to_it(door: Door) -> None:
    plum, pear = door.admit("plum"), door.admit("pear")
    door.depot.send(PLUM, ASKED, b"for plum alone")
    deliver(door, plum, PLUM)
    door.upstream.asked.clear()
    wanted: list[tuple[str, Any]] = [
        (PULL_OBJECT, PullObjectRequest(node=Node(node_id=PEAR), run_id=7, object_id=ASKED)),
        (GET_RUN, GetRunRequest(node=Node(node_id=PEAR), run_id=7)),
    ]
    for path, request in wanted:
        response = call(door, pear, path, request.SerializeToString())
        assert (response.status_code, code(response)) == (403, "gateway/not-yours"), path
        assert b"plum" not in response.content
    assert not door.upstream.asked
    assert door.depot.sent(PLUM, ASKED) == b"for plum alone"
    for path, request in wanted:  # the companion: the one it was delivered to may
        request.node.node_id = PLUM
        response = call(door, plum, path, request.SerializeToString())
        assert response.status_code == 200, path
        if path == PULL_OBJECT:
            given = PullObjectResponse.FromString(response.content)
            assert (given.object_available, given.object_content) == (True, b"for plum alone")
        request.run_id = 8
        assert call(door, plum, path, request.SerializeToString()).status_code == 403, path
    door.depot.withdraw(PLUM, ASKED)
    gone = PullObjectRequest(node=Node(node_id=PLUM), run_id=7, object_id=ASKED)
    response = call(door, plum, PULL_OBJECT, gone.SerializeToString())
    assert not PullObjectResponse.FromString(response.content).object_found


def test_a_site_answers_only_what_was_delivered_to_it_in_its_own_name(door: Door) -> None:
    plum, pear = door.admit("plum"), door.admit("pear")
    deliver(door, plum, PLUM)
    door.upstream.asked.clear()
    fresh = reply(PLUM)
    fresh.messages_list[0].metadata.reply_to_message_id = ""
    two = reply(PLUM)
    two.messages_list.append(two.messages_list[0])
    tree = reply(PLUM)
    tree.message_object_trees[0].children.append(ObjectTree(object_id=ASKED))
    refused = [
        (pear, reply(PEAR)),  # another's message
        (pear, reply(PEAR, source=PLUM)),  # and in the other's name
        (plum, reply(PLUM, source=PEAR)),
        (plum, reply(PLUM, to="unknown")),
        (plum, reply(PLUM, run=8)),
        (plum, reply(PLUM, destination=PEAR)),  # a message to another site
        (plum, fresh),  # a message of its own
    ]
    for home, request in refused:
        response = call(door, home, PUSH, request.SerializeToString())
        assert (response.status_code, code(response)) == (403, "gateway/not-yours")
    for request in (two, tree):
        assert code(call(door, plum, PUSH, request.SerializeToString())) == "gateway/malformed"
    assert call(door, plum, PUSH, reply(PLUM).SerializeToString()).status_code == 200
    assert not door.upstream.asked


def test_a_site_uploads_only_what_its_own_reply_calls_for(door: Door) -> None:
    plum, pear = door.admit("plum"), door.admit("pear")
    door.depot.send(PLUM, ASKED, b"request")
    deliver(door, plum, PLUM)
    door.upstream.asked.clear()
    announced = call(door, plum, PUSH, reply(PLUM).SerializeToString())
    told = PushMessagesResponse.FromString(announced.content)
    assert list(told.objects_to_push) == [REPLY]

    def upload(home: Path, node: int, session: str = told.session_id, item: str = REPLY) -> int:
        request = PushObjectRequest(
            node=Node(node_id=node),
            run_id=7,
            object_id=item,
            session_id=session,
            object_content=b"x" * 100_000,
        )
        return call(door, home, PUSH_OBJECT, request.SerializeToString()).status_code

    assert upload(pear, PEAR) == 403
    assert upload(plum, PLUM, session="") == 403
    assert upload(plum, PLUM, item="other") == 403
    assert door.depot.answered(ASKED) is None
    assert upload(plum, PLUM) == 200
    assert door.depot.answered(ASKED) == b"x" * 100_000
    assert upload(plum, PLUM) == 403  # nothing is answered twice
    assert call(door, plum, PUSH, reply(PLUM).SerializeToString()).status_code == 403
    assert not door.upstream.asked


def test_the_coordinators_settings_are_left_out_of_a_run(door: Door) -> None:
    plum = door.admit("plum")
    deliver(door, plum, PLUM)
    run = Run(run_id=7, fab_id="recommons/recommons", fab_hash="ab")
    run.override_config["coordinator-dir"].string = "/srv/secret"
    door.upstream.answers[GET_RUN] = GetRunResponse(run=run).SerializeToString()
    request = GetRunRequest(node=Node(node_id=PLUM), run_id=7)
    response = call(door, plum, GET_RUN, request.SerializeToString())
    seen = GetRunResponse.FromString(response.content).run
    assert (seen.fab_id, seen.fab_hash) == ("recommons/recommons", "ab")
    assert not seen.override_config
    assert b"secret" not in response.content


def test_a_site_that_waits_hears_at_once_when_there_is_a_message(door: Door) -> None:
    plum = door.admit("plum")
    metadata = Metadata(run_id=7, message_id=ASKED, src_node_id=1, dst_node_id=PLUM)
    answer = PullMessagesResponse(
        messages_list=[Message(metadata=metadata)],
        message_object_trees=[ObjectTree(object_id=ASKED)],
    )

    def send() -> None:
        door.depot.send(PLUM, ASKED, b"request")
        door.upstream.answers[PULL] = answer.SerializeToString()
        door.app.nudge()

    threading.Timer(0.3, send).start()
    body = PullMessagesRequest(node=Node(node_id=PLUM)).SerializeToString()
    response = call(door, plum, PULL, body, **{"recommons-wait": "15"})
    assert PullMessagesResponse.FromString(response.content) == answer
    assert len(door.upstream.asked) == 2  # at first, and when there was a nudge
    door.upstream.asked.clear()
    door.upstream.answers.clear()
    door.app.nudge()
    empty = call(door, plum, PULL, body, **{"recommons-wait": "1"})
    assert (empty.status_code, empty.content) == (200, b"")
    assert not door.upstream.asked  # what was sent was delivered, so there is nothing to ask for
    send()
    response = call(door, plum, PULL, body, **{"recommons-wait": "1"})
    assert response.content == b""  # the same message again is nothing new
    metadata.message_id = OTHER
    other = PullMessagesResponse(
        messages_list=[Message(metadata=metadata)],
        message_object_trees=[ObjectTree(object_id=OTHER)],
    )
    door.depot.send(PLUM, OTHER, b"request")
    door.upstream.answers[PULL] = other.SerializeToString()
    response = call(door, plum, PULL, body)  # seen without a nudge, by who asks anyway
    assert PullMessagesResponse.FromString(response.content) == other


def test_flower_is_asked_once_for_a_message_that_it_does_not_have_yet(door: Door) -> None:
    plum = door.admit("plum")
    door.depot.send(PLUM, ASKED, b"request")  # laid ready before Flower knows of it
    body = PullMessagesRequest(node=Node(node_id=PLUM)).SerializeToString()
    for _ in range(3):
        assert call(door, plum, PULL, body).content == b""
    assert len(door.upstream.asked) == 1
    door.app.nudge()
    time.sleep(0.2)
    assert call(door, plum, PULL, body).content == b""
    assert len(door.upstream.asked) == 2


def test_flower_says_whose_a_node_is_whatever_waits_for_it(door: Door) -> None:
    plum = door.admit("plum")
    call(door, plum, PULL, PullMessagesRequest(node=Node(node_id=PLUM)).SerializeToString())
    door.upstream.status = 403
    for _ in range(2):
        body = PullMessagesRequest(node=Node(node_id=PEAR)).SerializeToString()
        assert call(door, plum, PULL, body, **{"recommons-wait": "1"}).status_code == 403
    assert len(door.upstream.asked) == 3


def test_the_app_is_nudged_when_a_reply_is_there(door: Door) -> None:
    plum = door.admit("plum")
    door.depot.send(PLUM, ASKED, b"request")
    deliver(door, plum, PLUM)
    announced = call(door, plum, PUSH, reply(PLUM).SerializeToString())
    session = PushMessagesResponse.FromString(announced.content).session_id
    assert door.app.socket is not None
    with pytest.raises(BlockingIOError):
        door.app.socket.recv(1)  # announced is not there
    request = PushObjectRequest(
        node=Node(node_id=PLUM), run_id=7, object_id=REPLY, session_id=session, object_content=b"x"
    )
    call(door, plum, PUSH_OBJECT, request.SerializeToString())
    door.app.socket.recv(1)
    assert door.depot.answered(ASKED) == b"x"


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_above_the_limit_is_not_taken_in(door: Door, declared: bool) -> None:
    plum = door.admit("plum")
    for path, limit in ((PULL, LIMITS.small_bytes), (PUSH_OBJECT, LIMITS.object_bytes)):
        with door.client(plum) as client:
            body = b"\x00" * (limit + 1)
            content = body if declared else iter([body[:10], body[10:]])
            response = client.post(path, content=content, headers=headers(plum))
        assert (response.status_code, code(response)) == (413, "gateway/too-large")
    assert not door.upstream.asked


def test_a_body_that_does_not_come_is_given_up(door: Door) -> None:
    plum = door.admit("plum")
    lines = [f"POST {PULL} HTTP/1.1", "host: x", "content-length: 100"]
    lines += [f"{name}: {value}" for name, value in headers(plum).items()]
    with (
        socket.create_connection(("127.0.0.1", door.port)) as plain,
        door.context(plum).wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.sendall("\r\n".join(lines).encode() + b"\r\n\r\nsome")
        tls.settimeout(10)
        assert tls.recv(65536).split(b" ")[1] == b"408"
    assert not door.upstream.asked


def test_garbage_is_not_passed_on(door: Door) -> None:
    plum = door.admit("plum")
    for path in CALLS:
        response = call(door, plum, path.decode(), b"\xff\xff\xff")
        assert code(response) == "gateway/malformed"
    assert not door.upstream.asked


def test_an_upstream_that_fails_or_floods_is_named(door: Door) -> None:
    plum = door.admit("plum")
    door.upstream.answers[PULL] = b"\x00" * (LIMITS.response_bytes + 1)
    flooded = pull(door, plum, PLUM)
    assert (flooded.status_code, code(flooded)) == (502, "gateway/too-large")
    door.upstream.status, door.upstream.answers[PULL] = 409, b'{"code": 12}'
    assert (pull(door, plum, PLUM).status_code, pull(door, plum, PLUM).json()) == (
        409,
        {"code": 12},
    )


def test_one_site_above_its_rate_does_not_slow_another(door: Door) -> None:
    plum, pear = door.admit("plum"), door.admit("pear")
    body = PullMessagesRequest().SerializeToString()
    with door.client(plum) as client:
        statuses = [
            client.post(PULL, content=body, headers=headers(plum)).status_code for _ in range(100)
        ]
    assert set(statuses) == {200, 429}
    assert pull(door, pear, PEAR).status_code == 200


def test_an_allowance_fills_with_time_and_never_above_the_burst() -> None:
    limits = Limits(calls_per_second=2.0, burst=3, at_once=9)
    allowance = Allowance.full(limits, 100.0)
    assert [allowance.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert allowance.take(100.5)
    assert not allowance.take(100.5)
    assert [allowance.take(900.0) for _ in range(4)] == [True, True, True, False]
    assert not allowance.take(0.0)  # a clock that goes back fills nothing
    allowance = Allowance.full(limits, 0.0)
    allowance.in_progress = 9
    assert not allowance.take(0.0)


@pytest.mark.parametrize("host", ["192.0.2.1", "superlink.example", "localhost", "::"])
def test_the_superlink_must_be_on_loopback(tmp_path: Path, host: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        SuperLink(host, 1, tmp_path / "authority.pem", seconds=1, largest=1)
    assert refused.value.code == "gateway/upstream"
