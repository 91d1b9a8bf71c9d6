"""Rebuilds `privacy/ledger.json`: ledgers and receipts, written with nothing of recommons.

    python -m tests.vectors.ledgers

From the repository's root. What docs/ledger.md says is done here by hand: SHA-256, Ed25519, RFC
8785 and length-prefixed fields. A change of a byte means a new version of the schema.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE = Path(__file__).parent / "privacy" / "ledger.json"

RUN, HASH, SIGNATURE = "1f" * 16, "ab" * 32, "cd" * 64
FEDERATION = "vectors"
ATTEMPT = {"run": RUN, "round": 0, "attempt": 0, "context": HASH}
EVENT = {
    "type": "gaussian-sum",
    "version": 1,
    "round": 0,
    "attempt": 0,
    "block": "factors",
    "size": 81_600,
    "clip": 1,
    "sensitivity": 10_297,
    "noise_stddev": 4096.5,
    "cohort": 8,
    "min_survivors": 7,
    "colluding": 1,
    "ring_bits": 32,
    "max_sites_per_person": 1,
    "sampling": None,
    "neighbours": "add-or-remove one user",
    "unit": "user",
}


def framed(domain: str, *fields: bytes) -> bytes:
    return b"".join(len(f).to_bytes(8, "big") + f for f in (domain.encode(), *fields))


def sha256(domain: str, *fields: bytes) -> bytes:
    return hashlib.sha256(framed(domain, *fields)).digest()


def canonical(value: Any) -> bytes:
    return bytes(rfc8785.dumps(value))


class Writer:
    def __init__(self, name: str) -> None:
        self.name = name
        self.key = Ed25519PrivateKey.from_private_bytes(name.ljust(32, "x").encode())
        self.public = self.key.public_key().public_bytes_raw()
        self.lines: list[bytes] = []
        self.head = sha256("recommons/ledger/1/start", name.encode())

    def write(self, kind: str, body: dict[str, Any], **changes: Any) -> bytes:
        envelope = {
            "version": 1,
            "writer": self.name,
            "seq": len(self.lines),
            "previous": self.head.hex(),
            "time": f"2026-01-01T00:00:{len(self.lines):02d}Z",
            "kind": kind,
            "body": body,
        } | changes
        line = self.signed(envelope)
        self.lines.append(line)
        self.head = sha256("recommons/ledger/1/line", line)
        return line

    def signed(self, envelope: dict[str, Any]) -> bytes:
        message = framed("recommons/ledger/1/entry", canonical(envelope))
        return canonical({**envelope, "signature": self.key.sign(message).hex()})

    def signed_head(self) -> dict[str, Any]:
        seq = len(self.lines) - 1
        fields = (FEDERATION.encode(), self.name.encode(), seq.to_bytes(8, "big"), self.head)
        signature = self.key.sign(framed("recommons/ledger/1/head", *fields))
        return {
            "writer": self.name,
            "seq": seq,
            "head": self.head.hex(),
            "signature": signature.hex(),
        }


def documents() -> dict[str, dict[str, Any]]:
    roster = {
        "roster": {"version": 1, "federation": FEDERATION, "epoch": 1, "sites": []},
        "signature": "",
    }
    plan = {"version": 1, "federation": FEDERATION, "privacy": {"epsilon": 8, "delta": 1e-6}}
    policy = {"version": 1, "budget": {"epsilon": 8, "delta": 0.00001}}
    return {
        "roster": {
            "roster": sha256("recommons/roster/1", canonical(roster["roster"])).hex(),
            "epoch": 1,
            "document": roster,
            "federation_key": HASH,
        },
        "plan": {"plan": sha256("recommons/plan/1", canonical(plan)).hex(), "document": plan},
        "policy": {
            "policy": sha256("recommons/policy/1", canonical(policy)).hex(),
            "document": policy,
        },
    }


def site(name: str) -> Writer:
    writer, known = Writer(name), documents()
    writer.write(
        "roster-accepted", known["roster"] | {"coordinator_key": HASH, "accepted": "joined"}
    )
    writer.write("policy-changed", known["policy"])
    writer.write(
        "plan-accepted", {"run": RUN, **known["plan"], "policy": known["policy"]["policy"]}
    )
    writer.write("reserved", {**ATTEMPT, "plan": known["plan"]["plan"], "events": [EVENT]})
    writer.write("committed", {**ATTEMPT, "events": [EVENT]})
    return writer


def coordinator(sites: list[Writer]) -> Writer:
    writer, known = Writer("coordinator"), documents()
    names = [s.name for s in sites]
    writer.write("roster", known["roster"])
    writer.write("plan", {"run": RUN, **known["plan"]})
    writer.write("round-opened", {**ATTEMPT, "public_state": HASH})
    writer.write("advertisements", {**ATTEMPT, "advertisements": HASH, "sites": names})
    heads = [s.signed_head() for s in sites]
    for head in heads:
        head["site"] = head.pop("writer")
    writer.write("heads", {**ATTEMPT, "heads": heads})
    return writer


def receipt(coordinator_: Writer, sites: list[Writer], **changes: Any) -> bytes:
    fields = {
        "version": 1,
        "federation": FEDERATION,
        "run": RUN,
        "round": 0,
        "attempt": 0,
        "heads": [s.signed_head() for s in sites],
        "coordinator": coordinator_.signed_head(),
    } | changes
    signature = coordinator_.key.sign(framed("recommons/ledger/1/receipt", canonical(fields)))
    return canonical({**fields, "signature": signature.hex()})


def rejected_ledgers() -> list[dict[str, Any]]:
    one, thief = site("site-1"), site("site-2")
    lines = one.lines
    changed = lines[1].replace(b"00:00:01Z", b"00:00:09Z")
    other = site("site-1")
    other.lines, other.head = lines[:2], hashlib.sha256(b"another line").digest()
    forked = other.write("user-forgotten", {})
    taken = Writer("site-1")
    taken.key, taken.lines, taken.head = thief.key, lines[:2], one_head(lines[1])
    forged = taken.write("user-forgotten", {})
    after = site("site-1")
    after.lines, after.head = [*lines[:2], forged], one_head(forged)
    follower = after.write("user-forgotten", {})
    unknown = json.loads(lines[4])
    unknown.pop("signature")

    def with_body(**changes: Any) -> bytes:
        return one.signed(unknown | {"body": unknown["body"] | changes})

    space = lines[2].replace(b'"seq":', b'"seq": ')
    found: list[tuple[str, str, int, list[bytes]]] = [
        ("changed", "ledger/changed", 2, [lines[0], changed, *lines[2:]]),
        ("gap", "ledger/gap", 3, [*lines[:2], *lines[3:]]),
        ("reordered", "ledger/reordered", 2, [lines[0], lines[2], lines[1], *lines[3:]]),
        ("duplicate", "ledger/duplicate", 3, [*lines[:2], lines[1], *lines[2:]]),
        ("fork", "ledger/fork", 3, [*lines[:2], forked]),
        ("foreign writer", "ledger/foreign-writer", 3, [*lines[:2], thief.lines[2]]),
        ("foreign signature", "ledger/foreign-signature", 3, [*lines[:2], forged, follower]),
        ("not canonical", "ledger/not-canonical", 3, [*lines[:2], space]),
        ("unknown version", "ledger/schema", 5, [*lines[:4], one.signed(unknown | {"version": 2})]),
        ("unknown kind", "ledger/schema", 5, [*lines[:4], one.signed(unknown | {"kind": "x"})]),
        (
            "unknown event version",
            "ledger/schema",
            5,
            [*lines[:4], with_body(events=[EVENT | {"version": 2}])],
        ),
        ("a user in the body", "ledger/schema", 5, [*lines[:4], with_body(user="u-17")]),
        (
            "another document",
            "ledger/schema",
            2,
            [lines[0], resigned(one, lines[1], document={"version": 1})],
        ),
    ]
    return [
        {
            "name": name,
            "code": code,
            "line": line,
            "public_key": one.public.hex(),
            "lines": [line.decode() for line in tampered],
        }
        for name, code, line, tampered in found
    ]


def one_head(line: bytes) -> bytes:
    return sha256("recommons/ledger/1/line", line)


def resigned(writer: Writer, line: bytes, **changes: Any) -> bytes:
    envelope = json.loads(line)
    envelope.pop("signature")
    return writer.signed(envelope | {"body": envelope["body"] | changes})


def receipts() -> dict[str, Any]:
    sites = [site("site-1"), site("site-2")]
    by, thief = coordinator(sites), site("site-3")
    good = receipt(by, sites)
    stolen = [sites[0].signed_head(), thief.signed_head() | {"writer": "site-2"}]
    rejected = [
        ("another federation", "ledger/receipt", receipt(by, sites, federation="another")),
        ("another's signature", "ledger/receipt", receipt(thief, sites)),
        ("a changed round", "ledger/receipt", good.replace(b'"round":0', b'"round":1')),
        ("round without attempt", "ledger/receipt", receipt(by, sites, attempt=None)),
        ("heads out of order", "ledger/receipt", receipt(by, sites[::-1])),
        ("a head of another key", "ledger/head", receipt(by, sites, heads=stolen)),
        ("a head of nobody", "ledger/head", receipt(by, [sites[0], thief])),
        ("unknown version", "ledger/receipt", receipt(by, sites, version=2)),
        ("a field too many", "ledger/receipt", receipt(by, sites, note="x")),
        ("not canonical", "ledger/receipt", good.replace(b'"round":0', b'"round": 0')),
    ]
    ends = receipt(by, sites, round=None, attempt=None)
    return {
        "federation": FEDERATION,
        "coordinator_key": by.public.hex(),
        "keys": {s.name: s.public.hex() for s in sites},
        "accepted": [good.decode(), ends.decode()],
        "rejected": [
            {"name": name, "code": code, "receipt": text.decode()} for name, code, text in rejected
        ],
    }


def build() -> dict[str, Any]:
    sites = [site("site-1"), site("site-2")]
    accepted = [sites[0], coordinator(sites)]
    return {
        "about": "Ledgers and receipts that every version must accept, and such that it must "
        "reject with the named code (ledgers: at the named line).",
        "accepted": [
            {
                "name": writer.name,
                "writer": writer.name,
                "public_key": writer.public.hex(),
                "kinds": [json.loads(line)["kind"] for line in writer.lines],
                "head": writer.head.hex(),
                "lines": [line.decode() for line in writer.lines],
            }
            for writer in accepted
        ],
        "rejected": rejected_ledgers(),
        "receipts": receipts(),
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(build(), indent=1) + "\n", "utf-8")
