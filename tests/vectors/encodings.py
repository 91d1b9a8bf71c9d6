"""Encodings of all nine messages, and bytes that are none."""

from dataclasses import fields, replace
from typing import Any

from recommons.common.errors import ProtocolAbort
from recommons.common.secagg.messages import (
    Advertise,
    Certificate,
    Inbox,
    InboxEntry,
    KeyEntry,
    Keys,
    Masked,
    Reveal,
    Shares,
    Signature,
    Survivors,
)
from recommons.common.secagg.sets import SiteSet
from tests.vectors.scenario import drawn

__all__ = ["messages"]

Message = Advertise | Keys | Shares | Inbox | Masked | Survivors | Signature | Certificate | Reveal
KINDS = (Advertise, Keys, Shares, Inbox, Masked, Survivors, Signature, Certificate, Reveal)


def messages() -> dict[str, Any]:
    """The file `messages.json`."""
    return {
        "file": "messages",
        "encodings": [
            {"kind": _kind(message), "fields": _plain(message), "bytes": message.to_bytes().hex()}
            for message in _examples()
        ],
        "malformed": [case for message in _examples()[:9] for case in _malformed(message)],
    }


def _kind(message: Message) -> int:
    return KINDS.index(type(message)) + 1


def _bytes(label: str, length: int) -> bytes:
    return b"".join(drawn("message", label, i) for i in range(-(-length // 32)))[:length]


def _examples() -> list[Message]:
    """One of each kind in a cohort of 9 (two bytes of bits), then some with empty parts."""
    ctx, key, signature = _bytes("ctx", 32), _bytes("key", 32), _bytes("signature", 64)
    some, fewer = SiteSet.of(9, (1, 3, 8)), SiteSet.of(9, (3, 8))
    entry = KeyEntry(mask_key=key, encryption_key=_bytes("E", 32), signature=signature)
    delivered = InboxEntry(
        seed_commitment=_bytes("seed", 32),
        commitments=_bytes("pair", 64),
        ciphertext=_bytes("sealed", 114),
        path=_bytes("path", 64),
        signature=signature,
    )
    return [
        Advertise(
            ctx=ctx, site=8, mask_key=key, encryption_key=_bytes("E", 32), signature=signature
        ),
        Keys(ctx=ctx, members=fewer, spec=b"{}", public_state=b"state", entries=(entry, entry)),
        Shares(
            ctx=ctx,
            site=3,
            holders=some,
            seed_commitment=_bytes("seed", 32),
            commitments=_bytes("commitments", 192),
            ciphertexts=_bytes("ciphertexts", 228),
            signature=signature,
        ),
        Inbox(ctx=ctx, site=3, dealers=some, levels=2, entries=(delivered, delivered)),
        Masked(
            ctx=ctx, site=1, dealers=some, bits=24, size=2, signature=signature, vector=b"abcdef"
        ),
        Survivors(ctx=ctx, dealers=some, survivors=fewer),
        Signature(ctx=ctx, site=4095, signature=signature),
        Certificate(
            ctx=ctx,
            full=_bytes("full", 32),
            dealers=some,
            survivors=fewer,
            signers=fewer,
            signatures=(signature, signature),
        ),
        Reveal(
            ctx=ctx,
            site=8,
            dealers=some,
            survivors=fewer,
            openings=_bytes("openings", 147),
            signature=signature,
        ),
        Keys(ctx=ctx, members=SiteSet(1, 0), spec=b"", public_state=b"", entries=()),
        Masked(ctx=ctx, site=0, dealers=some, bits=64, size=0, signature=signature, vector=b""),
        Survivors(ctx=ctx, dealers=SiteSet(4096, 1 << 4095), survivors=SiteSet(8, 255)),
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, SiteSet):
        return {"size": value.size, "members": list(value)}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, int):
        return int(value)
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}


def _malformed(message: Message) -> list[dict[str, Any]]:
    good, kind = message.to_bytes(), _kind(message)
    other = 1 if kind != 1 else 9
    wrong = {
        "nothing": b"",
        "the header alone": good[:34],
        "the header cut short": good[:33],
        "the last byte missing": good[:-1],
        "a byte too many": good + b"\x00",
        "version 0": b"\x00" + good[1:],
        "version 2": b"\x02" + good[1:],
        "kind 0": good[:1] + b"\x00" + good[2:],
        "kind 10": good[:1] + b"\x0a" + good[2:],
        "another kind": good[:1] + bytes([other]) + good[2:],
    }
    at = {2: 34, 3: 36, 4: 36, 5: 36, 6: 34, 8: 66, 9: 36}.get(kind)
    if at is not None:
        wrong["a set with a member outside its cohort"] = _put(good, at + 3, b"\x03")
        wrong["a set of no cohort"] = _put(good, at, b"\x00\x00")
        wrong["a set of too large a cohort"] = _put(good, at, b"\x10\x01")
    wrong |= _particular(kind, good)
    return [
        {"kind": kind, "name": name, "bytes": data.hex(), "code": _code(kind, data)}
        for name, data in wrong.items()
    ]


def _particular(kind: int, good: bytes) -> dict[str, bytes]:
    if kind == 2:
        return {
            "a spec of 2^20 + 1 bytes": _put(good, 294, (2**20 + 1).to_bytes(8, "big")),
            "a public state of 2^64 - 1 bytes": _put(good, 304, b"\xff" * 8),
        }
    if kind == 3:
        return {"a dealer that is no holder": _put(good, 34, b"\x00\x00")}
    if kind == 4:
        message = Inbox.from_bytes(good)
        deep = tuple(replace(entry, path=bytes(13 * 32)) for entry in message.entries)
        return {"paths of 13 digests": replace(message, levels=13, entries=deep).to_bytes()}
    if kind == 5:
        return {
            "12 bits a coordinate": _put(good, 40, b"\x0c"),
            "0 bits a coordinate": _put(good, 40, b"\x00"),
            "72 bits a coordinate": _put(good, 40, b"\x48"),
            "more coordinates than there are": _put(good, 41, b"\xff" * 8),
        }
    if kind == 9:
        return {
            "a survivor that is no dealer": _put(good, 42, b"\x0c\x01"),
            "survivors of another cohort": _put(good, 40, b"\x00\x0a"),
        }
    return {}


def _put(data: bytes, at: int, new: bytes) -> bytes:
    at %= len(data)
    return data[:at] + new + data[at + len(new) :]


def _code(kind: int, data: bytes) -> str:
    try:
        KINDS[kind - 1].from_bytes(data)
    except ProtocolAbort as abort:
        return abort.code
    raise AssertionError(kind, data.hex())
