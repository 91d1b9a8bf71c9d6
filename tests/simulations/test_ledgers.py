"""Ledgers of real runs: what others hold of them, and every way to alter them, found and located.

The faults here are found with the heads that *other* parties hold and with nothing else: a site's
ledger is checked against the coordinator's receipts or a peer's, the coordinator's against a
site's.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from typer.testing import CliRunner

from recommons.client.commands import site as site_command
from recommons.client.keys import read_key
from recommons.common.codes import REMEDIES
from recommons.common.errors import LedgerError
from recommons.common.heads import Receipt
from recommons.common.privacy.ledger import Chain, Head, verify_chain
from recommons.common.privacy.ledger_schema import schema_tables
from recommons.common.secagg.identity import SigningIdentity
from recommons.server.commands import coordinator as coordinator_command
from tests.simulations.small_federation import COORDINATOR, SITES, WRITERS, Federation

RUNS = 2


@pytest.fixture(scope="module")
def federation(tiny_data: Path) -> Iterator[Federation]:
    """Two finished runs of three rounds each."""
    memory = Path("/dev/shm")  # noqa: S108 - a private folder is made in it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        made = Federation.found(Path(name) / "run", tiny_data)
        made.run()
        made.new_run()
        made.run()
        yield made


def identity(federation: Federation, writer: str) -> SigningIdentity:
    if writer == COORDINATOR:
        return federation.coordinator.identity
    return read_key(federation.of(writer) / "identity.key")


def held(federation: Federation, writer: str, holder: str) -> list[Head]:
    return [head for head in federation.heads_held_by(holder) if head.writer == writer]


def test_a_run_leaves_the_entries_the_schema_describes(federation: Federation) -> None:
    rounds = len(federation.coordinator.plan.rounds)
    attempt = ["round-opened", "advertisements", "heads", "certificate", "sum"]
    run = ["plan", *attempt * rounds, "model-released", "run-ended"]
    assert federation.kinds(COORDINATOR) == ["roster", *run * RUNS]
    attempt = ["reserved", "committed", "released"]
    run = ["plan-accepted", *attempt * rounds, "run-ended"]
    for site in SITES:
        assert federation.kinds(site) == ["roster-accepted", "policy-changed", *run * RUNS]


def test_what_sites_say_they_sent_is_what_the_coordinator_says_it_summed(
    federation: Federation,
) -> None:
    certified = {
        entry.body["context"]: entry.body
        for entry in federation.entries(COORDINATOR)
        if entry.kind == "certificate"
    }
    for site in SITES:
        released = [e.body for e in federation.entries(site) if e.kind == "released"]
        assert len(released) == len(certified)
        for body in released:
            known = certified[body["context"]]
            assert body["certificate"] == known["certificate"]
            assert body["survivors"] == known["survivors"]
            assert {"site": site, "masked": body["masked"]} in known["masked"]


@pytest.mark.parametrize("writer", WRITERS)
def test_every_line_is_covered_by_heads_that_each_other_party_holds(
    federation: Federation, writer: str
) -> None:
    """The last line, too: the end of a run anchors it everywhere."""
    last = len(federation.lines(writer)) - 1
    for holder in WRITERS:
        if holder != writer:
            heads = held(federation, writer, holder)
            assert max(head.seq for head in heads) == last
            federation.entries(writer, heads)


def test_every_party_holds_the_same_receipts(federation: Federation) -> None:
    rounds = len(federation.coordinator.plan.rounds)
    issued = federation.receipts(COORDINATOR)
    assert len(issued) == RUNS * (rounds + 1)
    for site in SITES:
        assert federation.receipts(site) == issued
    assert [receipt.sites for receipt in issued] == [SITES] * len(issued)


def test_the_coordinators_ledger_holds_the_heads_of_its_receipts(federation: Federation) -> None:
    """A receipt can be made again from the ledger alone."""
    entries = [e for e in federation.entries(COORDINATOR) if e.kind in ("heads", "run-ended")]
    receipts = federation.receipts(COORDINATOR)
    assert [e.body["heads"] for e in entries] == [
        [head.in_ledger() for head in receipt.heads] for receipt in receipts
    ]
    assert [(e.seq, e.hash) for e in entries] == [
        (r.coordinator.head.seq, r.coordinator.head.hash) for r in receipts
    ]


# Faults. Each gives the altered lines, and the code and line at which they must be found.

Fault = Callable[[Federation, str], tuple[list[bytes], str, int]]
FAULTS: dict[str, Fault] = {}


def fault(make: Fault) -> Fault:
    FAULTS[make.__name__] = make
    return make


@fault
def truncated_by_the_last_line(federation: Federation, writer: str) -> tuple[list[bytes], str, int]:
    lines = federation.lines(writer)
    return lines[:-1], "ledger/truncated", len(lines) - 1


@fault
def truncated_by_several_lines(federation: Federation, writer: str) -> tuple[list[bytes], str, int]:
    lines = federation.lines(writer)
    return lines[:-4], "ledger/truncated", len(lines) - 4


@fault
def emptied(federation: Federation, writer: str) -> tuple[list[bytes], str, int]:
    return [], "ledger/truncated", 0


@fault
def rolled_back_to_the_first_run(
    federation: Federation, writer: str
) -> tuple[list[bytes], str, int]:
    kept = federation.kinds(writer).index("run-ended") + 1
    return federation.lines(writer)[:kept], "ledger/truncated", kept


def forked(federation: Federation, writer: str, keep: int, more: int) -> list[bytes]:
    """The writer's own second history: `keep` true lines, then others it signs just as well."""
    lines = federation.lines(writer)[:keep]
    chain = Chain.resume(lines[-1])
    for _ in range(more):
        chain, line = chain.append(
            kind="user-forgotten",
            body={},
            time="2026-01-01T00:00:00Z",
            sign=identity(federation, writer).sign,
        )
        lines.append(line)
    return lines


