"""Parcels and Flower's messages: what goes out, what comes back, what is left where that fails.

What a site lays into the depot is read as a message, or is nothing: it ends no run.
"""

import errno
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.proto.runtime_pb2 import PushAppMessagesResponse
from flwr.supercore.inflatable.inflatable_object import get_object_id

from recommons.common.parcel import pack_parcel
from recommons.server.transport.depot import Depot
from recommons.server.transport.mail import DepotMail, _message


def made(kind: str, body: bytes, *children: str) -> bytes:
    """An object as Flower writes it."""
    return f"{kind} {','.join(children)} {len(body)}".encode() + b"\x00" + body


RECORD = ConfigRecord({"body": b"x"}).deflate()
_HEAD = ProtoMessage()
_HEAD.metadata.message_type = "train.join"
EMPTY = _HEAD.SerializeToString()
GARBAGE = {
    "nothing": [],
    "no object": [b"abc"],
    "a message that is none": [made("Message", b"\xff\xff\xff")],
    "a message without content": [made("Message", EMPTY)],
    "a record that is none": [made("ConfigRecord", b"\xff\xff\xff")],
    "a list for a dictionary": [made("RecordDict", b"[]")],
    "a list for arrays": [made("ArrayRecord", b"[]")],
    "a record for a dictionary": [RECORD, made("Message", EMPTY, get_object_id(RECORD))],
    "another object": [RECORD],
}


@pytest.mark.parametrize("objects", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_in_a_parcel_is_no_message_and_raises_nothing(objects: list[bytes]) -> None:
    assert _message(pack_parcel(objects)) is None


def test_bytes_that_are_no_parcel_are_no_message() -> None:
    assert _message(b"\xff" * 20) is None


def test_a_reply_comes_out_as_it_went_in() -> None:
    record = get_object_id(RECORD)
    content = made("RecordDict", json.dumps({"recommons": record}).encode(), record)
    found = _message(pack_parcel([RECORD, content, made("Message", EMPTY, get_object_id(content))]))
    assert found is not None
    assert found.content.config_records["recommons"]["body"] == b"x"


def requests() -> list[Message]:
    record = RecordDict({"recommons": ConfigRecord({"body": b"x"})})
    return [Message(record, node, "train.join", ttl=60.0) for node in (7, 8, 9)]


def mail(folder: Path, push: Callable[[Any], PushAppMessagesResponse]) -> DepotMail:
    client = SimpleNamespace(PushMessages=push)
    return DepotMail(SimpleNamespace(_runtime_client=client), Depot(folder))  # type: ignore[arg-type]


def laid(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.rglob("*") if path.is_file())


def test_what_flower_does_not_take_is_not_left_in_the_depot(tmp_path: Path) -> None:
    def away(_request: object) -> PushAppMessagesResponse:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        mail(tmp_path, away).push(requests())
    assert laid(tmp_path) == []


def test_a_message_that_is_not_sent_is_not_left_either(tmp_path: Path) -> None:
    def but_one(request: Any) -> PushAppMessagesResponse:
        ids = [head.metadata.message_id for head in request.messages_list]
        return PushAppMessagesResponse(message_ids=[ids[0], "", ids[2]])

    assert mail(tmp_path, but_one).push(requests())[1] == ""
    assert laid(tmp_path) == ["7", "9"]


def test_a_disk_that_fills_up_meanwhile_gets_its_room_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(depot: Depot, node: int, message_id: str, parcel: bytes) -> None:
        if node == 9:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(depot, node, message_id, parcel)

    original = Depot.send
    monkeypatch.setattr(Depot, "send", send)
    with pytest.raises(OSError, match="No space"):
        mail(tmp_path, lambda _request: PushAppMessagesResponse()).push(requests())
    assert laid(tmp_path) == []
