"""What a site lays into the depot is read as a message, or is nothing: it ends no run."""

import json

import pytest
from flwr.app import ConfigRecord
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.supercore.inflatable.inflatable_object import get_object_id

from recommons.common.parcel import pack_parcel
from recommons.server.mail import _message


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