@fault
def forked_in_the_second_run(federation: Federation, writer: str) -> tuple[list[bytes], str, int]:
    """The fault shows at the first line after the fork that somebody holds."""
    length = len(federation.lines(writer))
    keep = federation.kinds(writer).index("run-ended") + 2
    seqs = sorted(head.seq for head in held(federation, writer, other(writer)))
    first = next(seq for seq in seqs if seq >= keep)
    return forked(federation, writer, keep, length - keep + 5), "ledger/fork", first + 1


@fault
def forked_at_the_last_line(federation: Federation, writer: str) -> tuple[list[bytes], str, int]:
    length = len(federation.lines(writer))
    return forked(federation, writer, length - 1, 1), "ledger/fork", length


@fault
def forked_and_cut_short(federation: Federation, writer: str) -> tuple[list[bytes], str, int]:
    keep = federation.kinds(writer).index("run-ended") + 1
    return forked(federation, writer, keep, 1), "ledger/truncated", keep + 1


@fault
def lines_swapped(federation: Federation, writer: str) -> tuple[list[bytes], str, int]:
    lines = federation.lines(writer)
    lines[6], lines[7] = lines[7], lines[6]
    return lines, "ledger/reordered", 7


@fault
def last_lines_swapped(federation: Federation, writer: str) -> tuple[list[bytes], str, int]:
    lines = federation.lines(writer)
    lines[-1], lines[-2] = lines[-2], lines[-1]
    return lines, "ledger/reordered", len(lines) - 1


@fault
def a_line_doubled(federation: Federation, writer: str) -> tuple[list[bytes], str, int]:
    lines = federation.lines(writer)
    return [*lines[:5], lines[4], *lines[5:]], "ledger/duplicate", 6


@fault
def the_last_line_doubled(federation: Federation, writer: str) -> tuple[list[bytes], str, int]:
    lines = federation.lines(writer)
    return [*lines, lines[-1]], "ledger/duplicate", len(lines) + 1


@fault
def a_line_left_out(federation: Federation, writer: str) -> tuple[list[bytes], str, int]:
    lines = federation.lines(writer)
    return [*lines[:5], *lines[6:]], "ledger/gap", 6


@fault
def a_hash_changed(federation: Federation, writer: str) -> tuple[list[bytes], str, int]:
    lines, body = federation.lines(writer), ""
    for index, line in enumerate(lines):
        body = json.loads(line)["body"].get("context", "")
        if body:
            other_digit = "0" if body[0] != "0" else "1"
            lines[index] = line.replace(body.encode(), (other_digit + body[1:]).encode())
            return lines, "ledger/changed", index + 1
    raise AssertionError


@fault
def a_byte_changed_in_the_last_line(
    federation: Federation, writer: str
) -> tuple[list[bytes], str, int]:
    lines = federation.lines(writer)
    lines[-1] = lines[-1].replace(b'"finished"', b'"failed"')
    return lines, "ledger/changed", len(lines)


@fault
def a_foreign_ledger(federation: Federation, writer: str) -> tuple[list[bytes], str, int]:
    return federation.lines(other(writer)), "ledger/foreign-writer", 1


@fault
def a_foreign_line(federation: Federation, writer: str) -> tuple[list[bytes], str, int]:
    lines = federation.lines(writer)
    return (
        [*lines[:4], federation.lines(other(writer))[4], *lines[5:]],
        "ledger/foreign-writer",
        5,
    )


@fault
def a_foreign_signature(federation: Federation, writer: str) -> tuple[list[bytes], str, int]:
    """Another party of the federation goes on in the writer's name; the writer links to it."""
    lines = federation.lines(writer)[:5]
    chain, forged = Chain.resume(lines[-1]).append(
        kind="user-forgotten",
        body={},
        time="2026-01-01T00:00:00Z",
        sign=identity(federation, other(writer)).sign,
    )
    _, after = chain.append(
        kind="user-forgotten",
        body={},
        time="2026-01-01T00:00:00Z",
        sign=identity(federation, writer).sign,
    )
    return [*lines, forged, after], "ledger/foreign-signature", 6


@fault
def a_ledger_signed_all_over_by_another(
    federation: Federation, writer: str
) -> tuple[list[bytes], str, int]:
    chain, lines = Chain.start(writer), []
    for line in federation.lines(writer):
        envelope = json.loads(line)
        chain, again = chain.append(
            kind=envelope["kind"],
            body=envelope["body"],
            time=envelope["time"],
            sign=identity(federation, other(writer)).sign,
        )
        lines.append(again)
    return lines, "ledger/foreign-signature", 1


@fault
def a_ledger_written_all_over_by_its_writer(
    federation: Federation, writer: str
) -> tuple[list[bytes], str, int]:
    """The same entries at other times, well signed: every head that others hold contradicts it."""
    chain, lines = Chain.start(writer), []
    for line in federation.lines(writer):
        envelope = json.loads(line)
        chain, again = chain.append(
            kind=envelope["kind"],
            body=envelope["body"],
            time="2026-01-01T00:00:00Z",
            sign=identity(federation, writer).sign,
        )
        lines.append(again)
    first = min(head.seq for head in held(federation, writer, other(writer)))
    return lines, "ledger/fork", first + 1


def other(writer: str) -> str:
    """Whose heads are used against the writer's ledger, by default."""
    return SITES[1] if writer == COORDINATOR else COORDINATOR


PAIRS = [("site-0", COORDINATOR), ("site-0", "site-2"), (COORDINATOR, "site-3")]


@pytest.mark.parametrize(("writer", "holder"), PAIRS, ids=lambda name: name)
@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_fault_is_found_by_what_another_party_holds_and_located(
    federation: Federation, name: str, writer: str, holder: str
) -> None:
    lines, code, line = FAULTS[name](federation, writer)
    heads = held(federation, writer, holder)
    with pytest.raises(LedgerError) as caught:
        verify_chain(lines, federation.key(writer), writer=writer, heads=heads)
    assert (caught.value.code, caught.value.line) == (code, line)


@pytest.mark.parametrize(
    "name", [name for name in sorted(FAULTS) if "truncated" in name or "fork" in name]
)
def test_only_heads_of_others_show_what_its_writer_may_sign_again(
    federation: Federation, name: str
) -> None:
    """Without them these ledgers are whole: the heads are what the tests above rest on."""
    if name == "forked_and_cut_short":
        return
    for writer in (SITES[0], COORDINATOR):
        lines, _, _ = FAULTS[name](federation, writer)
        assert len(verify_chain(lines, federation.key(writer), writer=writer)) == len(lines)


@pytest.mark.parametrize("writer", [SITES[0], COORDINATOR])
def test_any_changed_byte_of_a_real_ledger_is_found_at_its_line(
    federation: Federation, writer: str
) -> None:
    lines = federation.lines(writer)
    for index in range(len(lines)):
        for part in range(1, 8):  # seven places in every line
            place = part * len(lines[index]) // 8
            line = bytearray(lines[index])
            line[place] ^= 1
            tampered = [*lines[:index], bytes(line), *lines[index + 1 :]]
            with pytest.raises(LedgerError) as caught:
                verify_chain(tampered, federation.key(writer), writer=writer)
            assert caught.value.line == index + 1


def test_no_ledger_and_no_receipt_names_a_user_an_item_or_a_true_number_of_users(
    federation: Federation,
) -> None:
    """There are 88 users, u000 to u087, 22 a site; ten are declared."""
    named = [f"u{k:03d}".encode() for k in range(90)] + [f'"i{k:02d}"'.encode() for k in range(40)]
    for writer in WRITERS:
        for name in ("ledger.jsonl", "receipts.jsonl"):
            data = (federation.of(writer) / name).read_bytes()
            # By itself: four letters of a signature's base64 name nobody.
            assert not [
                word for word in named if re.search(rb"(?<![\w+/])%s(?![\w+/=])" % word, data)
            ]
            numbers = {v for line in data.splitlines() for v in integers(json.loads(line))}
            assert numbers.isdisjoint({22, 88})


def integers(value: object, name: str = "") -> Iterator[int]:
    """Every whole number but sequence numbers, which count lines."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from integers(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from integers(inner, name)
    elif isinstance(value, int) and not isinstance(value, bool) and name != "seq":
        yield value


def test_exported_ledgers_are_what_an_auditor_needs(federation: Federation, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    folders = {site: str(federation.of(site)) for site in SITES}
    for site in SITES:
        done = CliRunner().invoke(site_command, ["ledger", "export", folders[site], str(out)])
        assert done.exit_code == 0, done.output
        last = federation.entries(site)[-1].hash.hex()
        assert last in done.output
    asked = ["ledger", "export", str(federation.of(COORDINATOR)), str(out), "--json"]
    done = CliRunner().invoke(coordinator_command, asked)
    told = json.loads(done.output)
    assert told["lines"] == len(federation.lines(COORDINATOR))
    assert told["head"] == federation.entries(COORDINATOR)[-1].hash.hex()
    names = {f"{writer}.{part}.jsonl" for writer in WRITERS for part in ("ledger", "receipts")}
    assert {path.name for path in out.iterdir()} == names
    for writer in WRITERS:
        for part in ("ledger", "receipts"):
            original = federation.of(writer) / f"{part}.jsonl"
            assert (out / f"{writer}.{part}.jsonl").read_bytes() == original.read_bytes()


@pytest.mark.parametrize("writer", [SITES[0], COORDINATOR])
def test_a_ledger_that_was_altered_is_not_exported(
    federation: Federation, tmp_path: Path, writer: str
) -> None:
    """Also one that was cut short together with its chain, beside newer receipts."""
    copy = federation.copy(tmp_path / "copy")
    path = copy.of(writer) / "ledger.jsonl"
    command, folder = (site_command, copy.of(writer))
    if writer == COORDINATOR:
        command = coordinator_command
        path.write_bytes(b"".join(line + b"\n" for line in copy.lines(writer)[:-1]))
    else:
        path.write_bytes(path.read_bytes().replace(b'"round":1', b'"round":0', 1))
    asked = ["ledger", "export", str(folder), str(tmp_path / "out")]
    done = CliRunner().invoke(command, asked)
    assert isinstance(done.exception, LedgerError)
    code = "ledger/truncated" if writer == COORDINATOR else "ledger/changed"
    assert done.exception.code == code
    assert not (tmp_path / "out").exists()


PAGE = Path(__file__).parents[2] / "docs" / "ledger.md"


def block(language: str, containing: str) -> str:
    """A block of code of the page."""
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(next(text for text in found if containing in text))


def test_the_page_describes_the_schema_as_it_is() -> None:
    page = PAGE.read_text()
    told = page.split("<!-- schema -->\n")[1].split("\n<!-- end of schema -->")[0]
    assert told == schema_tables()


def test_the_page_names_every_fault_and_no_other() -> None:
    told = set(re.findall(r"`(ledger/[a-z-]+)`", PAGE.read_text()))
    assert told == {code for code in REMEDIES if code.startswith("ledger/")}


def by_hand(ledger: Path, number: int, key: bytes) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block("bash", "openssl pkeyutl")],
        env={**os.environ, "LEDGER": str(ledger), "N": str(number), "KEY": key.hex()},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "openssl", "jq", "xxd"))), reason="needs openssl, jq, xxd"
)
@pytest.mark.parametrize("writer", [SITES[0], COORDINATOR])
def test_the_pages_commands_verify_a_line_by_hand(
    federation: Federation, tmp_path: Path, writer: str
) -> None:
    path, key = federation.of(writer) / "ledger.jsonl", federation.key(writer)
    entries = federation.entries(writer)
    for number in (1, 5, len(entries)):
        done = by_hand(path, number, key)
        assert done.returncode == 0, done.stderr
        assert "Signature Verified Successfully" in done.stdout
        assert done.stdout.split()[-1] == entries[number - 1].hash.hex()
        assert "does not follow" not in done.stdout
    tampered = tmp_path / "ledger.jsonl"
    year = json.loads(federation.lines(writer)[4])["time"][:4].encode()
    lines = federation.lines(writer)
    lines[4] = lines[4].replace(b'"time":"' + year, b'"time":"2020')
    tampered.write_bytes(b"".join(line + b"\n" for line in lines))
    done = by_hand(tampered, 5, key)
    assert done.returncode != 0
    assert "line 6 does not follow on line 5" in done.stdout
    assert by_hand(path, 1, federation.key(other(writer))).returncode != 0


def test_the_pages_python_verifies_a_receipt_by_hand(federation: Federation) -> None:
    space: dict[str, Any] = {}
    exec(block("python", "def check_receipt"), space)  # noqa: S102 - the page's own code
    keys = {site: federation.key(site) for site in SITES}
    for line in (federation.of(SITES[0]) / "receipts.jsonl").read_bytes().splitlines():
        found = space["check_receipt"](line, federation.key(COORDINATOR), keys)
        receipt = Receipt.from_bytes(line)
        assert found == {h.head.writer: (h.head.seq, h.head.hash.hex()) for h in receipt.heads}
        altered = line.replace(b'"seq":', b'"seq":1', 1)
        with pytest.raises(InvalidSignature):
            space["check_receipt"](altered, federation.key(COORDINATOR), keys)
        with pytest.raises(InvalidSignature):
            space["check_receipt"](line, federation.key(SITES[1]), keys)
